"""Blackboard Learn: one client id for all institutions, told apart by deployment.

Source: docs.anthology.com (LTI 1.3, AGS) and the Learn OpenAPI description.
Quirks: AGS lists only columns this tool made; ids of the REST API are told apart by prefixes
(`uuid:` is the LTI id); a grade is what `displayGrade` shows, `score` alone is an override; nothing
tells course completion, only how much of the content was marked as reviewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.core import clock
from lti_badges.core.errors import Gone, Unsupported
from lti_badges.core.http import Http
from lti_badges.core.text import as_text
from lti_badges.lms.base import LMS, CourseHandle
from lti_badges.lms.oauth import token_request
from lti_badges.lms.reading import Learners, Reader, each, keyed, of_kind
from lti_badges.lms.rest import Rest, id_of, number, rows
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

API = "/learn/api/public"
GRADES, REVIEWED = "Blackboard gradebook", "Blackboard content review"
GROUP_PREFIX, GROUPS = "blackboard-group:", "Blackboard groups"
WORDS = frozenset({"Tabular", "Text", "CompleteIncomplete"})
ITEM_PREFIX = "blackboard-column:"
PAGE_SIZE = "200"


class Blackboard(LMS):
    """Blackboard Learn by LTI, and by its REST API once an admin has connected it."""

    key = "blackboard"
    column_note = (
        "Blackboard counts the column as 1 point of the total: LTI can't keep it out. If you want "
        "it to count nothing, leave it out of the overall grade's calculation in the gradebook."
    )
    label = "Blackboard"
    families = ("blackboardlearn", "blackboard")
    hosted_origins = ("https://*.blackboard.com",)
    shared_issuers = ("https://blackboard.com",)
    endpoint_hosts = ("developer.blackboard.com",)
    custom_parameters: ClassVar[dict[str, str]] = {
        "user_uuid": "@X@user.uuid@X@",
        "course_id": "@X@course.pk_string@X@",
        "context_history": "$Context.id.history",
    }
    after_registration = (
        (
            "In Administrator Panel, Integrations, LTI Tool Providers: register the tool by its "
            "client id, allow grade and membership services, and send role, name and e-mail."
        ),
        "Approve each institution's deployment here: lti-badges deployments list.",
        "Open the tool once from a course: that proves the connection.",
    )
    connection_settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Address of your Learn", "For example https://learn.uni.edu"),
        Setting(
            "application_key",
            "REST application: key",
            "Admin, REST API Integrations, bound to a user whose role may view the gradebook "
            "(course.gradebook.MODIFY), course users (course.user.VIEW) and, for completion, the "
            "performance dashboard (course.performance.dashboard.VIEW); as you like, groups "
            "(course.group.VIEW)",
        ),
        Setting("application_secret", "REST application: secret", secret=True),
        Setting(
            "read_as",
            "Whose rights count",
            "application: those of the user it is bound to; instructors: in each course an "
            "instructor signs in",
            default="application",
            choices=("application", "instructors"),
        ),
    )

    sign_in = SignIn(
        authorize=f"{API}/v1/oauth2/authorizationcode",
        token=f"{API}/v1/oauth2/token",
        scopes="read offline",
        client=("application_key", "application_secret"),
        account=(),
        basic=True,
    )

    @property
    def is_connected(self) -> bool:
        """By the application itself, or by who signed in."""
        held = self.course.connection
        return bool(held.get("url")) and (not self._by_instructors or "refresh_token" in held)

    @property
    def asks_instructors(self) -> bool:
        """Where the admin chose it."""
        return self._by_instructors

    @property
    def _by_instructors(self) -> bool:
        return self.course.connection.get("read_as") == "instructors"

    def __init__(self, course: CourseHandle) -> None:
        super().__init__(course)
        self._subs: dict[str, str] | None = None

    @property
    def rest(self) -> Rest:
        """The institution's API."""
        return Rest(self.course, self.course.connection.get("url", ""), _grant)

    def check(self) -> str:
        """Reads the version, and with it proves the token."""
        answer = self.rest.json(f"{API}/v1/system/version")
        learn = answer.get("learn", {}) if isinstance(answer, dict) else {}
        version = f"{learn.get('major', '?')}.{learn.get('minor', '?')}"
        return f"{self.course.connection['url']} let us in; Learn {version}."

    api_tells = (
        (Kind.ITEM, "Every gradebook column."),
        (Kind.COURSE_GRADE, "The overall grade of the course."),
        (
            Kind.COMPLETION,
            (
                "Blackboard knows no course completion; all reviewable content reviewed counts as "
                "completed."
            ),
        ),
        (
            Kind.GROUP,
            "Groups, if the connection's role may see them; they are listed once a day.",
        ),
    )
    lti_tells = "Over LTI, Blackboard shows this tool its own columns only."
    lti_misses = "Blackboard does not tell this over LTI; an admin can connect its REST API."

    def api_gradables(self) -> Iterator[Gradable]:
        """All columns, the overall grade and content review."""
        own = self.own_columns()
        for row in self._pages(f"{self._path('v2')}/gradebook/columns"):
            name = str(row.get("displayName") or row.get("name") or "Untitled column")
            is_total = bool(row.get("externalGrade"))
            yield Gradable(
                Kind.COURSE_GRADE if is_total else Kind.ITEM,
                COURSE_GRADE_KEY if is_total else f"{ITEM_PREFIX}{id_of(row)}",
                name,
                _possible(row.get("score")),
                GRADES,
                is_own=name in own and not is_total,
                is_hidden=_is_hidden(row),
            )
        label = "All reviewable content reviewed"
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, label, None, REVIEWED)

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Groups."""
        for row in self._pages(f"{self._path('v2')}/groups"):
            label = f"Group “{row.get('name')}”"
            key = f"{GROUP_PREFIX}{id_of(row)}"
            yield Gradable(Kind.GROUP, key, label, None, GROUPS, is_rare=True)

    def readers(self) -> Sequence[Reader]:
        """Column by column: all learners in a few pages each, or one learner in one call."""
        return (
            each(of_kind(Kind.COMPLETION), self._reviews),
            each(of_kind(Kind.COURSE_GRADE), self._column),
            each(keyed(ITEM_PREFIX), self._column),
            each(keyed(GROUP_PREFIX), self._members_of),
        )

    def _path(self, version: str) -> str:
        return f"{API}/{version}/courses/uuid:{quote(self.course.context_id, safe='')}"

    def _users(self, gradable: Gradable) -> str:
        column = gradable.key.removeprefix(ITEM_PREFIX)
        name = "finalGrade" if gradable.kind is Kind.COURSE_GRADE else column
        return f"{self._path('v2')}/gradebook/columns/{quote(name, safe='')}/users"

    def _column(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        if learners.one is not None:
            yield from self._one(gradable, learners.one)
            return
        who = self._who()
        if not who:  # an older Learn does not expand its users: each is known by the LTI id alone
            for learner in learners.subs():
                yield from self._one(gradable, learner)
            return
        for row in self._pages(self._users(gradable)):
            if sub := who.get(str(row.get("userId"))):
                yield _result(gradable, sub, row)

    def _one(self, gradable: Gradable, sub: str) -> Iterator[Result]:
        try:
            row = self.rest.json(f"{self._users(gradable)}/uuid:{quote(sub, safe='')}")
        except Gone:  # “grade detail values have not yet been populated”: nothing recorded
            return
        if isinstance(row, dict):
            yield _result(gradable, sub, row)

    def _group(self, key: str) -> str:
        group = quote(key.removeprefix(GROUP_PREFIX), safe="")
        return f"{self._path('v2')}/groups/{group}/users"

    def _membership(self, key: str, sub: str) -> Iterator[Completion]:
        with suppress(Gone):  # not in it, or the group is gone: the course's own reading tells
            self.rest.json(f"{self._group(key)}/uuid:{quote(sub, safe='')}")
            yield Completion(sub, key, True, None, clock.now(), is_group=True)

    def _members_of(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        key = gradable.key
        if learners.one is not None:
            yield from self._membership(key, learners.one)
            return
        who = self._who()
        if not who:
            raise Unsupported("This Learn does not tell whose LTI id its course users have.")
        for row in self._pages(self._group(key)):
            if sub := who.get(str(row.get("userId"))):
                yield Completion(sub, key, True, None, clock.now(), is_group=True)

    def _reviews(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        sub = learners.one
        who = self._who() if sub is None else {}
        params = {} if sub is None else {"userId": f"uuid:{sub}"}
        path = f"{self._path('v1')}/performance/contentReviewStatus"
        for row in self._pages(path, params):
            owner = sub or who.get(str(row.get("userId")))
            total, done = row.get("reviewableCount"), row.get("reviewedCount")
            if owner and isinstance(total, int) and total > 0:
                yield Completion(owner, COURSE_COMPLETION, done == total, None, clock.now())

    def _who(self) -> dict[str, str]:
        """LTI ids by the API's own user ids."""
        if self._subs is None:
            params = {"expand": "user", "fields": "userId,user.uuid"}
            self._subs = {}
            for row in self._pages(f"{self._path('v1')}/users", params):
                user = row.get("user")
                if isinstance(user, dict) and user.get("uuid"):
                    self._subs[str(row.get("userId"))] = str(user["uuid"])
        return self._subs

    def _pages(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """All rows, by `paging.nextPage`."""
        query = {"limit": PAGE_SIZE, **(params or {})}
        for answer in self.rest.addressed(path, query, _next_page):
            yield from rows(answer, "results")


def _next_page(answer: Mapping[str, Any]) -> Any:
    paging = answer.get("paging")
    return paging.get("nextPage") if isinstance(paging, dict) else None


def _grant(http: Http, values: Mapping[str, str]) -> Mapping[str, Any]:
    form = {"grant_type": "client_credentials"}
    if values.get("refresh_token"):
        form = {
            "grant_type": "refresh_token",
            "refresh_token": values["refresh_token"],
            "redirect_uri": values.get("redirect_uri", ""),
        }
    return token_request(
        http,
        f"{values.get('url', '').rstrip('/')}{API}/v1/oauth2/token",
        form,
        basic=(values.get("application_key", ""), values.get("application_secret", "")),
    )


def _result(gradable: Gradable, sub: str, row: Mapping[str, Any]) -> Result:
    """What the learner sees (`displayGrade`), points of the column's own maximum."""
    shown = row.get("displayGrade")
    shown = shown if isinstance(shown, dict) else {}
    score, maximum = number(shown.get("score")), number(shown.get("possible")) or gradable.maximum
    words = str(shown.get("text") or "").strip() if as_text(shown.get("scaleType")) in WORDS else ""
    state = ResultState.MISSING if score is None and not words else ResultState.GRADED
    if row.get("exempt"):
        state = ResultState.EXCUSED
    elif row.get("corrupt") or row.get("status") == "NeedsGrading":
        state = ResultState.PENDING
    if shown.get("scaleType") == "Percent" and "%" in str(shown.get("text", "")):
        maximum = Fraction(100)
    if gradable.is_hidden and state is ResultState.GRADED:
        state = ResultState.HIDDEN
    if words:  # letters and ticks: what stands beside them as score is the schema's, not the work's
        return Result(gradable.key, sub, state, None, maximum, clock.now(), words)
    return Result(gradable.key, sub, state, score, maximum, clock.now())


def _is_hidden(column: Mapping[str, Any]) -> bool:
    """Whether students don't see the column at all."""
    availability = column.get("availability")
    return isinstance(availability, dict) and availability.get("available") == "No"


def _possible(score: object) -> Fraction | None:
    return number(score.get("possible")) if isinstance(score, dict) else None
