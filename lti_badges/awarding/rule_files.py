"""The rules of a file tried, rehearsed and put in force in courses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from lti_badges.awarding import rule_file as file
from lti_badges.awarding.rehearsal import Rehearsal, rehearse
from lti_badges.awarding.rule_views import RuleView, rules_of
from lti_badges.awarding.rulebook import UNSEEN, edit_rule, pause_rule, resume_rule, save_rule
from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import (
    achievements_for,
    backend_of_course,
    create_achievement,
)
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, LtiBadgesError
from lti_badges.rules import (
    ActivityCompleted,
    AllOf,
    AnyOf,
    AtLeastN,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    MarkIsOneOf,
    MemberOf,
    NoneOf,
    Policy,
    ScoreAtLeast,
    dump,
    load,
)
from lti_badges.store import LineItem
from lti_badges.values.course import Kind
from lti_badges.values.score import parse_percent

_FALLS = {word: fall for fall, word in file.FALL_WORDS.items()}


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one rule of a file in one course: made, changed, unchanged, or refused with
    the reason."""

    badge: str
    outcome: str
    error: str | None = None


def check_rules(tool: ToolContext, course_id: str, rules: file.RuleFile) -> list[Applied]:
    """Which rules of a file fit a course; changes nothing."""
    course = _Course.of(tool, course_id)
    return [_tried(rule, course.fits) for rule in rules.rules]


def rehearse_rules(
    tool: ToolContext, course_id: str, rules: file.RuleFile
) -> list[tuple[Applied, Rehearsal | None]]:
    """Who would get the badges of a file, from what is stored; changes nothing."""
    course, found = _Course.of(tool, course_id), []
    for rule in rules.rules:
        seen: list[Rehearsal] = []

        def see(rule: file.FileRule, seen: list[Rehearsal] = seen) -> str:
            badge = course.badges.get(rule.badge_name)
            criterion = course.criterion(rule.when)
            seen.append(rehearse(tool, course_id, criterion, badge, _policy(rule)))
            return "fits"

        found.append((_tried(rule, see), seen[0] if seen else None))
    return found


def apply_rules(
    tool: ToolContext, course_id: str, rules: file.RuleFile, *, by: str
) -> list[Applied]:
    """Put the rules of a file in force. A rule of the same badge is changed, the same rule left as
    it is; a badge that the file describes is made if the course has none of its name. One rule that
    does not fit never stops the others."""
    course = _Course.of(tool, course_id)
    views = {view.achievement.name: view for view in rules_of(tool, course_id)}
    return [
        _tried(rule, lambda rule: _apply(tool, course, views.get(rule.badge_name), rule, by))
        for rule in rules.rules
    ]


def _tried(rule: file.FileRule, work: Callable[[file.FileRule], str]) -> Applied:
    try:
        return Applied(rule.badge_name, work(rule))
    except LtiBadgesError as error:
        return Applied(rule.badge_name, "refused", error.message)


def _apply(
    tool: ToolContext, course: _Course, view: RuleView | None, rule: file.FileRule, by: str
) -> str:
    criterion, policy = course.criterion(rule.when), _policy(rule)
    if view is None:
        badge_id = course.badges.get(rule.badge_name) or _made(tool, course, rule, criterion)
        rule_id, outcome = save_rule(tool, course.id, badge_id, criterion, policy, by=by), "made"
        was_active = True
    else:
        version = edit_rule(tool, view.id, criterion, policy, by=by, suspicion=UNSEEN)
        outcome = "unchanged" if version == view.version else "changed"
        rule_id, was_active = view.id, view.active
    if rule.active != was_active:
        (resume_rule if rule.active else pause_rule)(tool, rule_id, by=by)
        outcome = "changed" if outcome == "unchanged" else outcome
    return outcome


def _made(tool: ToolContext, course: _Course, rule: file.FileRule, criterion: Criterion) -> str:
    if isinstance(rule.badge, str):
        raise InvalidInput(
            f"There is no badge “{rule.badge}” in this course; describe it in the file (badge: "
            "with name, description and criteria) to have it made."
        )
    sentence = f"{criterion.describe()}."
    description = rule.badge.description or sentence
    draft = AchievementDraft(rule.badge.name, description, rule.badge.criteria or sentence)
    with tool.sessions() as session:
        backend_id = backend_of_course(session, course.id).id
    return create_achievement(tool, backend_id, draft, course_id=course.id)


