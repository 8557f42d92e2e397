"""Reading a course: members, grade items and results, page by page, stored as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, false, func, select, tuple_, update

from lti_badges import lms
from lti_badges.catalogue.connections import lms_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import Gone, PlatformDown, PlatformError, Unsupported
from lti_badges.courses.calls import affordable_at, note_calls
from lti_badges.courses.changes import VALUES_AT, changed_since
from lti_badges.courses.odd_rows import OddRows
from lti_badges.courses.roster import (
    note_roster,
    note_tracking,
    note_whole_roster,
    store_members,
)
from lti_badges.courses.schedule import or_as_asked, plan_after_failure, plan_next
from lti_badges.courses.seen import Seen
from lti_badges.courses.snapshot import (
    note_read_in_full,
    note_read_of_one,
    note_unread,
    note_up_to_date,
    note_vanished,
    store_gradables,
    store_readings,
)
from lti_badges.ledger.course_lock import locked_course
from lti_badges.ledger.rules_in_force import wanted_gradables
from lti_badges.store import COMPLETED, Course, CourseMember, LineItem, MemberResult, batches
from lti_badges.store.courses import MEMORY, VALUES_READ
from lti_badges.store.leases import free, is_gone, new_claim
from lti_badges.values.course import (
    Completion,
    Gradable,
    Kind,
    ReadInFull,
    Reading,
    Result,
    Tracking,
    Unread,
    UpToDate,
)

BATCH = 200
LEASE = timedelta(minutes=2)
DAILY, HOURLY = timedelta(days=1), timedelta(hours=1)
COMPLETIONS_AT, LISTED_AT, LIST_ERROR = "completions_read_at", "rare_listed_at", "rare_list_error"
ODD_ROWS = "odd_rows"
"""What a course keeps of rows that were left out: sentences under members, items and values."""

Progress = Callable[[str, int], None]
T = TypeVar("T")
KEPT_READINGS = 3


class LeaseLost(Exception):
    """Another worker took the course over while this one was away."""


class Unforeseen(PlatformError):
    """A mistake of ours while reading or judging: the log has its trace."""

    code = "unforeseen"

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"Something unforeseen happened in this tool ({type(error).__name__}); it is logged, "
            "and the course is read again later."
        )


def read_member(tool: ToolContext, course_id: str, sub: str) -> str | None:
    """Read one learner, who is waiting for a page. Returns their member id; None when the course
    does not know them. Raises PlatformError, NotFound."""
    course = lms_of(tool, course_id)
    with tool.sessions() as session:
        wanted = wanted_gradables(session, course_id)
        member_id = session.scalar(
            select(CourseMember.id).where(
                CourseMember.course_id == course_id, CourseMember.sub == sub
            )
        )
    if member_id is None:
        return None
    found = course.readings_of(sub, wanted) if wanted else iter(())
    readings = list(OddRows().readings(found))
    with locked_course(tool, course_id) as (session, row):
        note_calls(row, course.course.calls, course.calls_a_day)
        member = session.get_one(CourseMember, member_id)
        values = [reading for reading in readings if isinstance(reading, (Result, Completion))]
        store_readings(session, row, values, None)
        note_tracking(session, row, [each for each in readings if isinstance(each, Tracking)])
        for reading in readings:
            if isinstance(reading, ReadInFull):
                note_read_of_one(session, row, member, reading.kind, reading.key)
    return member_id


@dataclass(slots=True)
class CourseReading:
    """One reading of a course under way, by one worker at a time: every write renews the lease, or
    raises LeaseLost. What could not be read is noted for the instructor; the rest goes on."""

    tool: ToolContext
    course_id: str
    token: str
    course: lms.LMS
    progress: Progress
    also: frozenset[tuple[str, str]]
    began: float = field(default_factory=time.monotonic)
    members: int = 0
    readings: int = 0
    changed: int = 0
    errors: list[str] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    odd: dict[str, list[str]] = field(default_factory=dict)
    """What was left out of each list that was read, in sentences."""
    _progress: str | None = None

    @classmethod
    def start(
        cls,
        tool: ToolContext,
        course_id: str,
        progress: Progress | None = None,
        also: frozenset[tuple[str, str]] = frozenset(),
        *,
        only_due: bool = False,
    ) -> CourseReading | None:
        """Take the course; None when another worker reads it, or, with `only_due`, has just read
        it. `also` names gradables (kind, key) to be read though no rule uses them yet. Raises
        NotFound."""
        token = _take(tool, course_id, only_due=only_due)
        if token is None:
            return None
        course = lms_of(tool, course_id)
        return cls(tool, course_id, token, course, progress or _quiet, also)

    def run(self) -> PlatformError | None:
        """Members, grade items, values. Returns the failure that should bring us back soon."""
        failures = [self._members(), self._gradables()]
        self._rare()
        failures.append(self._values())
        return next((failure for failure in failures if failure is not None), None)

    def finish(self, failure: PlatformError | None) -> None:
        """Give the course back and plan its next reading."""
        with locked_course(self.tool, self.course_id) as (_, course):
            if course.sync_token != self.token:
                return
            course.sync_lease_until, course.sync_progress = None, None
            course.sync_seconds = time.monotonic() - self.began
            _note_odd(course, self.odd)
            calls, a_day = self.course.course.calls, self.course.calls_a_day
            note_calls(course, calls, a_day)
            affordable = affordable_at(course, calls.made, a_day)
            if failure is None:
                course.synced_at = clock.now()
                course.sync_error, course.sync_error_since, course.sync_failures = None, None, 0
                course.concluded = False
                course.next_sync_at = or_as_asked(course, plan_next(course), affordable)
                return
            course.sync_error = failure.message
            course.sync_error_since = course.sync_error_since or clock.now()
            course.sync_failures += 1
            course.sync_crashes += isinstance(failure, Unforeseen)
            course.concluded = isinstance(failure, Gone) or failure.code == Gone.code
            wait = failure.retry_after if isinstance(failure, PlatformDown) else None
            earliest = max(affordable, clock.now() + timedelta(seconds=wait or 0))
            course.next_sync_at = or_as_asked(course, plan_after_failure(course, wait), earliest)

    def _members(self) -> PlatformError | None:
        problem: PlatformError | None = None
        odd = OddRows()
        try:
            for batch in _batches(odd.members(self.course.members())):
                self.members += len(batch)
                self._write(lambda s, c, b=batch: store_members(s, c, b, self.seen))
                self._tell("members", self.members)
            problem = self._write(lambda s, course: note_whole_roster(s, course, self.seen))
        except PlatformError as error:
            failure = problem = error
            self._write(lambda _, course: note_roster(course, failure))
        self.odd["members"] = odd.sentences
        return self._noted(problem)

    def _gradables(self) -> PlatformError | None:
        odd = OddRows()
        try:
            for batch in _batches(odd.gradables(self.course.gradables())):
                self._write(lambda s, c, b=batch: store_gradables(s, c, b, self.seen))
            if not odd.left_out:  # else the row that was left out may be the one that is missed
                self._write(lambda session, course: note_vanished(session, course, self.seen))
        except PlatformError as error:
            return self._noted(error)
        finally:
            self.odd["items"] = odd.sentences
        return None

    def _rare(self) -> None:
        """Once a day. What may not be listed is said beside the list, and breaks nothing."""
        if not self.course.is_connected or not self._is_due(LISTED_AT, DAILY):
            return
        said: str | None = None
        soon = False
        odd = OddRows()
        try:
            for batch in _batches(odd.gradables(self.course.rare_gradables())):
                self._write(lambda s, c, b=batch: store_gradables(s, c, b, self.seen))
            if not odd.left_out:
                self._write(lambda s, c: note_vanished(s, c, self.seen, rare=True))
        except PlatformError as error:
            said, soon = error.message, isinstance(error, PlatformDown)
        self.odd["rare"] = odd.sentences
        at = clock.iso(clock.now() - (DAILY - HOURLY if soon else timedelta(0)))
        self._write(lambda _, course: _note(course, **{LISTED_AT: at, LIST_ERROR: said}))

    def _values(self) -> PlatformError | None:
        with self.tool.sessions() as session:
            wanted = wanted_gradables(session, self.course_id, self.also)
        if not wanted:
            return None
        problem: PlatformError | None = None
        odd = OddRows()
        try:
            # Once a day everybody is asked for: a completion may have been taken back.
            everyone = self._is_due(COMPLETIONS_AT, DAILY)
            completions = [item for item in wanted if item.kind in {Kind.COMPLETION, Kind.ACTIVITY}]
            unfinished = None if everyone else partial(self._unfinished, completions)
            began = _now()
            with self.tool.sessions() as session:
                since = None if everyone else changed_since(session, self.course_id, wanted)
            readings = self.course.readings(
                wanted, self._learners, unfinished=unfinished, changed_since=since
            )
            for batch in _batches(odd.readings(readings)):
                problem = self._store(batch) or problem
            if problem is None:
                memory = self.course.course.memory
                self._write(lambda _, course: _note_values_read(course, began, memory))
            if everyone and problem is None:
                self._write(lambda _, course: _note(course, **{COMPLETIONS_AT: _now()}))
        except PlatformError as error:
            problem = error
        self.odd["values"] = odd.sentences
        return self._noted(problem)

    def _is_due(self, name: str, every: timedelta) -> bool:
        with self.tool.sessions() as session:
            at = session.get_one(Course, self.course_id).settings.get(name)
        return at is None or clock.now() - clock.parse_iso(at) > every

    def _store(self, batch: list[Reading]) -> PlatformError | None:
        values = [reading for reading in batch if isinstance(reading, (Result, Completion))]
        problem: PlatformError | None = None
        with locked_course(self.tool, self.course_id) as (session, course):
            self._renew(course)
            self.changed += store_readings(session, course, values, self.seen)
            note_tracking(session, course, [each for each in batch if isinstance(each, Tracking)])
            session.flush()
            for reading in batch:
                if isinstance(reading, UpToDate):
                    note_up_to_date(session, course, reading.kind, reading.key)
                elif isinstance(reading, ReadInFull):
                    note_read_in_full(session, course, reading.kind, reading.key, self.seen)
                elif isinstance(reading, Unread):
                    note_unread(session, course, reading.kind, reading.key, reading.error)
                    problem = PlatformDown(
                        reading.error, retry_after=reading.retry_after, code=reading.code
                    )
        self.readings += len(values)
        self._tell("results", self.readings)
        return problem

    def _unfinished(self, completions: Sequence[Gradable]) -> Iterator[str]:
        """Who has not reached all of these yet, as far as is known."""
        reached = (
            select(MemberResult.member_id)
            .join(LineItem, LineItem.id == MemberResult.line_item_id)
            .where(
                LineItem.course_id == self.course_id,
                tuple_(LineItem.kind, LineItem.key).in_(
                    [(item.kind.value, item.key) for item in completions]
                ),
                MemberResult.state == COMPLETED,
            )
            .group_by(MemberResult.member_id)
            .having(func.count() >= len(completions))
        )
        return self._learners(CourseMember.id.not_in(reached))

    def _learners(self, *which: ColumnElement[bool]) -> Iterator[str]:
        """Everybody who can earn, a page at a time, by key: the class never stands in memory."""

        def read(query: Select[str]) -> Sequence[str]:
            with self.tool.sessions() as session:
                return session.scalars(query).all()

        query = select(CourseMember.sub).where(
            CourseMember.course_id == self.course_id, CourseMember.can_earn.is_(True), *which
        )
        for batch in batches(query, CourseMember.sub, read=read, key=lambda s: (s,), size=BATCH):
            yield from batch

    def _tell(self, what: str, count: int) -> None:
        """How far it is, for whoever started it and, at the next write, for everybody's page."""
        self._progress = f"{count} {what}"
        self.progress(what, count)

    def _write(self, change: Callable[..., T]) -> T:
        with locked_course(self.tool, self.course_id) as (session, course):
            self._renew(course)
            return change(session, course)

    def _renew(self, course: Course) -> None:
        if course.sync_token != self.token:
            raise LeaseLost
        course.sync_lease_until, course.sync_progress = clock.now() + LEASE, self._progress

    def _noted(self, problem: PlatformError | None) -> PlatformError | None:
        if problem is None or isinstance(problem, Unsupported):
            return None  # known and said on the page; coming back sooner changes nothing
        self.errors.append(problem.message)
        return problem


