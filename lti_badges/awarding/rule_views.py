"""The rules of a course as they stand, with what came of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import policy_of
from lti_badges.awarding.guard import StoppedRule, stopped_rule
from lti_badges.catalogue.issuance import achievement_of
from lti_badges.context import ToolContext
from lti_badges.core.errors import NotFound
from lti_badges.rules import Criterion, Policy, load
from lti_badges.store import Achievement, Award, AwardRule, RuleVersion
from lti_badges.values.badge import AchievementRef


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as it stands. `counts` tells how many of its awards are in each state."""

    id: str
    course_id: str
    achievement: AchievementRef
    version: int
    criterion: Criterion
    description: str
    policy: Policy
    active: bool
    stop: StoppedRule | None
    counts: Mapping[str, int]
    has_column: bool = False
    column_error: str | None = None


def rules_of(tool: ToolContext, course_id: str) -> list[RuleView]:
    """The course's rules, paused ones too, oldest first."""
    with tool.sessions() as session:
        rows = session.execute(
            select(AwardRule, RuleVersion, Achievement)
            .join(
                RuleVersion,
                (RuleVersion.rule_id == AwardRule.id) & (RuleVersion.version == AwardRule.version),
            )
            .join(Achievement, Achievement.id == AwardRule.achievement_id)
            .where(AwardRule.course_id == course_id, AwardRule.removed_at.is_(None))
            .order_by(AwardRule.created_at, AwardRule.id)
        ).all()
        counts = _counts(session, course_id)
    return [
        RuleView(
            id=rule.id,
            course_id=course_id,
            achievement=achievement_of(tool, achievement),
            version=rule.version,
            criterion=load(version.criteria),
            description=version.description,
            policy=policy_of(version),
            active=rule.active,
            stop=stopped_rule(rule),
            counts=counts[rule.id],
            has_column=rule.pass_back_item is not None,
            column_error=rule.column_error,
        )
        for rule, version, achievement in rows
    ]


def rule_view(tool: ToolContext, rule_id: str) -> RuleView:
    """One rule. Raises NotFound."""
    course_id = course_of_rule(tool, rule_id)
    for view in rules_of(tool, course_id):
        if view.id == rule_id:
            return view
    raise NotFound("There is no such rule any more.")


def course_of_rule(tool: ToolContext, rule_id: str) -> str:
    """The id of a rule's course. Raises NotFound."""
    with tool.sessions() as session:
        return live_rule(session, rule_id).course_id


def live_rule(session: Session, rule_id: str) -> AwardRule:
    """A rule that is not removed. Raises NotFound."""
    rule = session.get(AwardRule, rule_id)
    if rule is None or rule.removed_at is not None:
        raise NotFound("There is no such rule any more.")
    return rule


def _counts(session: Session, course_id: str) -> Mapping[str, Mapping[str, int]]:
    rows = session.execute(
        select(Award.rule_id, Award.state, func.count())
        .where(Award.course_id == course_id, Award.rule_id.is_not(None))
        .group_by(Award.rule_id, Award.state)
    )
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for rule_id, state, number in rows:
        if rule_id is not None:
            counts[rule_id][state] = number
    return counts
