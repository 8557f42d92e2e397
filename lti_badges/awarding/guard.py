"""Against mass awards: a jump that no newly posted result explains asks the instructor first.

Results that a teacher posts always flow, a whole class at once too. A rule becomes suspicious when
its ground moved (an item got another maximum, or was mapped to another one), or when it was made
without anybody having seen whom it would award. What would follow is
counted first, and more than 30 % of the course or 50 people stop it. So do revocations of more
than a few people at once, whatever their cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import RuleInForce
from lti_badges.awarding.decide import Action
from lti_badges.awarding.evaluate import evaluate_dirty
from lti_badges.awarding.facts import facts_of, learner_batches
from lti_badges.awarding.judge import BatchJudge
from lti_badges.awarding.revoke_fallen import revoke_after_grace
from lti_badges.context import ToolContext
from lti_badges.core.errors import NotFound
from lti_badges.ledger.audit import record
from lti_badges.ledger.course_lock import judge_all_again, locked_course
from lti_badges.rules import Judgement, OnFall, Outcome, evaluate
from lti_badges.store import AwardRule, Course, CourseMember, Standing
from lti_badges.values.permission import Permission

SHARE = Fraction(30, 100)
PEOPLE = 50
FEW = 3


@dataclass(frozen=True, slots=True)
class StoppedRule:
    """A rule that waits for the instructor: what would follow if they resume it."""

    rule_id: str
    why: str
    grants: int
    revocations: int
    learners: int

    @property
    def sentence(self) -> str:
        """What it would do at once, and why it was stopped: the banner on the course's page."""
        if self.revocations:
            return f"{self.revocations} learners would lose this badge at once: {self.why}"
        return f"{self.grants} of {self.learners} learners would get this badge at once: {self.why}"


def stopped_rule(rule: AwardRule) -> StoppedRule | None:
    """Why a rule stands still, if it does."""
    return StoppedRule(rule.id, **rule.stopped) if rule.stopped else None


def count_before_acting(tool: ToolContext, course_id: str) -> None:
    """Count what suspicious rules and revocations would lead to, before anything is done. Called
    after a course was read without a failure."""
    with locked_course(tool, course_id) as (session, course):
        rules = [rule for rule in RuleInForce.all_of(session, course) if rule.row.stopped is None]
        for rule in rules:
            suspicion = rule.row.suspicion
            if suspicion is not None:
                _weigh_grants(session, course, rule)
            if rule.row.stopped is None and rule.policy.on_fall is OnFall.REVOKE:
                _weigh_revocations(session, course, rule, suspicion)


def resume_stopped_rule(tool: ToolContext, course_id: str, rule_id: str, *, by: str) -> list[str]:
    """The instructor has seen what would follow, and wants it. Returns awards that are due.
    Raises NotFound."""
    tool.require(Permission.EDIT_RULES)
    with locked_course(tool, course_id) as (session, course):
        _released(session, course, rule_id, "brake_released", by)
    due = evaluate_dirty(tool, course_id, may_revoke=True)
    return due + revoke_after_grace(tool, course_id)


def keep_fallen_badges(tool: ToolContext, course_id: str, rule_id: str, *, by: str) -> None:
    """The instructor keeps the badges that would have been revoked. Raises NotFound."""
    tool.require(Permission.EDIT_RULES)
    with locked_course(tool, course_id) as (session, course):
        _released(session, course, rule_id, "brake_kept", by)
        session.execute(
            update(Standing)
            .where(Standing.rule_id == rule_id, Standing.fallen_at.is_not(None))
            .values(kept=True, flagged=False)
        )
    evaluate_dirty(tool, course_id, may_revoke=False)


def _released(session: Session, course: Course, rule_id: str, kind: str, by: str) -> None:
    """Before anything else is written: a rule of another course is none here."""
    rule = session.get(AwardRule, rule_id)
    if rule is None or rule.course_id != course.id or rule.stopped is None:
        raise NotFound("This rule does not wait for a decision any more.")
    record(session, kind, actor=by, course_id=course.id, rule_id=rule.id, **rule.stopped)
    rule.stopped, rule.suspicion = None, None
    judge_all_again(session, course.id)


def _weigh_grants(session: Session, course: Course, rule: RuleInForce) -> None:
    earning = (CourseMember.can_earn.is_(True), CourseMember.present.is_(True))
    learners = session.scalar(
        select(func.count()).where(CourseMember.course_id == course.id, *earning)
    )
    count = sum(1 for _ in _followed(session, course, rule, Action.GRANT, *earning))
    if count > PEOPLE or count > SHARE * (learners or 0):
        why = rule.row.suspicion or ""
        _stop(session, course, rule, why, grants=count, learners=learners or 0)
        return
    rule.row.suspicion = None
    judge_all_again(session, course.id)


def _weigh_revocations(
    session: Session, course: Course, rule: RuleInForce, suspicion: str | None
) -> None:
    """`suspicion` is what moved under the rule since it was last weighed, as a sentence."""
    fallen = select(Standing.member_id).where(
        Standing.rule_id == rule.row.id, Standing.fallen_at.is_not(None)
    )
    losers = (CourseMember.dirty.is_(True), CourseMember.id.in_(fallen))
    found = list(_followed(session, course, rule, Action.REVOKE, or_(*losers)))
    if len(found) <= FEW:
        return
    labels = dict.fromkeys(
        leaf.label
        for judgement in found
        for leaf in judgement.leaves()
        if leaf.outcome is Outcome.NOT_YET
    )
    named = " and ".join(f"“{label}”" for label in labels)
    why = suspicion or f"what the LMS tells of {named} now no longer meets the rule."
    _stop(session, course, rule, why, revocations=len(found))


def _followed(
    session: Session,
    course: Course,
    rule: RuleInForce,
    action: Action,
    *who: ColumnElement[bool],
) -> Iterator[Judgement]:
    """The judgements that the action would follow from, if nothing stopped it."""
    for members in learner_batches(session, course.id, *who):
        facts = facts_of(session, course, members)
        judge = BatchJudge.open(session, course, members, [rule])
        for each in members:
            if judge.forecast(rule, each, facts[each.id]) is action:
                yield evaluate(rule.criterion, facts[each.id].under(rule.policy, judge.now))


def _stop(
    session: Session,
    course: Course,
    rule: RuleInForce,
    why: str,
    *,
    grants: int = 0,
    revocations: int = 0,
    learners: int = 0,
) -> None:
    rule.row.stopped = {
        "why": why,
        "grants": grants,
        "revocations": revocations,
        "learners": learners,
    }
    record(session, "brake", course_id=course.id, rule_id=rule.row.id, **rule.row.stopped)
