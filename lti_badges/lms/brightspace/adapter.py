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
from lti_badges.core.errors import Gone
from lti_badges.core.http import Http
from lti_badges.core.paging import pages
from lti_badges.lms.base import LMS
from lti_badges.lms.brightspace.further_sources import RARE, TOPIC, BrightspaceMore, next_objects
from lti_badges.lms.oauth import token_request
from lti_badges.lms.reading import Learners, Reader, each, keyed, of_kind
from lti_badges.lms.rest import Rest, id_of, number, rows, unreadable
from lti_badges.lms.sign_in import SignIn
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    Result,
    ResultState,
)
from lti_badges.values.settings import Setting

GRADES, RECORDS = "Brightspace grades", "Brightspace completion records"
IN_WORDS = frozenset({"PassFail", "SelectBox", "Text"})
ITEM_PREFIX = "brightspace-grade:"
SCOPES = (
    "grades:gradeobjects:read grades:gradevalues:read grades:coursecompletion:read "
    "users:own_profile:read"
)
TOKEN_URL = "https://auth.brightspace.com/core/connect/token"  # noqa: S105 - an address


class Brightspace(LMS):
    """Brightspace by LTI, and by its Valence API once an admin has connected it."""

    key = "brightspace"
    label = "Brightspace"
    default_audience = "https://api.brightspace.com/auth/token"
    families = ("desire2learn", "d2l", "brightspace")
    trusts_deployments = True
    custom_parameters: ClassVar[dict[str, str]] = {
        "brightspace_user_id": "$User.id",
        "brightspace_org_unit": "$Context.id",
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
            "Manage Extensibility, OAuth 2.0; scopes grades:gradeobjects:read "
            "grades:gradevalues:read grades:coursecompletion:read users:own_profile:read; as you "
            "like, for content topics: content:completions:read content:toc:read, and for sections "
            "and groups the read scopes of those",
        ),
        Setting("client_secret", "OAuth 2.0 application: secret", secret=True),
        Setting(
            "refresh_token",
            "Refresh token of a user who may see all grades",
            "Without one, in each course an instructor signs in",
            secret=True,
            required=False,
        ),
        Setting("version", "Version of the le API", default="1.51"),
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
        """An application without anybody's refresh token reads nothing."""
        return bool(self.course.connection.get("refresh_token"))

    @property
    def rest(self) -> Rest:
        """The institution's API."""
        return Rest(self.course, self.course.connection.get("url", ""), _grant)

    def check(self) -> str:
        """Who the token belongs to."""
        me = self.rest.json("/d2l/api/lp/1.31/users/whoami")
        name = me.get("UniqueName", "?") if isinstance(me, dict) else "?"
        return f"{self.course.connection['url']} let us in as {name}."

    @classmethod
    def course_page(cls, issuer: str, context_id: str, custom: Mapping[str, str]) -> str | None:
        """The issuer is the institution's own host."""
        return f"{issuer}/d2l/home/{custom.get('brightspace_org_unit') or context_id}"

    api_tells = (
        (Kind.ITEM, "Every grade item, once its grade is released."),
        (Kind.COURSE_GRADE, "The final grade, once it is released."),
        (
            Kind.COMPLETION,
            (
                "Completion records, where your institution makes them; who has none counts as not "
                "known."
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
        own = self.own_columns()
        for row in rows(self.rest.json(f"{self._path}/grades/")):
            name = str(row.get("Name") or "Untitled grade item")
            yield Gradable(
                Kind.ITEM,
                f"{ITEM_PREFIX}{id_of(row, 'Id')}",
                name,
                number(row.get("MaxPoints")),
                GRADES,
                is_own=name in own,
                in_words=row.get("GradeType") in IN_WORDS,
                is_hidden=bool(row.get("IsHidden")),
            )
        yield Gradable(Kind.COURSE_GRADE, COURSE_GRADE_KEY, "Final grade", None, GRADES)
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, "Course completion", None, RECORDS)

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Sections, groups, content topics."""
        return self._more.gradables()

    @property
    def _more(self) -> BrightspaceMore:
        return BrightspaceMore(self.rest, quote(self._unit, safe=""), self._path)

    def readers(self) -> Sequence[Reader]:
        """Item by item: all learners in a few pages each, or one learner in one call."""
        return (
            each(of_kind(Kind.COMPLETION), self._records),
            each(of_kind(Kind.COURSE_GRADE), self._values),
            each(keyed(ITEM_PREFIX), self._values),
            each(keyed(*RARE), self._rare),
        )

    def _rare(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        read = self._more.completed if gradable.key.startswith(TOPIC) else self._more.members
        return read(gradable.key, self._who(learners.subs()))

    @property
    def _path(self) -> str:
        version = self.course.connection.get("version") or "1.51"
        return f"/d2l/api/le/{version}/{quote(self._unit, safe='')}"

    @property
    def _unit(self) -> str:
        return self.course.custom.get("brightspace_org_unit") or self.course.context_id

    def _of(self, gradable: Gradable) -> str:
        item = "final" if gradable.kind is Kind.COURSE_GRADE else gradable.key
        return f"{self._path}/grades/{item.removeprefix(ITEM_PREFIX)}/values/"

    def _values(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        if learners.one is not None:
            yield from self._value(gradable, learners.one)
            return
        who = self._who(learners.subs())
        query = {"pageSize": "200"}
        for answer in self.rest.addressed(self._of(gradable), query, next_objects):
            for row in rows(answer, "Objects"):
                user = row.get("User")
                sub = who.get(str(user.get("Identifier"))) if isinstance(user, dict) else None
                if sub and isinstance(row.get("GradeValue"), dict):
                    yield _result(gradable, sub, row["GradeValue"])

    def _value(self, gradable: Gradable, sub: str) -> Iterator[Result]:
        try:
            row = self.rest.json(f"{self._of(gradable)}{quote(_valence(sub), safe='')}")
        except Gone:  # no grade yet
            return
        if isinstance(row, dict):
            yield _result(gradable, sub, row)

    def _records(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        who = self._who(learners.subs())
        query: dict[str, str] = {"userId": next(iter(who))} if len(who) == 1 else {}

        def fetch(bookmark: str) -> tuple[Any, str | None]:
            marked = query | {"bookmark": bookmark} if bookmark else query
            answer = self.rest.json(f"{self._path}/grades/courseCompletion/", marked)
            paging = answer.get("PagingInfo") if isinstance(answer, dict) else None
            if not isinstance(paging, dict) or not paging.get("HasMoreItems"):
                return answer, None
            return answer, str(paging.get("Bookmark"))

        for answer in pages("", fetch, unreadable):
            for row in rows(answer, "Items"):
                if (sub := who.get(str(row.get("UserId")))) and row.get("CompletedDate"):
                    at = clock.parse_iso(str(row["CompletedDate"]))
                    yield Completion(sub, COURSE_COMPLETION, True, at, clock.now())

    def _who(self, subs: Iterator[str]) -> dict[str, str]:
        """LTI ids by Valence ids."""
        return {_valence(sub): sub for sub in subs}


def _valence(sub: str) -> str:
    return sub.rpartition("_")[2]


def _grant(http: Http, values: Mapping[str, str]) -> Mapping[str, Any]:
    return token_request(
        http,
        values.get("token_url") or TOKEN_URL,
        {"grant_type": "refresh_token", "refresh_token": values.get("refresh_token", "")},
        basic=(values.get("client_id", ""), values.get("client_secret", "")),
    )


def _result(gradable: Gradable, sub: str, value: Mapping[str, Any]) -> Result:
    """Points where there are any, else the weighted share; letters and ticks have none."""
    score, maximum = number(value.get("PointsNumerator")), number(value.get("PointsDenominator"))
    if not maximum:
        score = number(value.get("WeightedNumerator"))
        maximum = number(value.get("WeightedDenominator"))
    mark = str(value.get("DisplayedGrade") or "").strip() or None if gradable.in_words else None
    state = ResultState.GRADED
    if mark is None and (score is None or not maximum):
        state = ResultState.PENDING if value.get("DisplayedGrade") else ResultState.MISSING
    elif gradable.is_hidden or (
        gradable.kind is Kind.COURSE_GRADE and value.get("ReleasedDate") is None
    ):
        state = ResultState.HIDDEN
    return Result(gradable.key, sub, state, score, maximum, clock.now(), mark)
