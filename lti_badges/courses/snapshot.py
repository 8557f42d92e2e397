"""Storing what an LMS said: only what changed is written as changed, and marks its member dirty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.ledger.course_lock import judge_all_again
from lti_badges.ledger.recipients import release_waiting
from lti_badges.ledger.rules_in_force import current_versions, needed_keys
from lti_badges.people.persons import link_persons
from lti_badges.store import (
    COMPLETED,
    NOT_COMPLETED,
    Course,
    CourseMember,
    LineItem,
    MemberResult,
    insert_missing,
)
from lti_badges.store.courses import LEARNER, OTHER, STAFF
from lti_badges.values.course import (
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    Member,
    Result,
    ResultState,
    Role,
    Tracking,
    role_of,
)
from lti_badges.values.score import plain

FEW = 5
"""A course of fewer members may lose most of them from one day to the next."""
BELIEVED_AFTER = timedelta(days=1)


def store_members(
    session: Session, course: Course, members: Sequence[Member], token: str | None
) -> list[CourseMember]:
    """Insert or update members; `token` marks them as seen in this sync. Returns their rows."""
    subs = [member.sub for member in members]
    known = _people(session, course, subs)
    missing = dict.fromkeys(sub for sub in subs if sub not in known)
    if missing:
        new = [{"course_id": course.id, "sub": sub, "dirty": True} for sub in missing]
        insert_missing(session, CourseMember, new, "course_id", "sub")
        known |= _people(session, course, list(missing))
    rows = []
    for member in members:
        row = known[member.sub]
        _update_member(session, row, member, is_listed=token is not None)
        if token is not None:
            row.seen_in = token
        rows.append(row)
    session.flush()
    link_persons(session, course, rows)
    return rows


def _people(session: Session, course: Course, subs: Sequence[str]) -> dict[str, CourseMember]:
    found = session.scalars(
        select(CourseMember).where(CourseMember.course_id == course.id, CourseMember.sub.in_(subs))
    )
    return {row.sub: row for row in found}


def _update_member(session: Session, row: CourseMember, member: Member, *, is_listed: bool) -> None:
    """What a roster (`is_listed`) or a launch says. The roster's word on who is a learner wins: a
    teacher may view the course as a student."""
    reach = _reach(row)
    before = (row.can_earn, row.present, row.email, row.roster_says, row.status)
    row.roles = sorted(member.roles)
    row.status = member.status
    if is_listed:
        row.roster_says = _said_of(member)
    row.can_earn = (
        member.can_earn and row.roster_says in {None, LEARNER} and row.is_tracked is not False
    )
    row.present = member.status != "Deleted"
    # A roster or launch without names withholds them; it does not say that they are gone.
    row.name = member.name or row.name
    row.email = member.email or row.email
    row.sourcedid = member.sourcedid or row.sourcedid
    if member.custom:
        row.custom = dict(row.custom or {}) | dict(member.custom)
    if (row.can_earn, row.present, row.email, row.roster_says, row.status) != before:
        row.changed_at = clock.now()
        row.dirty = True
    if _reach(row) != reach:
        release_waiting(session, row)


def _reach(row: CourseMember) -> tuple[object, ...]:
    """What a backend may need to know of a recipient."""
    return row.email, row.name, row.sourcedid, dict(row.custom or {})


def _said_of(member: Member) -> str:
    if member.can_earn:
        return LEARNER
    return STAFF if role_of(member.roles) is Role.INSTRUCTOR else OTHER


def note_tracking(session: Session, course: Course, told: Sequence[Tracking]) -> None:
    """Whom the LMS itself does not treat as learners: they never earn, whatever the roster says."""
    if not told:
        return
    tracked = {each.sub: each.tracked for each in told}
    for row in _people(session, course, list(tracked)).values():
        if row.is_tracked is tracked[row.sub]:
            continue
        was, row.is_tracked = row.is_tracked, tracked[row.sub]
        if row.is_tracked:
            row.can_earn = row.can_earn or (was is False and row.roster_says == LEARNER)
        else:
            row.can_earn = False
        row.dirty = True


def note_leavers(session: Session, course: Course, token: str) -> str | None:
    """After a roster was read to its end: whoever it did not name has left; their awards stay.

    Returns a sentence, and changes nothing, when it names too few to be true: nobody at all, or
    less than half of those known; what stays so for a day is believed.
    """
    unnamed = (CourseMember.seen_in.is_(None)) | (CourseMember.seen_in != token)
    here = (CourseMember.course_id == course.id, CourseMember.present.is_(True))
    named = session.scalar(
        select(func.count()).where(
            CourseMember.course_id == course.id, CourseMember.seen_in == token
        )
    )
    listed = (*here, CourseMember.roster_says.is_not(None))
    known = session.scalar(select(func.count()).where(*listed)) or 0
    still = session.scalar(select(func.count()).where(*listed, CourseMember.seen_in == token)) or 0
    if not named or (known >= FEW and still * 2 < known):
        since = course.roster_short_since or clock.now()
        course.roster_short_since = since
        if not named or clock.now() - since < BELIEVED_AFTER:
            return (
                f"The LMS's list of members names {still} of the {known} known ones, so it is not "
                "believed: nobody is taken for having left, and no badge is taken away."
            )
    course.roster_short_since = None
    session.execute(
        update(CourseMember)
        .where(*here, unnamed)
        .values(present=False, can_earn=False, dirty=True, roster_says=None, changed_at=clock.now())
    )
    return None


def store_gradables(
    session: Session, course: Course, gradables: Iterable[Gradable], token: str
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
            row = LineItem(course_id=course.id, kind=gradable.kind.value, key=gradable.key)
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
        row.seen_in = token
    if drifted:
        judge_all_again(session, course.id)


def _suspect_rules(session: Session, course: Course, row: LineItem, gradable: Gradable) -> None:
    """Another maximum turns the same points into another share: count before anything follows."""
    points = "no maximum" if gradable.maximum is None else f"{plain(gradable.maximum)} points"
    why = f"“{row.label}” has {points} now instead of {plain(row.maximum or Fraction(0))}."
    for rule, version in current_versions(session, course.id):
        if (row.kind, row.key) in needed_keys(version.criteria):
            rule.suspicion = why


def note_vanished(session: Session, course: Course, token: str, *, rare: bool = False) -> None:
    """After the list (of what is listed `rare`ly) was read to its end: items it did not name are
    gone; their rules pause."""
    vanished = list(
        session.scalars(
            select(LineItem).where(
                LineItem.course_id == course.id,
                LineItem.present.is_(True),
                LineItem.is_rare.is_(rare),
                (LineItem.seen_in.is_(None)) | (LineItem.seen_in != token),
            )
        )
    )
    for item in vanished:
        item.present = False
    if vanished:
        judge_all_again(session, course.id)


def store_readings(
    session: Session,
    course: Course,
    readings: Sequence[Result | Completion],
    token: str | None,
) -> int:
    """Insert or update values; returns how many changed. Values of people who are not members
    (staff, leavers) are passed over."""
    items = {
        (row.kind, row.key): row
        for row in session.scalars(
            select(LineItem).where(
                LineItem.course_id == course.id,
                LineItem.key.in_({_item_key(reading)[1] for reading in readings}),
            )
        )
    }
    subs = {reading.sub for reading in readings}
    people = {
        row.sub: row
        for row in session.scalars(
            select(CourseMember).where(
                CourseMember.course_id == course.id, CourseMember.sub.in_(subs)
            )
        )
    }
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
        if token is not None:
            row.seen_in = token
    return changed


def _item_key(reading: Result | Completion) -> tuple[str, str]:
    if isinstance(reading, Completion):
        return reading.kind.value, reading.activity
    kind = Kind.COURSE_GRADE if reading.key == COURSE_GRADE_KEY else Kind.ITEM
    return kind.value, reading.key


def _update_result(row: MemberResult, reading: Result | Completion) -> bool:
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
    row.read_at = reading.read_at
    if after != before:
        row.changed_at = reading.read_at
    return after != before or times != (row.graded_at, row.submitted_at, row.posted_at)


def note_read_in_full(session: Session, course: Course, kind: Kind, key: str, token: str) -> None:
    """A gradable was read to its end: values it no longer names are gone, errors are over."""
    item = _item(session, course, kind, key)
    if item is None:
        return
    first_time = item.read_at is None
    item.read_at, item.error, item.error_since = clock.now(), None, None
    if kind in {Kind.ITEM, Kind.COURSE_GRADE}:
        _note_withdrawn(session, item, token, ResultState.MISSING.value)
    elif kind is Kind.GROUP:
        _note_withdrawn(session, item, token, NOT_COMPLETED)
    if first_time:
        # "Never read" became "no grade yet" for everybody without one.
        judge_all_again(session, course.id)


def note_up_to_date(session: Session, course: Course, kind: Kind, key: str) -> None:
    """What changed in a gradable was read: the values that were not named stand."""
    item = _item(session, course, kind, key)
    if item is not None:
        item.read_at, item.error, item.error_since = clock.now(), None, None


def _note_withdrawn(session: Session, item: LineItem, token: str, nothing: str) -> None:
    withdrawn = session.execute(
        select(MemberResult, CourseMember)
        .join(CourseMember, CourseMember.id == MemberResult.member_id)
        .where(
            MemberResult.line_item_id == item.id,
            MemberResult.state != nothing,
            (MemberResult.seen_in.is_(None)) | (MemberResult.seen_in != token),
        )
    )
    for result, member in withdrawn:
        result.state, result.score, result.mark = nothing, None, None
        result.read_at = result.changed_at = clock.now()
        member.dirty = True


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
