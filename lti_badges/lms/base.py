"""The interface every LMS stands behind. The base class is a working plain LTI Advantage
platform; a vendor's file overrides what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, ClassVar

from lti_badges.core.errors import PlatformError, Unsupported
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.reader_dispatch import Learners, Reader, each, of_kind, read_by
from lti_badges.lms.sign_in import SignIn
from lti_badges.lti import ags, nrps
from lti_badges.values.course import Gradable, Kind, Member, Reading, Result
from lti_badges.values.settings import Setting

HISTORY = "context_history"
"""The custom parameter that names what a course was copied from, nearest first."""


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
    connection_settings: ClassVar[tuple[Setting, ...]] = ()
    default_audience: ClassVar[str | None] = None
    """What service-token assertions name as audience, where it is not the token address."""
    takes_authorization_server: ClassVar[bool] = True
    """Whether `authorization_server` of its OpenID configuration is that audience (LTI-DR §3.5)."""
    rows_a_page: ClassVar[int | None] = None
    """How many line items and results to ask for at a time; None leaves it to the platform."""
    members_a_page: ClassVar[int | None] = None
    families: ClassVar[tuple[str, ...]] = ()
    """The product codes by which it introduces itself."""
    shared_issuers: ClassVar[tuple[str, ...]] = ()
    hosted_origins: ClassVar[tuple[str, ...]] = ()
    """Where the vendor hosts the schools of its shared issuers, as CSP sources."""
    """Issuers that all its customers share, whoever's host they are on."""
    endpoint_hosts: ClassVar[tuple[str, ...]] = ()
    """The vendor's own hosts, where the addresses of a shared issuer must be; a leading dot stands
    for all hosts below."""
    trusts_deployments: ClassVar[bool] = False
    """Whether a client id belongs to one institution, so that its deployments are its own."""
    custom_parameters: ClassVar[dict[str, str]] = {HISTORY: "$Context.id.history"}
    """Variables to be filled in with each launch."""
    history_parameters: ClassVar[tuple[str, ...]] = (HISTORY,)
    """The custom parameters that name what a course was copied from."""
    audience_hint: ClassVar[str] = ""
    """What to do about a launch whose audience is not our client id."""
    after_registration: ClassVar[tuple[str, ...]] = (
        "Switch the tool on in your LMS, if it waits for that.",
        "Open it once from a course: that proves the connection.",
    )
    """What is left for the admin to do in this LMS, as sentences."""

    calls_a_day: ClassVar[int | None] = None
    """How many calls of its own API a course's readings may take in a day; None for no limit."""
    column_note: ClassVar[str] = (
        "The column has 1 point, and counts as such in course totals: LTI can't keep it out. If "
        "you want it to count nothing, give it the weight 0 in your gradebook."
    )
    """What an instructor must know of the gradebook columns that this tool makes here."""
    sign_in: ClassVar[SignIn | None] = None
    """How instructors sign in to its own API, where they can."""
    push_key_set: ClassVar[str | None] = None
    """Where the keys are that sign what it pushes; None when it pushes nothing."""
    own_course_parameter: ClassVar[str] = ""
    own_user_parameter: ClassVar[str] = ""
    """The custom parameters that carry its own ids, which pushes name."""

    api_tells: ClassVar[tuple[tuple[Kind, str], ...]] = ()
    """What its own API tells besides LTI, in sentences for instructors."""
    lti_tells: ClassVar[str] = "Grade items that the LMS shows to this tool."
    lti_misses: ClassVar[str] = "LTI does not tell this, and this LMS has no other connection here."

    def __init__(self, course: CourseHandle) -> None:
        self.course = course

    @classmethod
    def guide(cls) -> str:
        """How an admin connects this LMS, in Markdown: `guide.md` beside the adapter."""
        folder = cls.__module__.rpartition(".")[0]
        return (resources.files(folder) / "guide.md").read_text("utf-8")

    @classmethod
    def read_push(cls, event: Mapping[str, Any]) -> Push | None:
        """What a pushed event is about; None when it says nothing of grades or completion."""
        return None

    @classmethod
    def told_besides(cls, claims: Mapping[str, Any]) -> dict[str, str]:
        """What its launches tell in claims of its own, as custom parameters; these win over what
        somebody wrote as such."""
        return {}

    @classmethod
    def audience(cls, stored: str | None) -> str | None:
        """What service-token assertions name, given what was stored at registration; None for the
        token address itself."""
        if stored and not cls.takes_authorization_server and "://" not in stored:
            stored = None  # stored by an earlier version, and refused by the platform
        return stored or cls.default_audience

    @classmethod
    def course_page(cls, issuer: str, context_id: str, custom: Mapping[str, str]) -> str | None:
        """The address of a course for people, if it can be told from its launches."""
        return None

    @classmethod
    def registration_messages(
        cls, launch_url: str, options: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """The messages the tool takes, and where this LMS should offer them. `options` are what
        the admin put into the registration address."""
        return [
            {"type": "LtiResourceLinkRequest", "target_link_uri": launch_url, "label": "Badges"},
            {"type": "LtiDeepLinkingRequest", "target_link_uri": launch_url, "label": "Badge"},
        ]

    @classmethod
    def registration_extras(cls, base_url: str) -> dict[str, Any]:
        """This LMS's own keys in the tool configuration."""
        return {}

    @classmethod
    def key_configuration(cls, base_url: str, options: Mapping[str, str]) -> dict[str, Any] | None:
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
        if self.is_connected and self.api_tells:
            return tuple(Capability(kind, True, said) for kind, said in self.api_tells)
        return (
            Capability(Kind.ITEM, True, self.lti_tells),
            *(
                Capability(kind, False, self.lti_misses)
                for kind in (Kind.COURSE_GRADE, Kind.COMPLETION)
            ),
        )

    def check(self) -> str:
        """Proves the REST connection; a sentence. Plain LTI has none."""
        raise Unsupported("This LMS has no connection besides LTI to check.")

    def own_columns(self) -> frozenset[str]:
        """Names of the columns that this tool wrote: other lists don't tell whose they are."""
        try:
            return frozenset(item.label for item in self.lti_gradables() if item.is_own)
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
        return nrps.members(self.course.service, url, limit=self.members_a_page)

    def gradables(self) -> Iterator[Gradable]:
        """Every item a rule can use, with where it comes from."""
        return self.api_gradables() if self.is_connected else self.lti_gradables()

    def lti_gradables(self) -> Iterator[Gradable]:
        """The line items that the platform shows this tool (AGS 2.0 §3.2)."""
        course, url = self.course, self.course.lineitems_url
        if url:
            return ags.line_items(course.service, url, course.scopes, limit=self.rows_a_page)
        if course.coupled:
            return ags.coupled_line_items(course.service, course.coupled, course.scopes)
        raise Unsupported(
            "The LMS does not share its gradebook with this tool (Assignment and Grade "
            "service). Ask the LMS admin to allow it."
        )

    def api_gradables(self) -> Iterator[Gradable]:
        """What its own API lists in place of AGS, once that is connected."""
        return self.lti_gradables()

    def rare_gradables(self) -> Iterator[Gradable]:
        """What is asked for once a day only, because it seldom changes: sections and groups,
        competencies and the like. None over LTI alone."""
        return self.rare_api_gradables() if self.is_connected else iter(())

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """The same from its own API."""
        return iter(())

    def readers(self) -> Sequence[Reader]:
        """How its own gradables are read, in the order in which that is cheapest. What none of
        them takes is a line item of AGS."""
        return ()

    def readings(
        self,
        wanted: Sequence[Gradable],
        subs: Callable[[], Iterator[str]],
        *,
        unfinished: Callable[[], Iterator[str]] | None = None,
        changed_since: datetime | None = None,
    ) -> Iterator[Reading]:
        """Values of the wanted gradables, in whatever order is cheapest for this LMS.

        `subs` lists the learners to ask for where the LMS answers per learner, `unfinished` those
        among them whose completions are not all known to be reached: enough for completions. Each
        gradable ends with `ReadInFull` or `Unread`; one that fails never stops the others. With
        `changed_since` it may end with `UpToDate` instead, where only changes were asked for.
        """
        return self._read(wanted, Learners(None, subs, unfinished or subs, changed_since))

    def readings_of(self, sub: str, wanted: Sequence[Gradable]) -> Iterator[Reading]:
        """The same for one learner, in as few calls as possible: they are waiting for a page.

        `ReadInFull` then means that all of this learner was read.
        """
        return self._read(wanted, Learners.only(sub))

    def _read(self, wanted: Sequence[Gradable], learners: Learners) -> Iterator[Reading]:
        return read_by((*self.readers(), each(of_kind(Kind.ITEM), self._results)), wanted, learners)

    def _results(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        """One line item's results by AGS."""
        return ags.results(self.course.service, gradable.key, learners.one, limit=self.rows_a_page)

    def column_extensions(self) -> dict[str, Any]:
        """What this platform wants to be told with a column that this tool makes."""
        return {}

    def score_extensions(self, *, clears: bool = False) -> dict[str, Any]:
        """What this platform wants to be told with a score that passes a badge back, or with what
        `clears` it."""
        return {}
