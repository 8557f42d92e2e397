"""What the store knows of a batch of members, as the facts that rules judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.core.backoff import later
from lti_badges.ledger.holding import HELD
from lti_badges.rules import Facts
from lti_badges.store import (
    COMPLETED,
    Award,
    Course,
    CourseMember,
    LineItem,
    MemberResult,
    batches,
)
from lti_badges.store.courses import VALUES_READ, item_read_at
from lti_badges.values.course import Completion, Kind, Result, ResultState

BATCH = 200


def learner_batches(
    session: Session, course_id: str, *which: ColumnElement[bool]
) -> Iterator[Sequence[CourseMember]]:
    """The members of a course that `which` picks, by id, within the caller's transaction."""
    return batches(
        select(CourseMember).where(CourseMember.course_id == course_id, *which),
        CourseMember.id,
        read=lambda query: session.scalars(query).all(),
        key=lambda member: (member.id,),
        size=BATCH,
    )


def facts_of(session: Session, course: Course, members: Sequence[CourseMember]) -> dict[str, Facts]:
    """Facts by member id, in a handful of queries however many members."""
    ids = [member.id for member in members]
    listed = list(session.scalars(select(LineItem).where(LineItem.course_id == course.id)))
    items = [item for item in listed if item.present]
    labels = {item.key: item.label for item in items}
    gone = frozenset(item.key for item in listed if not item.present) - labels.keys()
    rows = session.scalars(select(MemberResult).where(MemberResult.member_id.in_(ids)))
    stored: dict[str, dict[str, MemberResult]] = defaultdict(dict)
    for row in rows:
        stored[row.member_id][row.line_item_id] = row
    held = badges_held(session, course, members)
    sources = {item.key: item.source for item in items}
    read = {item.id: item_read_at(course, item) for item in items}
    readings = tuple(
        (clock.parse_iso(began), clock.parse_iso(ended))
        for began, ended in course.settings.get(VALUES_READ) or ()
    )
    return {
        member.id: Facts(
            results=_results(member, items, read, stored[member.id]),
            completions=_completions(member, items, read, stored[member.id]),
            badges_held=held[member.id].keys(),
            badges_since=held[member.id],
            sources=sources,
            labels=labels,
            gone=gone,
            readings=readings,
        )
        for member in members
    }


def badges_held(
    session: Session, course: Course, members: Sequence[CourseMember]
) -> dict[str, dict[str, datetime]]:
    """Achievement ids, and since when they are held, by member id: of the same person in any course
    of the institution."""
    rows = session.execute(
        select(CourseMember.person_id, Award.achievement_id, Award.achieved_at)
        .join(Award, Award.member_id == CourseMember.id)
        .join(Course, Course.id == CourseMember.course_id)
        .where(
            CourseMember.person_id.in_({member.person_id for member in members} - {None}),
            Course.institution_id == course.institution_id,
            Award.state.in_([state.value for state in HELD]),
            Award.standing_at(clock.now()),
        )
    )
    held: dict[str | None, dict[str, datetime]] = defaultdict(dict)
    for person_id, achievement_id, achieved_at in rows:
        before = held[person_id].get(achievement_id, achieved_at)
        held[person_id][achievement_id] = min(before, achieved_at)
    return {member.id: held[member.person_id] for member in members}


def _results(
    member: CourseMember,
    items: Sequence[LineItem],
    read: Mapping[str, datetime | None],
    stored: dict[str, MemberResult],
) -> dict[str, Result]:
    """Items that were read in full and name nothing for the member count as "no grade yet"."""
    results = {}
    for item in items:
        if item.kind not in {Kind.ITEM, Kind.COURSE_GRADE}:
            continue
        row, in_full = stored.get(item.id), read[item.id]
        if row is not None:
            state = ResultState(row.state)
            # The gradebook may scale a result's own maximum; the item's holds where it has none.
            maximum = row.maximum if row.maximum is not None else item.maximum
            results[item.key] = Result(
                item.key,
                member.sub,
                state,
                row.score,
                maximum,
                later(in_full, row.read_at),
                row.mark,
                row.changed_at,
                row.graded_at,
                row.submitted_at,
                row.posted_at,
            )
        elif in_full is not None:
            results[item.key] = Result(
                item.key, member.sub, ResultState.MISSING, None, item.maximum, in_full
            )
    return results


def _completions(
    member: CourseMember,
    items: Sequence[LineItem],
    read: Mapping[str, datetime | None],
    stored: dict[str, MemberResult],
) -> dict[str, Completion]:
    completions = {}
    for item in items:
        row, in_full = stored.get(item.id), read[item.id]
        is_group = item.kind == Kind.GROUP
        if row is not None and item.kind in {Kind.COMPLETION, Kind.ACTIVITY, Kind.GROUP}:
            done = row.state == COMPLETED
            completions[item.key] = Completion(
                member.sub,
                item.key,
                done,
                row.completed_at,
                # Of a completion, only those who had not reached it are asked for again.
                later(in_full, row.read_at) if is_group else row.read_at,
                is_group,
                row.changed_at,
            )
        elif is_group and in_full is not None:  # the list named everybody who is in it
            completions[item.key] = Completion(member.sub, item.key, False, None, in_full, is_group)
    return completions