def _note_odd(course: Course, odd: Mapping[str, list[str]]) -> None:
    """In place of what was left out the last time."""
    kept = course.settings.get(ODD_ROWS) or {}
    if any(kept.get(kind, []) != sentences for kind, sentences in odd.items()):
        course.settings = {**course.settings, ODD_ROWS: {**kept, **odd}}


def _note_values_read(course: Course, began: str, memory: object) -> None:
    """Rounded outwards to whole seconds, so that no value of a reading lies outside it."""
    ended = clock.iso(clock.now() + timedelta(seconds=1))
    kept = list(course.settings.get(VALUES_READ) or ())[1 - KEPT_READINGS :]
    _note(
        course,
        **{VALUES_AT: began, VALUES_READ: [*kept, [began, ended]], MEMORY: memory},
    )


def _note(course: Course, **values: object) -> None:
    course.settings = {**course.settings, **values}


def _now() -> str:
    return clock.iso(clock.now())


def _take(tool: ToolContext, course_id: str, *, only_due: bool) -> str | None:
    token, now, gone = new_claim(), clock.now(), tool.heartbeat.gone()
    with tool.sessions.begin() as session:
        holder = session.scalar(select(Course.sync_token).where(Course.id == course_id))
        taken = session.execute(
            update(Course)
            .where(
                Course.id == course_id,
                *([Course.next_sync_at <= now] if only_due else []),
                free(Course.sync_lease_until)
                | ((Course.sync_token == holder) if is_gone(holder, gone) else false()),
            )
            .values(
                sync_token=token,
                sync_lease_until=now + LEASE,
                sync_started_at=now,
                next_sync_at=now,
            )
        )
    return token if getattr(taken, "rowcount", 0) else None


def _batches(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _quiet(_what: str, _count: int) -> None:
    """Nobody is watching."""
