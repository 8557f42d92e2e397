"""Which badges count as held, and whom a change of that concerns: badges may build on others, in
any course of the same person.

A change is a row, written in the transaction that makes it: whoever dies before the members are
marked leaves it to the schedule. They are marked in transactions of their own, a course at a time,
since other courses have writers of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import structlog
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.ledger.course_lock import ask_for_reading
from lti_badges.rules import BadgeHeld, leaves, load
from lti_badges.store import (
    Award,
    AwardRule,
    Course,
    CourseMember,
    HoldingChange,
    RuleVersion,
    Sessions,
    State,
    after_commit,
)

HELD = frozenset(
    {
        State.PENDING,
        State.SENDING,
        State.ISSUED,
        State.UNKNOWN,
        State.NEEDS_RECIPIENT,
        State.NEEDS_CONSENT,
    }
)
"""An award in one of these states counts as a badge held, for badges that build on others."""
AT_ONCE = 500

log = structlog.get_logger("lti_badges.holding")


def note_holding(session: Session, awards: Iterable[Award]) -> None:
    """Somebody got or lost a badge: everybody whose rules ask for it, wherever, is judged again
    soon, and once more when it expires."""
    changed = list(awards)
    if not changed:
        return
    now = clock.now()
    due = [(award.id, now) for award in changed]
    due += [
        (each.id, each.expires_at) for each in changed if each.expires_at and each.state in HELD
    ]
    session.flush()
    session.execute(
        insert(HoldingChange), [{"award_id": award_id, "due_at": at} for award_id, at in due]
    )
    after_commit(session, partial(mark_due, award_ids=[award.id for award in changed]))


def mark_dependents(sessions: Sessions, award_ids: Sequence[str] | None = None) -> int:
    """Mark whoever is concerned by the changes that are due, of these awards or of all. Returns how
    many changes. Done twice by two workers, it does no harm."""
    with sessions() as session:
        query = (
            select(HoldingChange.id, Award.member_id, Award.achievement_id)
            .join(Award, Award.id == HoldingChange.award_id)
            .where(HoldingChange.due_at <= clock.now())
            .order_by(HoldingChange.due_at)
            .limit(AT_ONCE)
        )
        if award_ids is not None:
            query = query.where(HoldingChange.award_id.in_(award_ids))
        changes = session.execute(query).all()
        concerned = _concerned(session, {(row.member_id, row.achievement_id) for row in changes})
    for course_id in sorted(concerned):
        with sessions.begin() as session:
            # The course's row first, as every writer of a course takes it.
            course = session.get(Course, course_id, with_for_update=True)
            session.execute(
                update(CourseMember)
                .where(CourseMember.id.in_(concerned[course_id]))
                .values(dirty=True)
            )
            if course is not None:
                ask_for_reading(course)
    if changes:
        with sessions.begin() as session:
            session.execute(
                delete(HoldingChange).where(HoldingChange.id.in_([row.id for row in changes])),
                execution_options={"synchronize_session": False},
            )
    return len(changes)


def mark_due(sessions: Sessions, award_ids: Sequence[str] | None = None) -> None:
    """The same, holding nothing else up: the schedule marks later whom it could not mark now."""
    try:
        mark_dependents(sessions, award_ids)
    except SQLAlchemyError:
        log.warning("holding_marked_later", exc_info=True)


def _concerned(session: Session, changed: set[tuple[str, str]]) -> dict[str, list[str]]:
    """Members, by course, whose rules ask for a badge that their person got or lost."""
    courses = _courses_asking_for(session, {achievement_id for _, achievement_id in changed})
    if not courses:
        return {}
    people = (
        select(CourseMember.person_id)
        .where(CourseMember.id.in_({member_id for member_id, _ in changed}))
        .scalar_subquery()
    )
    found: dict[str, list[str]] = {}
    for row in session.execute(
        select(CourseMember.id, CourseMember.course_id).where(
            CourseMember.course_id.in_(courses), CourseMember.person_id.in_(people)
        )
    ):
        found.setdefault(row.course_id, []).append(row.id)
    return found


def _courses_asking_for(session: Session, achievements: set[str]) -> set[str]:
    if not achievements:
        return set()
    rows = session.execute(
        select(AwardRule.course_id, RuleVersion.criteria)
        .join(
            RuleVersion,
            (RuleVersion.rule_id == AwardRule.id) & (RuleVersion.version == AwardRule.version),
        )
        .where(
            RuleVersion.builds_on.is_(True),
            AwardRule.active.is_(True),
            AwardRule.removed_at.is_(None),
        )
    )
    return {row.course_id for row in rows if _asked_for(row.criteria) & achievements}


def _asked_for(criteria: object) -> set[str]:
    return {leaf.achievement_id for leaf in leaves(load(criteria)) if isinstance(leaf, BadgeHeld)}
