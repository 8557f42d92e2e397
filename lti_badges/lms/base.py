"""The interface every LMS stands behind. The base class is a working plain LTI Advantage
platform; a vendor's file overrides what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lti_badges.core.errors import PlatformDown, PlatformError, Unsupported
from lti_badges.core.http import Http
from lti_badges.lms.sign_in import SignIn
from lti_badges.lti import ags, nrps
from lti_badges.lti.service import Service
from lti_badges.values.course import Gradable, Kind, Member, ReadInFull, Reading, Unread
from lti_badges.values.settings import Setting


@dataclass(slots=True)
class CourseHandle:
    """A course as its LMS knows it: LTI service addresses from launches, REST credentials.

    `custom` are the launch's resolved custom parameters; `connection` the unsealed settings and
    secrets of the LMS's own REST API, empty when nobody has connected it.
    """

    issuer: str
    context_id: str
    lineitems_url: str | None
    memberships_url: str | None
    scopes: frozenset[str]
    custom: Mapping[str, str]
    service: Service
    http: Http
    links: Mapping[str, str] = field(default_factory=dict)
    """Titles of the tool's placed links, by resource link id."""
    connection: Mapping[str, str] = field(default_factory=dict)
    update_connection: Callable[
        [Callable[[Mapping[str, str]], Mapping[str, str]]], Mapping[str, str]
    ] = field(default=lambda change: change({}))
    """Changes the stored credentials, as their only writer, in one transaction."""
    is_signed_in: bool = False
    """Whether an instructor gave credentials for this very course."""


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing an instructor may want to use, and whether this platform tells it to us now."""

    kind: Kind
    available: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Push:
    """What an LMS told of its own accord: that something changed in a course, maybe for one person.
    Ids are its own; `guid` names the institution. It is a hint to read, never a value to award by.
    """

    guid: str
    course: str
    person: str | None = None


class LMS:
    """Plain LTI Advantage. Methods raise only the PlatformError family and stream page by page."""

    key: ClassVar[str] = "other"
    label: ClassVar[str] = "Other LMS (LTI Advantage)"
    docs: ClassVar[str] = "docs/lms/other.md"
    connection_settings: ClassVar[tuple[Setting, ...]] = ()
    default_audience: ClassVar[str | None] = None
    """What service-token assertions name as audience, where it is not the token address."""
    families: ClassVar[tuple[str, ...]] = ()
    """The product codes by which it introduces itself."""
    shared_issuers: ClassVar[tuple[str, ...]] = ()
    """Issuers that all its customers share, whoever's host they are on."""
    trusts_deployments: ClassVar[bool] = False
    """Whether a client id belongs to one institution, so that its deployments are its own."""
    custom_parameters: ClassVar[dict[str, str]] = {"context_history": "$Context.id.history"}
    """Variables to be filled in with each launch."""
    audience_hint: ClassVar[str] = ""
    """What to do about a launch whose audience is not our client id."""
    after_registration: ClassVar[tuple[str, ...]] = (
        "Switch the tool on in your LMS, if it waits for that.",
        "Open it once from a course: that proves the connection.",
    )
    """What is left for the admin to do in this LMS, as sentences."""

    sign_in: ClassVar[SignIn | None] = None
    """How instructors sign in to its own API, where they can."""
    push_key_set: ClassVar[str | None] = None
    """Where the keys are that sign what it pushes; None when it pushes nothing."""
    own_course_parameter: ClassVar[str] = ""
    own_user_parameter: ClassVar[str] = ""
    """The custom parameters that carry its own ids, which pushes name."""

    def __init__(self, course: CourseHandle) -> None:
        self.course = course

    @classmethod
    def read_push(cls, event: Mapping[str, Any]) -> Push | None:
        """What a pushed event is about; None when it says nothing of grades or completion."""
        return None

    @classmethod
    def course_page(cls, issuer: str, context_id: str, custom: Mapping[str, str]) -> str | None:
        """The address of a course for people, if it can be told from its launches."""
        return None

    @classmethod
    def registration_messages(cls, launch_url: str) -> list[dict[str, Any]]:
        """The messages the tool takes, and where this LMS should offer them."""
        return [
            {"type": "LtiResourceLinkRequest", "target_link_uri": launch_url, "label": "Badges"},
            {"type": "LtiDeepLinkingRequest", "target_link_uri": launch_url, "label": "Badge"},
        ]

    @classmethod
    def registration_extras(cls, base_url: str) -> dict[str, Any]:
        """This LMS's own keys in the tool configuration."""
        return {}

    @classmethod
    def key_configuration(cls, base_url: str) -> dict[str, Any] | None:
        """A configuration document that an admin can point this LMS to, if it takes one."""
        return None

    @property
    def is_connected(self) -> bool:
        """Whether the LMS's own REST API can be used besides LTI."""
        return bool(self.course.connection)

    @property
    def asks_instructors(self) -> bool:
        """Whether in each course an instructor signs in, as the admin gave an application but no
        account that reads everything."""
        return self.sign_in is not None and (
            self.course.is_signed_in or self.sign_in.is_wanted(self.course.connection)
        )

    def sign_in_url(self, redirect_uri: str, state: str) -> str:
        """Where a person lets us read as them. Raises Unsupported."""
        if self.sign_in is None or not self.asks_instructors:
            raise Unsupported("In this LMS instructors do not sign in for their courses.")
        return self.sign_in.url(self.course.connection, redirect_uri, state)

    def take_code(self, code: str, redirect_uri: str) -> Mapping[str, str]:
        """The code that came back, for tokens to keep. Raises PlatformError."""
        if self.sign_in is None:
            raise Unsupported("In this LMS instructors do not sign in for their courses.")
        return self.sign_in.exchanged(self.course.http, self.course.connection, code, redirect_uri)

    def capabilities(self) -> tuple[Capability, ...]:
        """What rules can use here, in sentences for the instructor's page."""
        return (
            Capability(Kind.ITEM, True, "Grade items that the LMS shows to this tool."),
            Capability(
                Kind.COURSE_GRADE,
                False,
                "LTI does not tell course grades, and this LMS has no other connection here.",
            ),
            Capability(
                Kind.COMPLETION,
                False,
                "LTI does not tell course completion, and this LMS has no other connection here.",
            ),
        )

    def check(self) -> str:
        """Proves the REST connection; a sentence. Plain LTI has none."""
        raise Unsupported("This LMS has no connection besides LTI to check.")

    def own_columns(self) -> frozenset[str]:
        """Names of the columns that this tool wrote: other lists don't tell whose they are."""
        try:
            return frozenset(item.label for item in LMS.gradables(self) if item.is_own)
        except PlatformError:
            return frozenset()

    def members(self) -> Iterator[Member]:
        """Everybody in the course, active or not, each once. NRPS 2.0 §2."""
        url = self.course.memberships_url
        if not url:
            raise Unsupported(
                "The LMS does not share the list of members with this tool (Names and Role "
                "service). Learners are known once they open it."
            )
        return nrps.members(self.course.service, url)

    def gradables(self) -> Iterator[Gradable]:
        """Every item a rule can use, with where it comes from."""
        url = self.course.lineitems_url
        if not url:
            raise Unsupported(
                "The LMS does not share its gradebook with this tool (Assignment and Grade "
                "service). Ask the LMS admin to allow it."
            )
        return ags.line_items(self.course.service, url, self.course.scopes)

    def rare_gradables(self) -> Iterator[Gradable]:
        """What is asked for once a day only, because it seldom changes: sections and groups,
        competencies and the like. None over LTI alone."""
        return iter(())

    def readings(
        self,
        wanted: Sequence[Gradable],
        subs: Callable[[], Iterator[str]],
        *,
        unfinished: Callable[[], Iterator[str]] | None = None,
    ) -> Iterator[Reading]:
        """Values of the wanted gradables, in whatever order is cheapest for this LMS.

        `subs` lists the learners to ask for where the LMS answers per learner, `unfinished` those
        among them whose completions are not all known to be reached: enough for completions. Each
        gradable ends with `ReadInFull` or `Unread`; one that fails never stops the others.
        """
        for gradable in wanted:
            yield from self.read_item(gradable)

    def readings_of(self, sub: str, wanted: Sequence[Gradable]) -> Iterator[Reading]:
        """The same for one learner, in as few calls as possible: they are waiting for a page.

        `ReadInFull` then means that all of this learner was read.
        """
        for gradable in wanted:
            yield from self.read_item(gradable, sub)

    def read_item(self, gradable: Gradable, sub: str | None = None) -> Iterator[Reading]:
        """One line item's results by AGS."""
        if gradable.kind is not Kind.ITEM:
            yield unread(gradable, Unsupported(f"{gradable.label} can't be read over LTI."))
            return
        yield from guarded(gradable, ags.results(self.course.service, gradable.key, sub))

    def score_extensions(self) -> dict[str, Any]:
        """What this platform wants to be told with a score that passes a badge back."""
        return {}


def in_parts(*parts: Callable[[], Iterator[Gradable]]) -> Iterator[Gradable]:
    """One list after the other. A list that can't be read never hides the next; the first such
    failure is raised at the end."""
    failure: PlatformError | None = None
    for part in parts:
        try:
            yield from part()
        except PlatformError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def guarded(gradable: Gradable, values: Iterable[Reading]) -> Iterator[Reading]:
    """The values, then `ReadInFull`, or `Unread` if reading them fails on the way."""
    try:
        yield from values
    except PlatformError as error:
        yield unread(gradable, error)
    else:
        yield ReadInFull(gradable.kind, gradable.key)


def unread(gradable: Gradable, error: PlatformError) -> Unread:
    """The failure as a value, so that it stands beside what could be read."""
    wait = error.retry_after if isinstance(error, PlatformDown) else None
    return Unread(gradable.kind, gradable.key, error.message, error.code, wait)