def _policy(rule: file.FileRule) -> Policy:
    return Policy(
        on_fall=_FALLS[rule.if_grade_falls],
        grace_days=rule.revoke_after_days,
        pass_back=rule.gradebook_column,
        valid_days=rule.valid_for_days,
        valid_until=rule.valid_until,
        not_before=rule.not_before,
        not_after=rule.met_by,
        delay_days=rule.wait_days,
        counts_hidden=rule.count_hidden_grades,
        settle_minutes=rule.settle_minutes,
    )


@dataclass(frozen=True, slots=True)
class _Course:
    """What the names of a file mean in one course."""

    id: str
    items: Mapping[tuple[Kind, str], tuple[str, ...]]
    badges: Mapping[str, str]

    @classmethod
    def of(cls, tool: ToolContext, course_id: str) -> _Course:
        items: dict[tuple[Kind, str], tuple[str, ...]] = {}
        with tool.sessions() as session:
            present = (LineItem.course_id == course_id, LineItem.present.is_(True))
            for row in session.scalars(
                select(LineItem).where(*present, LineItem.is_own.is_(False))
            ):
                name = (Kind(row.kind), row.label)
                items[name] = (*items.get(name, ()), row.key)
        badges = {each.name: each.id for each in achievements_for(tool, course_id)}
        return cls(course_id, items, badges)

    def fits(self, rule: file.FileRule) -> str:
        """Whether the rule can be put in force here. Raises InvalidInput where it can't."""
        self.criterion(rule.when)
        if isinstance(rule.badge, str):
            self._badge(rule.badge)
        return "fits"

    def criterion(self, condition: file.Condition) -> Criterion:
        """The criterion that a condition means here; checked as any stored rule is. Raises
        InvalidInput."""
        try:
            return load(dump(self._read(condition)))
        except ValueError as error:
            raise InvalidInput(f"{error}.") from None

    def _read(self, condition: file.Condition) -> Criterion:
        if isinstance(condition, file.AllOfThese):
            return AllOf(tuple(map(self._read, condition.all)))
        if isinstance(condition, file.AnyOfThese):
            return AnyOf(tuple(map(self._read, condition.any)))
        if isinstance(condition, file.SoManyOfThese):
            return AtLeastN(condition.at_least, tuple(map(self._read, condition.of)))
        if isinstance(condition, file.NoneOfThese):
            return NoneOf(tuple(map(self._read, condition.none)))
        return self._leaf(condition)

    def _leaf(self, condition: file.Condition) -> Criterion:
        match condition:
            case file.ItemAtLeast(item=label, at_least=share):
                return ScoreAtLeast(self._key(Kind.ITEM, label), label, parse_percent(str(share)))
            case file.ItemOneOf(item=label, one_of=marks):
                return MarkIsOneOf(self._key(Kind.ITEM, label), label, marks)
            case file.CourseGrade(course_grade_at_least=share):
                return CourseGradeAtLeast(parse_percent(str(share)))
            case file.ActivityCompleted(activity_completed=label):
                return ActivityCompleted(self._key(Kind.ACTIVITY, label), label)
            case file.InGroup(in_group=label):
                return MemberOf(self._key(Kind.GROUP, label), label)
            case file.HoldsBadge(holds_badge=name):
                return BadgeHeld(self._badge(name), name)
        return CourseCompleted()

    def _key(self, kind: Kind, label: str) -> str:
        keys = self.items.get((kind, label), ())
        if not keys:
            raise InvalidInput(f"This course has no item “{label}”.")
        if len(keys) > 1:
            raise InvalidInput(f"This course has {len(keys)} items called “{label}”; rename one.")
        return keys[0]

    def _badge(self, name: str) -> str:
        if name not in self.badges:
            raise InvalidInput(f"There is no badge “{name}” in this course.")
        return self.badges[name]
