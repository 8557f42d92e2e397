"""A course's rules in force, parsed once for a batch, and why a held badge no longer meets one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.awarding.decide import Cause
from lti_badges.ledger.rules_in_force import current_versions
from lti_badges.rules import (
    CountsAt,
    Criterion,
    Facts,
    Judgement,
    OnFall,
    Outcome,
    Policy,
    evaluate,
    load,
)
from lti_badges.store import (
    Achievement,
    Award,
    AwardRule,
    Course,
    RuleVersion,
)


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule in force, parsed once for a batch."""

    row: AwardRule
    version: RuleVersion
    criterion: Criterion
    policy: Policy
    backend_id: str
    earlier: Mapping[int, tuple[Criterion, Policy]] = field(default_factory=dict)
    """Its versions before this one: awards were granted by them."""

    @property
    def is_stopped(self) -> bool:
        """Neither grants nor revokes until it was weighed, or the instructor resumed it."""
        return self.row.suspicion is not None or self.row.stopped is not None

    @classmethod
    def all_of(cls, session: Session, course: Course) -> list[RuleInForce]:
        """The course's rules in force."""
        current = current_versions(session, course.id)
        edited = [row.id for row, version in current if version.version > 1]
        earlier: dict[str, dict[int, tuple[Criterion, Policy]]] = defaultdict(dict)
        for each in session.scalars(select(RuleVersion).where(RuleVersion.rule_id.in_(edited))):
            earlier[each.rule_id][each.version] = (load(each.criteria), policy_of(each))
        rows = session.execute(
            select(Achievement.id, Achievement.backend_id).where(
                Achievement.id.in_({row.achievement_id for row, _ in current})
            )
        )
        backends = {each.id: each.backend_id for each in rows}
        return [
            cls(
                row,
                version,
                load(version.criteria),
                policy_of(version),
                backends[row.achievement_id],
                earlier[row.id],
            )
            for row, version in current
        ]

    def as_edited(self, criterion: Criterion, policy: Policy) -> RuleInForce:
        """The same rule as its next version would be."""
        earlier = {**self.earlier, self.version.version: (self.criterion, self.policy)}
        coming = RuleVersion(rule_id=self.row.id, version=self.version.version + 1)
        return replace(self, version=coming, criterion=criterion, policy=policy, earlier=earlier)


def policy_of(version: RuleVersion) -> Policy:
    """The policy a rule version holds."""
    return Policy(
        OnFall(version.on_fall),
        version.grace_days,
        version.pass_back,
        version.valid_days,
        version.valid_until,
        version.not_before,
        version.not_after,
        version.delay_days,
        version.counts_hidden,
        version.settle_minutes,
        CountsAt(version.counts_at),
        version.may_show_result,
    )


def cause_of(
    rule: RuleInForce, award: Award | None, judgement: Judgement, facts: Facts, now: datetime
) -> Cause:
    """Whether a held badge's rule is no longer met because of the results or of the rule: the award
    was granted by an earlier version, and that one is still met, or can't be said not to be."""
    if award is None or award.rule_version is None or judgement.outcome is not Outcome.NOT_YET:
        return Cause.RESULTS
    granting = rule.earlier.get(award.rule_version)
    if granting is None or award.rule_version == rule.version.version:
        return Cause.RESULTS
    criterion, policy = granting
    then = evaluate(criterion, facts.under(policy, now))
    return Cause.RESULTS if then.outcome is Outcome.NOT_YET else Cause.RULE
