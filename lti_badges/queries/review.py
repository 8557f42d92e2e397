"""Badges that wait for the instructor's word, and why."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from lti_badges.context import ToolContext
from lti_badges.rules import Judgement
from lti_badges.store import AuditEvent, CourseMember, Standing
from lti_badges.values.permission import Permission


@dataclass(frozen=True, slots=True)
class Flagged:
    """A badge that waits for the instructor's word: `what` is judged now, `why` says in a sentence
    part what it comes from: the results, the rule's edit, or the learner's leaving."""

    rule_id: str
    member_id: str
    name: str
    what: str
    why: str


_CAUSES = {
    "results": "holds a badge whose rule is no longer met by what the LMS tells now",
    "rule": "holds a badge that an earlier version of its rule gave; the rule was changed since, "
    "and the results meet it no longer",
}
_LEFT = "does not learn in this course any more, and keeps the badge unless you revoke it"


def flagged(tool: ToolContext, course_id: str) -> list[Flagged]:
    """Badges whose rule is no longer met and that wait for the instructor, by name."""
    if not tool.may(Permission.SEE_LEARNERS):
        return []
    with tool.sessions() as session:
        rows = session.execute(
            select(Standing, CourseMember)
            .join(CourseMember, CourseMember.id == Standing.member_id)
            .where(CourseMember.course_id == course_id, Standing.flagged.is_(True))
            .order_by(CourseMember.name)
        ).all()
        told = session.execute(
            select(AuditEvent.rule_id, AuditEvent.member_id, AuditEvent.detail)
            .where(
                AuditEvent.kind == "flagged",
                AuditEvent.course_id == course_id,
                AuditEvent.member_id.in_([member.id for _, member in rows]),
            )
            .order_by(AuditEvent.id)
        )
        causes = {(each.rule_id, each.member_id): each.detail.get("cause") for each in told}
    return [
        Flagged(
            standing.rule_id,
            member.id,
            member.name or member.email or "A learner",
            Judgement.from_json(standing.judgement).text,
            _CAUSES.get(causes.get((standing.rule_id, member.id)) or "", _CAUSES["results"])
            if member.present and member.can_earn
            else _LEFT,
        )
        for standing, member in rows
    ]
