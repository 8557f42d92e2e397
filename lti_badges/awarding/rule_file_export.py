"""The rules of a course written to a file."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

from lti_badges.awarding import rule_file as file
from lti_badges.awarding.rule_views import RuleView, rules_of
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput
from lti_badges.rules import (
    ActivityCompleted,
    AnyOf,
    AtLeastN,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    Joined,
    MarkIsOneOf,
    MemberOf,
    NoneOf,
    ScoreAtLeast,
)


def export_rules(tool: ToolContext, course_id: str) -> str:
    """The course's rules as a file. Raises InvalidInput when it has none."""
    views = rules_of(tool, course_id)
    if not views:
        raise InvalidInput("This course has no rules.")
    return file.write_rule_file(file.RuleFile(rules=tuple(_written(view) for view in views)))


def _written(view: RuleView) -> file.FileRule:
    policy, badge = view.policy, view.achievement
    return file.FileRule(
        badge=file.Badge(name=badge.name, description=badge.description, criteria=badge.criteria),
        when=_condition(view.criterion),
        if_grade_falls=file.FALL_WORDS[policy.on_fall],
        revoke_after_days=policy.grace_days,
        valid_for_days=policy.valid_days,
        valid_until=policy.valid_until,
        not_before=policy.not_before,
        met_by=policy.not_after,
        wait_days=policy.delay_days,
        count_hidden_grades=policy.counts_hidden,
        settle_minutes=policy.settle_minutes,
        gradebook_column=policy.pass_back,
        active=view.active,
    )


def _condition(criterion: Criterion) -> file.Condition:
    if not isinstance(criterion, Joined):
        return _leaf_condition(criterion)
    parts = tuple(map(_condition, criterion.criteria))
    if isinstance(criterion, AtLeastN):
        return file.SoManyOfThese(at_least=criterion.n, of=parts)
    if isinstance(criterion, AnyOf):
        return file.AnyOfThese(any=parts)
    if isinstance(criterion, NoneOf):
        return file.NoneOfThese(none=parts)
    return file.AllOfThese(all=parts)


def _leaf_condition(criterion: Criterion) -> file.Condition:
    match criterion:
        case ScoreAtLeast(label=label, share=share):
            return file.ItemAtLeast(item=label, at_least=_share(share))
        case MarkIsOneOf(label=label, marks=marks):
            return file.ItemOneOf(item=label, one_of=marks)
        case CourseGradeAtLeast(share=share):
            return file.CourseGrade(course_grade_at_least=_share(share))
        case CourseCompleted():
            return file.CourseCompleted(course_completed=True)
        case ActivityCompleted(label=label):
            return file.ActivityCompleted(activity_completed=label)
        case MemberOf(label=label):
            return file.InGroup(in_group=label)
        case BadgeHeld(name=name):
            return file.HoldsBadge(holds_badge=name)
    raise InvalidInput("This rule holds a condition that a file can't.")


def _share(share: Fraction) -> str:
    """Exact: thresholds are written as decimals, so their shares are decimals too."""
    with localcontext(prec=60):
        exact = Decimal(share.numerator * 100) / Decimal(share.denominator)
    return f"{exact:f} %"
