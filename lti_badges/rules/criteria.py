"""The single conditions that a rule is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from lti_badges.rules.facts import BY_BADGE, Facts
from lti_badges.rules.judging import (
    judge_completion,
    judge_item_change,
    judge_mark,
    judge_membership,
    judge_result,
)
from lti_badges.rules.verdict import Judgement, Outcome
from lti_badges.values.course import COURSE_COMPLETION, COURSE_GRADE_KEY, Kind
from lti_badges.values.score import percent


class Criterion(Protocol):
    """One condition, or several joined."""

    def judge(self, facts: Facts) -> Judgement:
        """Met, not yet, or unknown, with the reason in words."""

    def describe(self) -> str:
        """The condition in words, as a person would say it: “Final quiz at least 80 %”."""

    def to_json(self) -> dict[str, Any]:
        """The storage form that `load` reads."""


@dataclass(frozen=True, slots=True)
class ScoreAtLeast:
    """A line item's score reaches a share of its maximum. `share` is in (0, 1]."""

    key: str
    label: str
    share: Fraction

    def judge(self, facts: Facts) -> Judgement:
        """Points are compared exactly: 2.4 of 3 is 80 %. AGS 2.0 §3.3."""
        change = judge_item_change(self.label, self.key, facts)
        found = facts.results.get(self.key)
        return change or judge_result(self.label, self.share, found, facts, self.key)

    def describe(self) -> str:
        return f"{self.label} at least {percent(self.share)}"

    def to_json(self) -> dict[str, Any]:
        return {"is": "score", "key": self.key, "label": self.label, "share": str(self.share)}


@dataclass(frozen=True, slots=True)
class MarkIsOneOf:
    """A line item's grade in words is one of these: “A” or “A-”. Case and outer spaces do not
    count; which mark is better, no LMS tells."""

    key: str
    label: str
    marks: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.marks or any(not mark.strip() for mark in self.marks):
            raise ValueError("name at least one mark")

    def judge(self, facts: Facts) -> Judgement:
        """Compared word by word."""
        change = judge_item_change(self.label, self.key, facts)
        found = facts.results.get(self.key)
        return change or judge_mark(self.label, self.marks, found, facts, self.key)

    def describe(self) -> str:
        return f"{self.label} graded {listed(self.marks, 'or')}"

    def to_json(self) -> dict[str, Any]:
        return {"is": "mark", "key": self.key, "label": self.label, "marks": list(self.marks)}


@dataclass(frozen=True, slots=True)
class MemberOf:
    """The learner is in a section or group of the course."""

    key: str
    label: str

    def judge(self, facts: Facts) -> Judgement:
        """Unknown when never read."""
        change = judge_item_change(self.label, self.key, facts)
        return change or judge_membership(
            self.label, facts.completions.get(self.key), facts, self.key
        )

    def describe(self) -> str:
        return f"in {self.label}"

    def to_json(self) -> dict[str, Any]:
        return {"is": "member", "key": self.key, "label": self.label}


@dataclass(frozen=True, slots=True)
class CourseGradeAtLeast:
    """The course grade reaches a share of its maximum. `share` is in (0, 1]."""

    share: Fraction

    def judge(self, facts: Facts) -> Judgement:
        """As for a line item."""
        return judge_result("Course grade", self.share, facts.course_grade, facts, COURSE_GRADE_KEY)

    def describe(self) -> str:
        return f"Course grade at least {percent(self.share)}"

    def to_json(self) -> dict[str, Any]:
        return {"is": "course_grade", "share": str(self.share)}


@dataclass(frozen=True, slots=True)
class CourseCompleted:
    """The LMS says that the learner completed the course."""

    def judge(self, facts: Facts) -> Judgement:
        """Unknown when never read."""
        return judge_completion("Course", facts.course_completion, facts, COURSE_COMPLETION)

    def describe(self) -> str:
        return "Course completed"

    def to_json(self) -> dict[str, Any]:
        return {"is": "course_completed"}


@dataclass(frozen=True, slots=True)
class ActivityCompleted:
    """The LMS says that the learner completed one activity."""

    key: str
    label: str

    def judge(self, facts: Facts) -> Judgement:
        """Unknown when never read."""
        change = judge_item_change(self.label, self.key, facts)
        found = facts.completions.get(self.key)
        return change or judge_completion(self.label, found, facts, self.key)

    def describe(self) -> str:
        return f"{self.label} completed"

    def to_json(self) -> dict[str, Any]:
        return {"is": "activity_completed", "key": self.key, "label": self.label}


Named = ScoreAtLeast | MarkIsOneOf | ActivityCompleted | MemberOf
"""The criteria that look at one item of the course, known by key and label."""


def kind_of(criterion: Named) -> Kind:
    """What sort of item it looks at."""
    if isinstance(criterion, ActivityCompleted):
        return Kind.ACTIVITY
    if criterion.key == COURSE_GRADE_KEY:
        return Kind.COURSE_GRADE
    return Kind.GROUP if isinstance(criterion, MemberOf) else Kind.ITEM


@dataclass(frozen=True, slots=True)
class BadgeHeld:
    """The learner already holds another badge, so that badges build up to a larger one."""

    achievement_id: str
    name: str

    def judge(self, facts: Facts) -> Judgement:
        """Always known: awards are ours."""
        held = self.achievement_id in facts.badges_held
        return Judgement(
            Outcome.MET if held else Outcome.NOT_YET,
            self.name,
            f"Badge “{self.name}” {'is held' if held else 'is not held yet'}",
            hint="" if held else f"Earn the badge “{self.name}” first",
            value="held" if held else "not held",
            needed="held",
            progress=Fraction(int(held)),
            at=facts.badges_since.get(self.achievement_id),
            by=BY_BADGE,
        )

    def describe(self) -> str:
        return f"Badge “{self.name}” held"

    def to_json(self) -> dict[str, Any]:
        return {"is": "badge_held", "achievement_id": self.achievement_id, "name": self.name}


def listed(parts: Sequence[str], word: str) -> str:
    """“a, b or c”, each once."""
    distinct = list(dict.fromkeys(parts))
    if len(distinct) <= 1:
        return "".join(distinct)
    return f"{', '.join(distinct[:-1])} {word} {distinct[-1]}"
