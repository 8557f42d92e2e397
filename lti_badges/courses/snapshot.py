"""Storing items and values that an LMS tells: only what changed is written, and marks its member
dirty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.courses.roster import people_of
from lti_badges.courses.seen import ITEMS, Seen
from lti_badges.ledger.course_lock import judge_all_again
from lti_badges.ledger.rules_in_force import current_versions, needed_keys
from lti_badges.store import (
    COMPLETED,
    NOT_COMPLETED,
    Course,
    CourseMember,
    LineItem,
    MemberResult,
    new_id,
)
from lti_badges.store.courses import note_item_read
from lti_badges.values.course import (
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    Result,
    ResultState,
)
from lti_badges.values.score import plain

SCANNED = 500


def store_gradables(
    session: Session, course: Course, gradables: Iterable[Gradable], seen: Seen
) -> None:
    """Insert or update what rules can use."""
    known = {
        (row.kind, row.key): row
        for row in session.scalars(select(LineItem).where(LineItem.course_id == course.id))
    }
    drifted = False
    for gradable in gradables:
        row = known.get((gradable.kind.value, gradable.key))
        if row is None:
            row = LineItem(
                id=new_id(), course_id=course.id, kind=gradable.kind.value, key=gradable.key
            )
            known[gradable.kind.value, gradable.key] = row
            session.add(row)
        # Of an item that nobody may see now, its points can't be told: they stay as they were.
        maximum = row.maximum if gradable.is_hidden and not gradable.maximum else gradable.maximum
        if row.maximum is not None and row.maximum != maximum:
            _suspect_rules(session, course, row, gradable)
        drifted |= bool(row.label) and row.label != gradable.label[:500]
        drifted |= row.present is False
        row.label = gradable.label[:500]
        row.maximum = maximum
        row.source = gradable.source
        row.is_own = gradable.is_own
        row.resource_link_id = gradable.resource_link_id
        row.resource_id = gradable.resource_id
        row.tag = gradable.tag
        row.in_words = gradable.in_words or row.in_words
        row.is_rare = gradable.is_rare
        row.is_hidden = gradable.is_hidden
        row.present = True
        seen.add(ITEMS, row.id)
    if drifted:
        judge_all_again(session, course.id)


def _suspect_rules(session: Session, course: Course, row: LineItem, gradable: Gradable) -> None:
    """Another maximum turns the same points into another share: count before anything follows."""
    points = "no maximum" if gradable.maximum is None else f"{plain(gradable.maximum)} points"
    why = f"“{row.label}” has {points} now instead of {plain(row.maximum or Fraction(0))}."
    for rule, version in current_versions(session, course.id):
        if (row.kind, row.key) in needed_keys(version.criteria):
            rule.suspicion = why


def note_vanished(session: Session, course: Course, seen: Seen, *, rare: bool = False) -> None:
    """After the list (of what is listed `rare`ly) was read to its end: items it did not name are
    gone; their rules pause."""
    listed = session.scalars(
        select(LineItem).where(
            LineItem.course_id == course.id,
            LineItem.present.is_(True),
            LineItem.is_rare.is_(rare),
        )
    )
    vanished = [item for item in listed if not seen.has(ITEMS, item.id)]
    for item in vanished:
        item.present = False
    if vanished:
        judge_all_again(session, course.id)


def store_readings(
    session: Session,
    course: Course,
    readings: Sequence[Result | Completion],
    seen: Seen | None,
) -> int:
    """Insert values, and update those that changed; returns how many did. Values of people who are
    not members (staff, leavers) are passed over."""
    items = {
        (row.kind, row.key): row
        for row in session.scalars(
            select(LineItem).where(
                LineItem.course_id == course.id,
                LineItem.key.in_({_item_key(reading)[1] for reading in readings}),
            )
        )
    }
    people = people_of(session, course, list({reading.sub for reading in readings}))
    held = {
        (row.line_item_id, row.member_id): row
        for row in session.scalars(
            select(MemberResult).where(
                MemberResult.member_id.in_([person.id for person in people.values()]),
                MemberResult.line_item_id.in_([item.id for item in items.values()]),
            )
        )
    }
    changed = 0
    for reading in readings:
        item, person = items.get(_item_key(reading)), people.get(reading.sub)
        if item is None or person is None:
            continue
        row = held.get((item.id, person.id))
        if row is None:
            row = MemberResult(line_item_id=item.id, member_id=person.id, state="")
            held[item.id, person.id] = row
            session.add(row)
        if isinstance(reading, Result) and reading.mark is not None:
            item.in_words = True
        if _update_result(row, reading):
            changed += 1
            person.dirty = True
            course.last_change_at = reading.read_at
        if seen is not None:
            seen.add(item.id, person.id)
    return changed


def _item_key(reading: Result | Completion) -> tuple[str, str]:
    if isinstance(reading, Completion):
        return reading.kind.value, reading.activity
    kind = Kind.COURSE_GRADE if reading.key == COURSE_GRADE_KEY else Kind.ITEM
    return kind.value, reading.key


def _update_result(row: MemberResult, reading: Result | Completion) -> bool:
    """A value that is the same is not written: that it was read again says the course's row."""
    before = (row.state, row.score, row.maximum, row.completed_at, row.mark)
    times = (row.graded_at, row.submitted_at, row.posted_at)
    after: tuple[str, Fraction | None, Fraction | None, datetime | None, str | None]
    if isinstance(reading, Completion):
        state = COMPLETED if reading.completed else NOT_COMPLETED
        after = (state, None, None, reading.completed_at, None)
    else:
        mark = None if reading.mark is None else reading.mark[:100]
        row.graded_at, row.submitted_at = reading.graded_at, reading.submitted_at
        row.posted_at = reading.posted_at
        after = (reading.state.value, reading.score, reading.maximum, None, mark)
    row.state, row.score, row.maximum, row.completed_at, row.mark = after
    if after != before:
        row.changed_at = reading.read_at
    changed = after != before or times != (row.graded_at, row.submitted_at, row.posted_at)
    if changed:
        row.read_at = reading.read_at
    return changed


