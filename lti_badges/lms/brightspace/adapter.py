"""D2L Brightspace: registered per institution.

Source: D2L knowledge base 23662, 23752, 23756, 1196 and the Valence reference (grades, content).
Quirks: service tokens are for one fixed audience, not the token address; the roster may hold only
learners who opened the tool; the LTI user id ends in `_<Valence id>`; refresh tokens work once;
grades count once they are released; completion records exist only where somebody makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.core import clock
from lti_badges.core.errors import Unsupported
from lti_badges.lms.base import HISTORY, LMS
from lti_badges.lms.brightspace.completion import completions
from lti_badges.lms.brightspace.further_sources import RARE, TOPIC, BrightspaceMore
from lti_badges.lms.brightspace.grades import ITEM_PREFIX, Gradebook
from lti_badges.lms.brightspace.valence import (
    AUDIENCE,
    OPTIONAL,
    PERSON,
    REQUIRED,
    SCOPES,
    SERVICE_USER,
    TOKEN_URL,
    granted,
    proved,
    refusal,
    versions,
)
from lti_badges.lms.reader_dispatch import Learners, Reader, each, keyed, of_kind
from lti_badges.lms.rest import Rest
from lti_badges.lms.sign_in import SignIn
from lti_badges.values.course import (
    COURSE_COMPLETION,
    Completion,
    Gradable,
    Kind,
    Result,
    ResultState,
)
from lti_badges.values.settings import Setting

RECORDS = "Brightspace completion"
CLAIM = "http://www.brightspace.com"


class Brightspace(LMS):
    """Brightspace by LTI, and by its Valence API once an admin has connected it."""

    key = "brightspace"
    column_note = (
        "Brightspace counts the grade item as 1 point: LTI can't keep it out. If you want it to "
        "count nothing, tick “Exclude from Final Grade Calculation” in it."
    )
    label = "Brightspace"
    default_audience = AUDIENCE
    members_a_page = 100
    families = ("desire2learn", "d2l", "brightspace")
    trusts_deployments = True
    custom_parameters: ClassVar[dict[str, str]] = {
        "brightspace_user_id": "$User.id",
        "context_history": "$Context.id.history",
    }
    after_registration = (
        "In Manage Extensibility, LTI Advantage: open the tool and enable it.",
        "Tick Assignment and Grade Services, Deep Linking, Names and Role Provisioning Services.",
        (
            "Create a deployment with name, e-mail and user id sent, the class list “including "
            "users not known to the tool”, and share it with the org units that use it."
        ),
        "Open the tool once from a course: that proves the connection.",
    )
    connection_settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Address of your Brightspace", "For example https://uni.brightspace.com"),
        Setting(
            "client_id",
            "OAuth 2.0 application: client id",
            f"Manage Extensibility, OAuth 2.0; its scopes: {' '.join(REQUIRED)}; as you like, for "
            f"completion, topics, sections and groups: {' '.join(OPTIONAL)}",
        ),
        Setting(
            "read_as",
            "Whose rights count",
            "refresh-token: those of the person who authorised the application; service-user: "
            "those of the service user that is bound to it, proved by this tool's key set",
            default=PERSON,
            choices=(PERSON, SERVICE_USER),
        ),
        Setting(
            "client_secret",
            "OAuth 2.0 application: secret",
            "Not for a service user",
            secret=True,
            required=False,
        ),
        Setting(
            "refresh_token",
            "Refresh token of a user who may see all grades",
            "Without one, and without a service user, in each course an instructor signs in",
            secret=True,
            required=False,
        ),
        Setting("scopes", "Scopes to ask for, if not all of the above", required=False),
        Setting("token_url", "Token address, if not D2L's", default=TOKEN_URL),
    )

    sign_in = SignIn(
        authorize="https://auth.brightspace.com/oauth2/auth",
        token=TOKEN_URL,
        scopes=SCOPES,
        client=("client_id", "client_secret"),
        account=("refresh_token",),
        basic=True,
        token_setting="token_url",  # noqa: S106 - a setting's name
    )

    @property
    def is_connected(self) -> bool:
        """An application without a service user or anybody's refresh token reads nothing."""
        held = self.course.connection
        return bool(held.get("refresh_token")) or self._by_service_user

    @property
    def asks_instructors(self) -> bool:
        """Not where a service user reads everything."""
        return super().asks_instructors and not self._by_service_user

    @property
    def _by_service_user(self) -> bool:
        held = self.course.connection
        return held.get("read_as") == SERVICE_USER and bool(held.get("client_id"))

    @property
    def rest(self) -> Rest:
        """The institution's API."""
        grant = granted(self.course.service.assertion)
        return Rest(self.course, self._site, grant, refusal)

    @property
    def _site(self) -> str:
        return self.course.connection.get("url", "")

    def check(self) -> str:
        """Which scopes the application has, asked of a route of each."""
        return proved(self.rest, self._site)

    @classmethod
    def course_page(cls, issuer: str, context_id: str, custom: Mapping[str, str]) -> str | None:
        """The issuer is the institution's own host, the context's id its org unit."""
        return f"{issuer}/d2l/home/{context_id}"

    @classmethod
    def told_besides(cls, claims: Mapping[str, Any]) -> dict[str, str]:
        """What a course was copied from stands in its own claim; the variable of that name is not
        filled in by every version (knowledge base 4261, 18098)."""
        own = claims.get(CLAIM)
        history = own.get("Context.id.history") if isinstance(own, dict) else None
        return {HISTORY: history} if isinstance(history, str) and history.strip() else {}

    api_tells = (
        (Kind.ITEM, "Every grade item that learners can see."),
        (
            Kind.COURSE_GRADE,
            (
                "The final grade, once it is released; where ungraded items don't count as zero, "
                "once all items are graded."
            ),
        ),
        (
            Kind.COMPLETION,
            (
                "Completion records, where your institution makes them; else all visible content "
                "topics completed. Checklists can't be used: Brightspace tells nobody who ticked "
                "what."
            ),
        ),
        (
            Kind.GROUP,
            (
                "Sections, groups and completed content topics, as far as the connection's scopes "
                "allow; they are listed once a day."
            ),
        ),
    )
    lti_tells = "Over LTI, Brightspace shows this tool its own grade items only."
    lti_misses = "Brightspace does not tell this over LTI; an admin can connect its own API."

    def api_gradables(self) -> Iterator[Gradable]:
        """All grade items, the final grade and completion."""
        yield from self._gradebook.items(self.own_columns())
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, "Course completion", None, RECORDS)

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Sections, groups, content topics."""
        return self._more.gradables()

    def readers(self) -> Sequence[Reader]:
        """Item by item: all learners in a few pages each, or one learner in one call."""
        return (
            each(of_kind(Kind.COMPLETION), self._completions),
            each(of_kind(Kind.COURSE_GRADE), self._values),
            each(keyed(ITEM_PREFIX), self._values),
            each(keyed(*RARE), self._rare),
        )

    def _values(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        who, strangers = _who(learners)
        yield from self._gradebook.values(gradable, who, alone=learners.one is not None)
        for sub in strangers:  # unknown, and never “no grade”
            yield Result(gradable.key, sub, ResultState.PENDING, None, None, clock.now())

    def _completions(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        who, _ = _who(learners)
        alone = learners.one is not None
        return completions(self.rest, self._le, self._more, who, alone=alone)

    def _rare(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        who, _ = _who(learners)
        if gradable.key.startswith(TOPIC):
            alone = learners.one is not None
            return self._more.completed(gradable.key, who, alone=alone)
        return self._more.members(gradable.key, who)

    @property
    def _gradebook(self) -> Gradebook:
        return Gradebook(self.rest, self._le)

    @property
    def _more(self) -> BrightspaceMore:
        return BrightspaceMore(self.rest, self._address("lp"), self._le)

    @property
    def _le(self) -> str:
        return self._address("le")

    def _address(self, product: str) -> str:
        """The org unit is the context's id, which the platform signed; a custom parameter may have
        been written by a teacher."""
        spoken = versions(self.rest, self._site)[product]
        return f"/d2l/api/{product}/{spoken}/{quote(self.course.context_id, safe='')}"


def _who(learners: Learners) -> tuple[dict[str, str], list[str]]:
    """LTI ids by Valence ids; and those that hold none, as of an anonymous deployment. Raises
    Unsupported where the one learner is such."""
    known: dict[str, str] = {}
    strangers: list[str] = []
    for sub in learners.subs():
        user = sub.rpartition("_")[2]
        if user.isascii() and user.isdecimal():
            known[user] = sub
        else:
            strangers.append(sub)
    if learners.one is not None and strangers:
        raise Unsupported(
            "Brightspace does not tell this tool who this learner is in its gradebook: the "
            "deployment is anonymous."
        )
    return known, strangers
