"""Storing whom an LMS names: only what changed is written, and marks its member dirty."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.core.errors import NoRight, PlatformDown, PlatformError, Unsupported
from lti_badges.courses.seen import ROSTER, Seen
from lti_badges.ledger.recipients import release_waiting
from lti_badges.people.persons import link_persons
from lti_badges.store import Course, CourseMember, insert_missing
from lti_badges.store.courses import LEARNER, NO_ROSTER, OTHER, STAFF
from lti_badges.values.course import Member, Role, Tracking, role_of

FEW = 5
"""A course of fewer members may lose most of them from one day to the next."""
BELIEVED_AFTER = timedelta(days=1)
SCANNED = 500


def store_members(
    session: Session, course: Course, members: Sequence[Member], seen: Seen | None
) -> list[CourseMember]:
    """Insert members, and update those of whom something changed; a roster notes them in `seen`, a
    launch hands none. Returns their rows."""
    subs = [member.sub for member in members]
    known = people_of(session, course, subs)
    missing = dict.fromkeys(sub for sub in subs if sub not in known)
    if missing:
        new = [{"course_id": course.id, "sub": sub, "dirty": True} for sub in missing]
        insert_missing(session, CourseMember, new, "course_id", "sub")
        known |= people_of(session, course, list(missing))
    rows, news = [], []
    for member in members:
        row = known[member.sub]
        before = (row.name, row.email)
        _update_member(session, row, member, is_listed=seen is not None)
        if seen is not None:
            seen.add(ROSTER, row.id)
            row.seen_in = row.seen_in or course.sync_token
        rows.append(row)
        if row.person_id is None or (row.name, row.email) != before:
            news.append(row)
    session.flush()
    if news:
        link_persons(session, course, news)
    return rows


def people_of(session: Session, course: Course, subs: Sequence[str]) -> dict[str, CourseMember]:
    """The members with these `sub`s, by `sub`."""
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
    for row in people_of(session, course, list(tracked)).values():
        if row.is_tracked is tracked[row.sub]:
            continue
        was, row.is_tracked = row.is_tracked, tracked[row.sub]
        if row.is_tracked:
            row.can_earn = row.can_earn or (was is False and row.roster_says == LEARNER)
        else:
            row.can_earn = False
        row.dirty = True


def note_leavers(session: Session, course: Course, seen: Seen) -> str | None:
    """After a roster was read to its end: whoever it did not name has left; their awards stay.

    Returns a sentence, and changes nothing, when it names too few to be true: nobody at all, or
    less than half of those known; what stays so for a day is believed.
    """
    named, known, still = seen.count(ROSTER), 0, 0
    unnamed: list[str] = []
    for row in session.execute(
        select(CourseMember.id, CourseMember.roster_says)
        .where(CourseMember.course_id == course.id, CourseMember.present.is_(True))
        .execution_options(yield_per=SCANNED)
    ):
        is_named = seen.has(ROSTER, row.id)
        known += row.roster_says is not None
        still += row.roster_says is not None and is_named
        if not is_named:
            unnamed.append(row.id)
    _change(session, unnamed, seen_in=None)
    if not named or (known >= FEW and still * 2 < known):
        since = course.roster_short_since or clock.now()
        course.roster_short_since = since
        if not named or clock.now() - since < BELIEVED_AFTER:
            return (
                f"The LMS's list of members names {still} of the {known} known ones, so it is not "
                "believed: nobody is taken for having left, and no badge is taken away."
            )
    course.roster_short_since = None
    gone = {"present": False, "can_earn": False, "dirty": True, "roster_says": None}
    _change(session, unnamed, **gone, changed_at=clock.now())
    return None


def _change(session: Session, member_ids: Sequence[str], **values: object) -> None:
    for start in range(0, len(member_ids), SCANNED):
        some = member_ids[start : start + SCANNED]
        session.execute(update(CourseMember).where(CourseMember.id.in_(some)).values(**values))


def note_whole_roster(session: Session, course: Course, seen: Seen) -> PlatformError | None:
    """After a roster was read to its end. Returns why it is not believed."""
    short = note_leavers(session, course, seen)
    problem = PlatformDown(short, code="implausible_roster") if short else None
    note_roster(course, problem)
    return problem


def note_roster(course: Course, problem: PlatformError | None) -> None:
    """Why the roster could not be read, and whether the LMS tells one at all."""
    course.roster_error = problem.message if problem else None
    if problem is None or isinstance(problem, (Unsupported, NoRight)):
        course.settings = {**course.settings, NO_ROSTER: problem is not None}
