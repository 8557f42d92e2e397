"""The rules of a course: written, edited, paused, resumed, removed."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import update
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import policy_of
from lti_badges.awarding.rule_checks import awardable, check_criterion, missing_items
from lti_badges.awarding.rule_views import course_of_rule, live_rule, rules_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.ledger.audit import record
from lti_badges.ledger.course_lock import ask_for_reading, judge_all_again, locked_course
from lti_badges.rules import (
    BadgeHeld,
    Criterion,
    OnFall,
    Policy,
    dump,
    leaves,
    load,
)
from lti_badges.store import (
    Achievement,
    AwardRule,
    Course,
    RuleVersion,
    Standing,
)
from lti_badges.values.permission import Permission

UNSEEN = "The rule is new, and nobody has seen yet whom it would award."


def save_rule(
    tool: ToolContext,
    course_id: str,
    achievement_id: str,
    criterion: Criterion,
    policy: Policy,
    *,
    by: str,
    rehearsed: bool = False,
) -> str:
    """Put a rule in force. Returns its id. Raises InvalidInput and NotFound.

    Unless somebody has `rehearsed` it, and so has seen whom it would award, that is counted first,
    and many at once wait for a person. The course is read anew right away: the rule may need values
    nobody asked for before.
    """
    tool.require(Permission.EDIT_RULES)
    with locked_course(tool, course_id) as (session, course):
        achievement = awardable(session, course, achievement_id)
        check_criterion(session, course, achievement, criterion)
        rule = AwardRule(
            course_id=course.id,
            achievement_id=achievement.id,
            version=1,
            suspicion=None if rehearsed else UNSEEN,
        )
        session.add(rule)
        session.flush()
        session.add(_version(rule, criterion, policy, by))
        _note(session, rule, "rule_saved", by, description=criterion.describe())
        _read_anew(session, course)
        rule_id = rule.id
    tool.enqueue("sync", course_id)
    return rule_id


def edit_rule(
    tool: ToolContext,
    rule_id: str,
    criterion: Criterion,
    policy: Policy,
    *,
    by: str,
    suspicion: str | None = None,
    take_from: Collection[str] = (),
) -> int:
    """Replace a rule's criterion and policy. Returns the version in force, the old one if nothing
    changed. Awards keep the version they were granted by, and stay as long as that one is met: only
    the members whom `take_from` names, as whoever edits saw and wanted it, lose the badge by the
    edit. Whoever edits without having seen what follows gives a `suspicion`: it is counted first.
    Raises InvalidInput and NotFound."""
    tool.require(Permission.EDIT_RULES)
    course_id = course_of_rule(tool, rule_id)
    with locked_course(tool, course_id) as (session, course):
        rule = live_rule(session, rule_id)
        achievement = session.get_one(Achievement, rule.achievement_id)
        check_criterion(session, course, achievement, criterion)
        current = session.get_one(RuleVersion, (rule.id, rule.version))
        if load(current.criteria) == criterion and policy_of(current) == policy:
            return rule.version
        rule.version += 1
        rule.stopped, rule.suspicion = None, suspicion
        _settle_falls(session, rule, policy_of(current), policy, take_from)
        session.add(_version(rule, criterion, policy, by))
        _note(
            session,
            rule,
            "rule_edited",
            by,
            description=criterion.describe(),
            was=current.description,
        )
        _read_anew(session, course)
        version = rule.version
    tool.enqueue("sync", course_id)
    return version


def _settle_falls(
    session: Session,
    rule: AwardRule,
    before: Policy,
    after: Policy,
    take_from: Collection[str],
) -> None:
    """Who loses the badge by an edit, and nobody else: a policy that became stricter does not reach
    back to those whose grades fell while it was milder."""
    mine = Standing.rule_id == rule.id
    stricter = after.on_fall is OnFall.REVOKE and (
        before.on_fall is not OnFall.REVOKE or after.grace_days < before.grace_days
    )
    if stricter:
        session.execute(
            update(Standing)
            .where(mine, Standing.fallen_at.is_not(None), Standing.member_id.not_in(take_from))
            .values(kept=True, flagged=False)
        )
    if take_from:
        session.execute(
            update(Standing)
            .where(mine, Standing.member_id.in_(take_from))
            .values(takes_version=rule.version, kept=False)
        )


def pause_rule(tool: ToolContext, rule_id: str, *, by: str) -> None:
    """Stop judging by a rule; what it granted stays. Raises NotFound."""
    _switch(tool, rule_id, active=False, by=by)


def resume_rule(tool: ToolContext, rule_id: str, *, by: str) -> None:
    """Judge by a rule again. Raises NotFound, and InvalidInput naming the items that this course
    does not have: those of a copied rule may still be missing."""
    if missing := missing_items(tool, rule_id):
        named = ", ".join(f"“{label}”" for label in missing)
        raise InvalidInput(f"This course has no {named}: choose what the rule looks at first.")
    _switch(tool, rule_id, active=True, by=by)


def resume_all(tool: ToolContext, course_id: str, *, by: str) -> list[str]:
    """Judge by all paused rules whose items are all here. Returns the badges of those that wait."""
    waiting = []
    for view in rules_of(tool, course_id):
        if view.active:
            continue
        if missing_items(tool, view.id):
            waiting.append(view.achievement.name)
        else:
            _switch(tool, view.id, active=True, by=by)
    return waiting


def remove_rule(tool: ToolContext, rule_id: str, *, by: str, drop_column: bool = False) -> None:
    """Take a rule out of the course for good; what it granted stays. Its gradebook column stays,
    too, or goes with all its scores (`drop_column`). Raises NotFound."""
    tool.require(Permission.EDIT_RULES)
    course_id = course_of_rule(tool, rule_id)
    with locked_course(tool, course_id) as (session, _):
        rule = live_rule(session, rule_id)
        rule.active, rule.removed_at = False, clock.now()
        rule.column_drop = drop_column and rule.pass_back_item is not None
        _note(session, rule, "rule_removed", by)


def _version(rule: AwardRule, criterion: Criterion, policy: Policy, by: str) -> RuleVersion:
    return RuleVersion(
        rule_id=rule.id,
        version=rule.version,
        criteria=dump(criterion),
        description=criterion.describe(),
        on_fall=policy.on_fall.value,
        grace_days=policy.grace_days,
        pass_back=policy.pass_back,
        valid_days=policy.valid_days,
        valid_until=policy.valid_until,
        not_before=policy.not_before,
        not_after=policy.not_after,
        delay_days=policy.delay_days,
        counts_hidden=policy.counts_hidden,
        settle_minutes=policy.settle_minutes,
        counts_at=policy.counts_at.value,
        builds_on=any(isinstance(leaf, BadgeHeld) for leaf in leaves(criterion)),
        may_show_result=policy.may_show_result,
        created_by=by,
    )


def _switch(tool: ToolContext, rule_id: str, *, active: bool, by: str) -> None:
    tool.require(Permission.EDIT_RULES)
    course_id = course_of_rule(tool, rule_id)
    with locked_course(tool, course_id) as (session, course):
        rule = live_rule(session, rule_id)
        if rule.active is active:
            return
        rule.active = active
        _note(session, rule, "rule_resumed" if active else "rule_paused", by)
        _read_anew(session, course)
    tool.enqueue("sync", course_id)


def _read_anew(session: Session, course: Course) -> None:
    judge_all_again(session, course.id)
    ask_for_reading(course)


def _note(session: Session, rule: AwardRule, kind: str, by: str, **detail: str) -> None:
    record(
        session,
        kind,
        actor=by,
        course_id=rule.course_id,
        rule_id=rule.id,
        rule_version=rule.version,
        **detail,
    )
