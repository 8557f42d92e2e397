"""Badges whose grade fell stay for the days of grace; then the rule that says so revokes them."""

from __future__ import annotations

from sqlalchemy import select, update

from lti_badges.awarding.evaluate import evaluate_dirty
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.ledger.course_lock import locked_course
from lti_badges.rules import OnFall
from lti_badges.store import AwardRule, CourseMember, RuleVersion, Standing


def revoke_after_grace(tool: ToolContext, course_id: str) -> list[str]:
    """Judge those whose grace may be over once more, by what is known now: after a whole
    reading without a failure, or at an instructor's word. Returns what is due."""
    with locked_course(tool, course_id) as (session, _):
        fallen = session.execute(
            select(Standing.member_id, Standing.fallen_at, RuleVersion.grace_days)
            .join(AwardRule, AwardRule.id == Standing.rule_id)
            .join(
                RuleVersion,
                (RuleVersion.rule_id == AwardRule.id) & (RuleVersion.version == AwardRule.version),
            )
            .where(
                AwardRule.course_id == course_id,
                AwardRule.active.is_(True),
                AwardRule.removed_at.is_(None),
                RuleVersion.on_fall == OnFall.REVOKE.value,
                Standing.fallen_at.is_not(None),
            )
        )
        now = clock.now()
        due = [
            member
            for member, at, days in fallen
            if at and (now - at).total_seconds() >= days * 86_400
        ]
        if due:
            session.execute(update(CourseMember).where(CourseMember.id.in_(due)).values(dirty=True))
    return evaluate_dirty(tool, course_id, may_revoke=True) if due else []
