"""Which badges count as held, and whom a change of that concerns: badges may build on others, in
any course of the same LMS."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.rules import BadgeHeld, leaves, load
from lti_badges.store import (
    Award,
    AwardRule,
    Course,
    CourseMember,
    Deployment,
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


def note_holding(session: Session, awards: Iterable[Award]) -> None:
    """Somebody got or lost a badge: everybody whose rules ask for it, wherever, is judged again
    soon. Done after the commit: other courses have writers of their own."""
    changed = [(award.member_id, award.achievement_id) for award in awards]
    if changed:
        after_commit(session, partial(_mark, changed=changed))


def _mark(sessions: Sessions, changed: list[tuple[str, str]]) -> None:
    achievements = {achievement_id for _, achievement_id in changed}
    with sessions() as session:
        courses = _courses_asking_for(session, achievements)
        if not courses:
            return
        people = session.execute(
            select(CourseMember.sub, Deployment.platform_id)
            .join(Course, Course.id == CourseMember.course_id)
            .join(Deployment, Deployment.id == Course.deployment_id)
            .where(CourseMember.id.in_({member_id for member_id, _ in changed}))
            .distinct()
        ).all()
        there = session.execute(
            select(CourseMember.id, CourseMember.course_id)
            .join(Course, Course.id == CourseMember.course_id)
            .join(Deployment, Deployment.id == Course.deployment_id)
            .where(
                CourseMember.course_id.in_(courses),
                CourseMember.sub.in_({sub for sub, _ in people}),
                Deployment.platform_id.in_({platform_id for _, platform_id in people}),
            )
            .order_by(CourseMember.course_id, CourseMember.id)
        ).all()
    for course_id in sorted({row.course_id for row in there}):
        mine = [row.id for row in there if row.course_id == course_id]
        with sessions.begin() as session:
            # The course's row first, as every writer of a course takes it.
            course = session.get(Course, course_id, with_for_update=True)
            session.execute(
                update(CourseMember).where(CourseMember.id.in_(mine)).values(dirty=True)
            )
            if course is not None:
                now = clock.now()
                course.next_sync_at = min(course.next_sync_at or now, now)


def _courses_asking_for(session: Session, achievements: set[str]) -> set[str]:
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
