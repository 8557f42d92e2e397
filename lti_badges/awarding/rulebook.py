"""The rules of a course: written, edited, paused, removed, and shown with what came of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import policy_of
from lti_badges.awarding.guard import StoppedRule, stopped_rule
from lti_badges.catalogue.achievements import is_at_hand
from lti_badges.catalogue.issuance import achievement_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.ledger.audit import record
from lti_badges.ledger.course_lock import ask_for_reading, judge_all_again, locked_course
from lti_badges.rules import (
    BadgeHeld,
    Criterion,
    Named,
    OnFall,
    Policy,
    dump,
    kind_of,
    leaves,
    load,
)
from lti_badges.store import (
    Achievement,
    Award,
    AwardRule,
    Course,
    LineItem,
    RuleVersion,
    Standing,
)
from lti_badges.values.badge import AchievementRef
from lti_badges.values.permission import Permission

UNSEEN = "The rule is new, and nobody has seen yet whom it would award."


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
        achievement = _achievement(session, course, achievement_id)
        _check(session, course, achievement, criterion)
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
    course_id = _course_of(tool, rule_id)
    with locked_course(tool, course_id) as (session, course):
        rule = _rule(session, rule_id)
        achievement = session.get_one(Achievement, rule.achievement_id)
        _check(session, course, achievement, criterion)
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
    if missing := _missing(tool, rule_id):
        named = ", ".join(f"“{label}”" for label in missing)
        raise InvalidInput(f"This course has no {named}: choose what the rule looks at first.")
    _switch(tool, rule_id, active=True, by=by)


def resume_all(tool: ToolContext, course_id: str, *, by: str) -> list[str]:
    """Judge by all paused rules whose items are all here. Returns the badges of those that wait."""
    waiting = []
    for view in rules_of(tool, course_id):
        if view.active:
            continue
        if _missing(tool, view.id):
            waiting.append(view.achievement.name)
        else:
            _switch(tool, view.id, active=True, by=by)
    return waiting


def _missing(tool: ToolContext, rule_id: str) -> list[str]:
    """Items of a rule that its course does not list at all, by name. One that was there and went
    is told on the instructor's page, and stops nothing here."""
    view = rule_view(tool, rule_id)
    with tool.sessions() as session:
        known = {
            (row.kind, row.key)
            for row in session.execute(
                select(LineItem.kind, LineItem.key).where(LineItem.course_id == view.course_id)
            )
        }
    return [
        leaf.label
        for leaf in leaves(view.criterion)
        if isinstance(leaf, Named) and (kind_of(leaf).value, leaf.key) not in known
    ]


def remove_rule(tool: ToolContext, rule_id: str, *, by: str, drop_column: bool = False) -> None:
    """Take a rule out of the course for good; what it granted stays. Its gradebook column stays,
    too, or goes with all its scores (`drop_column`). Raises NotFound."""
    tool.require(Permission.EDIT_RULES)
    course_id = _course_of(tool, rule_id)
    with locked_course(tool, course_id) as (session, _):
        rule = _rule(session, rule_id)
        rule.active, rule.removed_at = False, clock.now()
        rule.column_drop = drop_column and rule.pass_back_item is not None
        _note(session, rule, "rule_removed", by)


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
    course_id = _course_of(tool, rule_id)
    for view in rules_of(tool, course_id):
        if view.id == rule_id:
            return view
    raise NotFound("There is no such rule any more.")


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


def _check(
    session: Session, course: Course, achievement: Achievement, criterion: Criterion
) -> None:
    """A rule can only use what the course has, and never its own badge."""
    items = {
        (row.kind, row.key): row
        for row in session.scalars(select(LineItem).where(LineItem.course_id == course.id))
    }
    for leaf in leaves(criterion):
        if isinstance(leaf, BadgeHeld):
            _check_badge(session, achievement, leaf)
        elif isinstance(leaf, Named):
            item = items.get((kind_of(leaf).value, leaf.key))
            if item is None or not item.present:
                raise InvalidInput(f"“{leaf.label}” is not in this course (any more).")
            if item.is_own:
                raise InvalidInput(
                    f"“{leaf.label}” is a column that this tool writes itself; no rule can use it."
                )


def _check_badge(session: Session, achievement: Achievement, leaf: BadgeHeld) -> None:
    if leaf.achievement_id == achievement.id:
        raise InvalidInput("A badge can't be asked for before it is awarded.")
    if session.get(Achievement, leaf.achievement_id) is None:
        raise InvalidInput(f"There is no badge “{leaf.name}”.")


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
    course_id = _course_of(tool, rule_id)
    with locked_course(tool, course_id) as (session, course):
        rule = _rule(session, rule_id)
        if rule.active is active:
            return
        rule.active = active
        _note(session, rule, "rule_resumed" if active else "rule_paused", by)
        _read_anew(session, course)
    tool.enqueue("sync", course_id)


def _read_anew(session: Session, course: Course) -> None:
    judge_all_again(session, course.id)
    ask_for_reading(course)


def _achievement(session: Session, course: Course, achievement_id: str) -> Achievement:
    achievement = session.get(Achievement, achievement_id)
    if achievement is None or not is_at_hand(session, course.id, achievement):
        raise NotFound("There is no such badge in this course.")
    if achievement.archived:
        raise InvalidInput(f"The badge “{achievement.name}” is archived and can't be awarded.")
    return achievement


def _course_of(tool: ToolContext, rule_id: str) -> str:
    with tool.sessions() as session:
        return _rule(session, rule_id).course_id


def _rule(session: Session, rule_id: str) -> AwardRule:
    rule = session.get(AwardRule, rule_id)
    if rule is None or rule.removed_at is not None:
        raise NotFound("There is no such rule any more.")
    return rule


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