def note_read_in_full(session: Session, course: Course, kind: Kind, key: str, seen: Seen) -> None:
    """A gradable was read to its end: values it no longer names are gone, errors are over."""
    item = _item(session, course, kind, key)
    if item is None:
        return
    first_time = item.read_at is None
    _note_read(course, item)
    if kind in {Kind.ITEM, Kind.COURSE_GRADE}:
        _note_withdrawn(session, item, seen, ResultState.MISSING.value)
    elif kind is Kind.GROUP:
        _note_withdrawn(session, item, seen, NOT_COMPLETED)
    seen.forget(item.id)
    if first_time:
        # "Never read" became "no grade yet" for everybody without one.
        judge_all_again(session, course.id)


def note_up_to_date(session: Session, course: Course, kind: Kind, key: str) -> None:
    """What changed in a gradable was read: the values that were not named stand."""
    item = _item(session, course, kind, key)
    if item is not None:
        _note_read(course, item)


def _note_read(course: Course, item: LineItem) -> None:
    """The item's own row is written the first time only, and when an error is over."""
    now = clock.now()
    item.read_at = item.read_at or now
    item.error = item.error_since = None
    note_item_read(course, item, now)


def _note_withdrawn(session: Session, item: LineItem, seen: Seen, nothing: str) -> None:
    stored = session.execute(
        select(MemberResult.id, MemberResult.member_id)
        .where(MemberResult.line_item_id == item.id, MemberResult.state != nothing)
        .execution_options(yield_per=SCANNED)
    )
    for result_id, member_id in [row for row in stored if not seen.has(item.id, row.member_id)]:
        result = session.get_one(MemberResult, result_id)
        result.state, result.score, result.mark = nothing, None, None
        result.read_at = result.changed_at = clock.now()
        session.get_one(CourseMember, member_id).dirty = True


def note_read_of_one(
    session: Session, course: Course, member: CourseMember, kind: Kind, key: str
) -> None:
    """All of one learner was read in a gradable: if nothing is stored, nothing is recorded."""
    item = _item(session, course, kind, key)
    if item is None or kind not in {Kind.ITEM, Kind.COURSE_GRADE, Kind.GROUP}:
        return
    held = session.scalar(
        select(MemberResult).where(
            MemberResult.line_item_id == item.id, MemberResult.member_id == member.id
        )
    )
    if held is None:
        session.add(
            MemberResult(
                line_item_id=item.id,
                member_id=member.id,
                state=NOT_COMPLETED if kind is Kind.GROUP else ResultState.MISSING.value,
                read_at=clock.now(),
            )
        )
        member.dirty = True


def note_unread(session: Session, course: Course, kind: Kind, key: str, error: str) -> None:
    """A gradable could not be read: its values stay, and the page says since when."""
    item = _item(session, course, kind, key)
    if item is not None:
        item.error = error
        item.error_since = item.error_since or clock.now()


def _item(session: Session, course: Course, kind: Kind, key: str) -> LineItem | None:
    return session.scalar(
        select(LineItem).where(
            LineItem.course_id == course.id, LineItem.kind == kind.value, LineItem.key == key
        )
    )
