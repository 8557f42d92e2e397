"""Blackboard Learn: one client id for all institutions, told apart by deployment.

Source: docs.anthology.com (LTI 1.3, AGS) and the Learn OpenAPI description.
Quirks: AGS lists only columns this tool made; ids of the REST API are told apart by prefixes
(`uuid:` is the LTI id); a grade is what `displayGrade` shows, `score` alone is an override; nothing
tells course completion, only how much of the content was marked as reviewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.core import clock
from lti_badges.core.errors import Gone, NoRight, Unsupported
from lti_badges.core.http import Http
from lti_badges.lms.base import LMS
from lti_badges.lms.blackboard.columns import API, ITEM_PREFIX, column_of, is_calculated
from lti_badges.lms.blackboard.quota import ACTIVE, DORMANT, WAITED_FOR, DailyQuota
from lti_badges.lms.blackboard.rights import missing_rights, some_course
from lti_badges.lms.blackboard.roster import PARAMETERS, Roster, roster
from lti_badges.lms.blackboard.values import result_of
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.oauth import token_request
from lti_badges.lms.reading import Learners, Reader, each, in_parts, keyed, of_kind, together
from lti_badges.lms.rest import Rest, id_of, key_of, rows
from lti_badges.lms.sign_in import SignIn
from lti_badges.values.course import (
    COURSE_COMPLETION,
    Completion,
    Gradable,
    Kind,
    Reading,
    Result,
    ResultState,
)
from lti_badges.values.settings import Setting

REVIEWED = "Blackboard content review"
GROUP_PREFIX, GROUPS = "blackboard-group:", "Blackboard groups"
CHILD_PREFIX, CHILDREN = "blackboard-child:", "Blackboard merged courses"
INDEXES = "change_indexes"
"""Under which the adapter remembers each column's highest change index (None: no grade yet)."""
PAGE_SIZE = "200"


