"""Blackboard Learn: one client id for all institutions, told apart by deployment.

Source: docs.anthology.com (LTI 1.3, AGS) and the Learn OpenAPI description.
Quirks: AGS lists only columns this tool made; ids of the REST API are told apart by prefixes
(`uuid:` is the LTI id); a grade is what `displayGrade` shows, `score` alone is an override; nothing
tells course completion, only how much of the content was marked as reviewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar
from urllib.parse import quote

from lti_badges.core import clock
from lti_badges.core.errors import Gone, NoRight
from lti_badges.lms.base import LMS
from lti_badges.lms.blackboard.columns import API, ITEM_PREFIX, column_of, is_calculated
from lti_badges.lms.blackboard.connection import CONNECTION, SIGN_IN, grant
from lti_badges.lms.blackboard.course_api import CourseApi
from lti_badges.lms.blackboard.groups import CHILD_PREFIX, GROUP_PREFIX, Groups
from lti_badges.lms.blackboard.quota import ACTIVE, DORMANT, WAITED_FOR, DailyQuota
from lti_badges.lms.blackboard.rights import missing_rights, some_course
from lti_badges.lms.blackboard.values import result_of
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.reader_dispatch import Learners, Reader, each, keyed, of_kind, together
from lti_badges.lms.rest import Rest
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
INDEXES = "change_indexes"
"""Under which the adapter remembers each column's highest change index (None: no grade yet)."""


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

    connection_settings: ClassVar[tuple[Setting, ...]] = CONNECTION
    sign_in = SIGN_IN

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
        return Rest(self.course, held.get("url", ""), grant, quota=quota)

    @property
    def _api(self) -> CourseApi:
        return CourseApi(self.rest, self.course)

    @property
    def _groups(self) -> Groups:
        return Groups(self._api)

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
        for row in self._api.pages(f"{self._api.path('v2')}/gradebook/columns"):
            column = column_of(row, own)
            if not is_calculated(row):
                self._indexed.add(column.key)
            yield column
        label = "All reviewable content reviewed"
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, label, None, REVIEWED)

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Groups, and the courses that were merged into this one."""
        return self._groups.gradables()

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
            each(keyed(GROUP_PREFIX), self._groups.members),
            each(keyed(CHILD_PREFIX), self._groups.members_of_child),
        )

    def _users(self, gradable: Gradable) -> str:
        column = gradable.key.removeprefix(ITEM_PREFIX)
        name = "finalGrade" if gradable.kind is Kind.COURSE_GRADE else column
        return f"{self._api.path('v2')}/gradebook/columns/{quote(name, safe='')}/users"

    def _column(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        if learners.one is not None:
            yield from self._one(gradable, learners.one)
            return
        if not self._api.roster().subs:  # an older Learn does not expand its users
            for learner in learners.subs():
                yield from self._one(gradable, learner)
            return
        # Asked before the grades: one that changes meanwhile has a higher index, and is read again.
        index = self._last_index(gradable) if gradable.key in self._indexed else None
        yield from self._all_of(gradable)
        if gradable.key in self._indexed:
            self._remember(gradable, index)

    def _all_of(self, gradable: Gradable) -> Iterator[Result]:
        for row in self._api.pages(self._users(gradable)):
            if sub := self._api.sub_of(row):
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
        for row in self._api.pages(
            f"{self._api.path('v2')}/gradebook/users/uuid:{quote(sub, safe='')}"
        ):
            if item := asked.get(str(row.get("columnId"))):
                yield result_of(item, sub, row)

    def _one(self, gradable: Gradable, sub: str) -> Iterator[Result]:
        try:
            row = self.rest.json(f"{self._users(gradable)}/uuid:{quote(sub, safe='')}")
        except Gone:  # “grade detail values have not yet been populated”: nothing recorded
            return
        if isinstance(row, dict):
            yield result_of(gradable, sub, row)

    def _reviews(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        sub = learners.one
        params = {} if sub is None else {"userId": f"uuid:{sub}"}
        path = f"{self._api.path('v1')}/performance/contentReviewStatus"
        for row in self._api.pages(path, params):
            owner = sub or self._api.sub_of(row)
            total, done = row.get("reviewableCount"), row.get("reviewedCount")
            if owner and isinstance(total, int) and total > 0:
                yield Completion(owner, COURSE_COMPLETION, done == total, None, clock.now())