class Blackboard(LMS):
    """Blackboard Learn by LTI, and by its REST API once an admin has connected it."""

    key = "blackboard"
    calls_a_day = 100
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
            "(course.group.VIEW) and merged courses (course.children.VIEW)",
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
        self._is_waited_for = False
        self._indexed: set[str] = set()

    @property
    def rest(self) -> Rest:
        """The institution's API, as far as its quota goes for what is read."""
        held = self.course.connection
        reserve = ACTIVE if self.course.is_active else DORMANT
        quota = DailyQuota(
            f"{held.get('application_key', '')} {held.get('url', '')}",
            self.course.calls,
            WAITED_FOR if self._is_waited_for else reserve,
        )
        return Rest(self.course, held.get("url", ""), _grant, quota=quota)

    def check(self) -> str:
        """Reads the version, and with it proves the token; then asks in one course for a row of
        each list that is needed. Raises NoRight naming every entitlement that is missing."""
        self._is_waited_for = True
        answer = self.rest.json(f"{API}/v1/system/version")
        learn = answer.get("learn") if isinstance(answer, dict) else None
        told = learn if isinstance(learn, dict) else {}
        version = f"{told.get('major', '?')}.{told.get('minor', '?')}"
        said = f"{self.course.connection['url']} let us in; Learn {version}."
        course = some_course(self.rest, self.course.context_id)
        if course is None:
            return f"{said} What it may read is proved with its first course."
        missing = missing_rights(self.rest, course)
        lacks = [each for each in missing if not each.is_optional]
        if lacks:
            raise NoRight(f"{said} But: " + " ".join(each.sentence for each in lacks))
        return " ".join((said, *(each.sentence for each in missing)))

    def _read(self, wanted: Sequence[Gradable], learners: Learners) -> Iterator[Reading]:
        """One learner is waiting: what is reserved for them may be used."""
        self._is_waited_for = learners.one is not None
        return super()._read(wanted, learners)

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
            (
                "Groups and merged courses, if the connection's role may see them; they are listed "
                "once a day."
            ),
        ),
    )
    lti_tells = "Over LTI, Blackboard shows this tool its own columns only."
    lti_misses = "Blackboard does not tell this over LTI; an admin can connect its REST API."

    def api_gradables(self) -> Iterator[Gradable]:
        """All columns, the overall grade and content review."""
        own = self.own_columns()
        for row in self._pages(f"{self._path('v2')}/gradebook/columns"):
            column = column_of(row, own)
            if not is_calculated(row):
                self._indexed.add(column.key)
            yield column
        label = "All reviewable content reviewed"
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, label, None, REVIEWED)

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Groups, and the courses that were merged into this one."""
        return in_parts(self._groups, self._children)

    def _groups(self) -> Iterator[Gradable]:
        for row in self._pages(f"{self._path('v2')}/groups"):
            label = f"Group “{row.get('name')}”"
            key = key_of(GROUP_PREFIX, row)
            yield Gradable(Kind.GROUP, key, label, None, GROUPS, is_rare=True)

    def _children(self) -> Iterator[Gradable]:
        with suppress(Gone):  # nothing was merged into it
            for row in self._pages(f"{self._path('v1')}/children", {"expand": "childCourse"}):
                child = row.get("childCourse")
                told = child if isinstance(child, dict) else {}
                label = f"Merged course “{told.get('name') or id_of(row)}”"
                key = f"{CHILD_PREFIX}{id_of(row)}"
                yield Gradable(Kind.GROUP, key, label, None, CHILDREN, is_rare=True)

    def readers(self) -> Sequence[Reader]:
        """Column by column, those that did not change since not at all; or one learner's columns
        in one call."""
        items = (
            (together(keyed(ITEM_PREFIX), self._columns_of_one),)
            if self._is_waited_for
            else (
                Reader(self._tells_changes, self._changed, changes=self._changed),
                each(keyed(ITEM_PREFIX), self._column),
            )
        )
        return (
            each(of_kind(Kind.COMPLETION), self._reviews),
            each(of_kind(Kind.COURSE_GRADE), self._column),
            *items,
            each(keyed(GROUP_PREFIX), self._members_of),
            each(keyed(CHILD_PREFIX), self._members_of_child),
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
        if not self._roster().subs:  # an older Learn does not expand its users
            for learner in learners.subs():
                yield from self._one(gradable, learner)
            return
        # Asked before the grades: one that changes meanwhile has a higher index, and is read again.
        index = self._last_index(gradable) if gradable.key in self._indexed else None
        yield from self._all_of(gradable)
        if gradable.key in self._indexed:
            self._remember(gradable, index)

    def _all_of(self, gradable: Gradable) -> Iterator[Result]:
        for row in self._pages(self._users(gradable)):
            if sub := self._sub_of(row):
                yield result_of(gradable, sub, row)

    def _tells_changes(self, gradable: Gradable) -> bool:
        """Calculated columns have no change index: they are read in full each time."""
        return gradable.key in self._indexed and gradable.key in self._remembered

    def _changed(self, gradables: Sequence[Gradable], learners: Learners) -> Iterator[Result]:
        """Nothing where the highest change index of a column is the one we remember."""
        (gradable,) = gradables
        index = self._last_index(gradable)
        if index == self._remembered[gradable.key]:
            return
        named = set()
        for result in self._all_of(gradable):
            named.add(result.sub)
            yield result
        for sub in learners.subs():
            if sub not in named:  # its grade was taken back
                maximum = gradable.maximum
                yield Result(gradable.key, sub, ResultState.MISSING, None, maximum, clock.now())
        self._remember(gradable, index)

    @property
    def _remembered(self) -> Mapping[str, int | None]:
        held = self.course.memory.get(INDEXES)
        return held if isinstance(held, dict) else {}

    def _remember(self, gradable: Gradable, index: int | None) -> None:
        self.course.memory[INDEXES] = {**self._remembered, gradable.key: index}

    def _last_index(self, gradable: Gradable) -> int | None:
        try:
            row = self.rest.json(f"{self._users(gradable)}/lastChanged")
        except Gone:  # a column without any grade, and a Learn before 3300.4
            return None
        index = row.get("changeIndex") if isinstance(row, dict) else None
        return index if isinstance(index, int) and not isinstance(index, bool) else None

    def _columns_of_one(self, wanted: Sequence[Gradable], learners: Learners) -> Iterator[Result]:
        sub = str(learners.one)
        if len(wanted) == 1:
            yield from self._one(wanted[0], sub)
            return
        asked = {item.key.removeprefix(ITEM_PREFIX): item for item in wanted}
        for row in self._pages(f"{self._path('v2')}/gradebook/users/uuid:{quote(sub, safe='')}"):
            if item := asked.get(str(row.get("columnId"))):
                yield result_of(item, sub, row)

    def _one(self, gradable: Gradable, sub: str) -> Iterator[Result]:
        try:
            row = self.rest.json(f"{self._users(gradable)}/uuid:{quote(sub, safe='')}")
        except Gone:  # “grade detail values have not yet been populated”: nothing recorded
            return
        if isinstance(row, dict):
            yield result_of(gradable, sub, row)

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
        if not self._roster().subs:
            raise Unsupported("This Learn does not tell whose LTI id its course users have.")
        for row in self._pages(self._group(key)):
            if sub := self._sub_of(row):
                yield Completion(sub, key, True, None, clock.now(), is_group=True)

    def _members_of_child(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        """Known with the roster; of one learner by their membership."""
        child = gradable.key.removeprefix(CHILD_PREFIX)
        if learners.one is None:
            found = [sub for sub, of in self._roster().children.items() if of == child]
        else:
            found = []
            with suppress(Gone):
                path = f"{self._path('v1')}/users/uuid:{quote(learners.one, safe='')}"
                row = self.rest.json(path)
                told = row.get("childCourseId") if isinstance(row, dict) else None
                found = [learners.one] if told == child else []
        for sub in found:
            yield Completion(sub, gradable.key, True, None, clock.now(), is_group=True)

    def _reviews(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        sub = learners.one
        params = {} if sub is None else {"userId": f"uuid:{sub}"}
        path = f"{self._path('v1')}/performance/contentReviewStatus"
        for row in self._pages(path, params):
            owner = sub or self._sub_of(row)
            total, done = row.get("reviewableCount"), row.get("reviewedCount")
            if owner and isinstance(total, int) and total > 0:
                yield Completion(owner, COURSE_COMPLETION, done == total, None, clock.now())

    def _roster(self, unknown: str | None = None) -> Roster:
        held = self.course.connection
        course = (held.get("url", ""), held.get("application_key", ""), self.course.context_id)
        path = f"{self._path('v1')}/users"
        return roster(course, lambda: self._pages(path, PARAMETERS), unknown=unknown)

    def _sub_of(self, row: Mapping[str, Any]) -> str | None:
        """The LTI id of whose row it is; the roster is read anew for somebody it does not name."""
        user = str(row.get("userId"))
        return self._roster().subs.get(user) or self._roster(user).subs.get(user)

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
