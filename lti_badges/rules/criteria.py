"""The criteria a rule is made of, and their form in storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from lti_badges.errors import InvalidInput
from lti_badges.rules.facts import Facts
from lti_badges.rules.judging import judge_completion, judge_drift, judge_result
from lti_badges.rules.verdict import Judgement, Outcome
from lti_badges.values.course import COURSE_COMPLETION, COURSE_GRADE_KEY
from lti_badges.values.score import exact, percent

MAX_DEPTH = 5
MAX_CRITERIA = 50


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
        drift = judge_drift(self.label, self.key, facts)
        found = facts.results.get(self.key)
        return drift or judge_result(self.label, self.share, found, facts, self.key)

    def describe(self) -> str:
        """In words."""
        return f"{self.label} at least {percent(self.share)}"

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "score", "key": self.key, "label": self.label, "share": str(self.share)}


@dataclass(frozen=True, slots=True)
class CourseGradeAtLeast:
    """The course grade reaches a share of its maximum. `share` is in (0, 1]."""

    share: Fraction

    def judge(self, facts: Facts) -> Judgement:
        """As for a line item."""
        return judge_result("Course grade", self.share, facts.course_grade, facts, COURSE_GRADE_KEY)

    def describe(self) -> str:
        """In words."""
        return f"Course grade at least {percent(self.share)}"

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "course_grade", "share": str(self.share)}


@dataclass(frozen=True, slots=True)
class CourseCompleted:
    """The LMS says that the learner completed the course."""

    def judge(self, facts: Facts) -> Judgement:
        """Unknown when never read."""
        return judge_completion("Course", facts.course_completion, facts, COURSE_COMPLETION)

    def describe(self) -> str:
        """In words."""
        return "Course completed"

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "course_completed"}


@dataclass(frozen=True, slots=True)
class ActivityCompleted:
    """The LMS says that the learner completed one activity."""

    key: str
    label: str

    def judge(self, facts: Facts) -> Judgement:
        """Unknown when never read."""
        drift = judge_drift(self.label, self.key, facts)
        found = facts.completions.get(self.key)
        return drift or judge_completion(self.label, found, facts, self.key)

    def describe(self) -> str:
        """In words."""
        return f"{self.label} completed"

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "activity_completed", "key": self.key, "label": self.label}


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
        )

    def describe(self) -> str:
        """In words."""
        return f"Badge “{self.name}” held"

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "badge_held", "achievement_id": self.achievement_id, "name": self.name}


@dataclass(frozen=True, slots=True)
class AtLeastN:
    """At least `n` of the criteria are met; `n` is from 1 to their number."""

    n: int
    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.n <= len(self.criteria):
            raise ValueError(f"{self.n} of {len(self.criteria)} criteria can't be asked for")

    def judge(self, facts: Facts) -> Judgement:
        """The n-th greatest outcome: met by n, impossible to rule out while unknowns could help."""
        parts = tuple(criterion.judge(facts) for criterion in self.criteria)
        ranked = sorted((part.outcome for part in parts), reverse=True)
        met = sum(part.outcome is Outcome.MET for part in parts)
        text = f"{met} of the {self.n} needed" if self.n > 1 else "; ".join(p.text for p in parts)
        nearest = sorted((_progress(part) for part in parts), reverse=True)[: self.n]
        return Judgement(
            ranked[self.n - 1],
            self.describe(),
            text,
            hint=_join([part.hint for part in parts if part.hint], "or"),
            value=str(met),
            needed=str(self.n),
            progress=sum(nearest, Fraction(0)) / self.n,
            parts=parts,
        )

    def describe(self) -> str:
        """In words."""
        listed = _join([_nested(criterion) for criterion in self.criteria], "or")
        return listed if self.n == 1 else f"at least {self.n} of: {listed}"

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "at_least_n", "n": self.n, "of": [c.to_json() for c in self.criteria]}


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every criterion is met."""

    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        _need_some(self.criteria)

    def judge(self, facts: Facts) -> Judgement:
        """The least outcome of the parts."""
        parts = tuple(criterion.judge(facts) for criterion in self.criteria)
        return Judgement(
            min(part.outcome for part in parts),
            self.describe(),
            "; ".join(part.text for part in parts),
            hint=_join([part.hint for part in parts if part.hint], "and"),
            progress=sum((_progress(part) for part in parts), Fraction(0)) / len(parts),
            parts=parts,
        )

    def describe(self) -> str:
        """In words."""
        return _join([_nested(criterion) for criterion in self.criteria], "and")

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "all", "of": [criterion.to_json() for criterion in self.criteria]}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One criterion at least is met."""

    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        _need_some(self.criteria)

    def judge(self, facts: Facts) -> Judgement:
        """The greatest outcome of the parts."""
        return AtLeastN(1, self.criteria).judge(facts)

    def describe(self) -> str:
        """In words."""
        return AtLeastN(1, self.criteria).describe()

    def to_json(self) -> dict[str, Any]:
        """Storage form."""
        return {"is": "any", "of": [criterion.to_json() for criterion in self.criteria]}


def leaves(criterion: Criterion) -> Iterator[Criterion]:
    """The single conditions of a rule, without the all/any around them, in their order."""
    if isinstance(criterion, (AllOf, AnyOf, AtLeastN)):
        for part in criterion.criteria:
            yield from leaves(part)
    else:
        yield criterion


def dump(criterion: Criterion) -> dict[str, Any]:
    """The storage form, a JSON object."""
    return criterion.to_json()


def load(stored: object) -> Criterion:
    """The criterion that `dump` wrote, or that a form or file holds. Raises InvalidInput."""
    criterion, count = _load(stored, depth=0)
    if count > MAX_CRITERIA:
        raise InvalidInput(f"A rule can hold at most {MAX_CRITERIA} criteria.")
    return criterion


def _load(stored: object, depth: int) -> tuple[Criterion, int]:
    if not isinstance(stored, dict) or depth > MAX_DEPTH:
        raise InvalidInput("This is not a rule that lti-badges understands.")
    try:
        kind = stored["is"]
        if kind in _LEAVES:
            return _LEAVES[kind](stored), 1
        loaded = [_load(part, depth + 1) for part in stored["of"]]
        criteria = tuple(criterion for criterion, _ in loaded)
        return _JOINS[kind](criteria, stored), sum(number for _, number in loaded)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InvalidInput(f"The rule can't be read: {error}.") from None


def _text(stored: dict[str, Any], name: str) -> str:
    value = stored[name]
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise ValueError(f"{name} must be a text")
    return value


def _share(stored: dict[str, Any]) -> Fraction:
    numerator, _, denominator = str(stored["share"]).partition("/")
    share = exact(numerator) / exact(denominator or 1)
    if not 0 < share <= 1:
        raise ValueError("a percentage must be more than 0 and at most 100")
    return share


def _count(stored: dict[str, Any]) -> int:
    count = stored["n"]
    if isinstance(count, bool) or not isinstance(count, (int, str)):
        raise ValueError("n must be a whole number")
    return int(count)


_LEAVES: dict[str, Callable[[dict[str, Any]], Criterion]] = {
    "score": lambda at: ScoreAtLeast(_text(at, "key"), _text(at, "label"), _share(at)),
    "course_grade": lambda at: CourseGradeAtLeast(_share(at)),
    "course_completed": lambda _: CourseCompleted(),
    "activity_completed": lambda at: ActivityCompleted(_text(at, "key"), _text(at, "label")),
    "badge_held": lambda at: BadgeHeld(_text(at, "achievement_id"), _text(at, "name")),
}
_JOINS: dict[str, Callable[[tuple[Criterion, ...], dict[str, Any]], Criterion]] = {
    "all": lambda criteria, _: AllOf(criteria),
    "any": lambda criteria, _: AnyOf(criteria),
    "at_least_n": lambda criteria, at: AtLeastN(_count(at), criteria),
}


def _need_some(criteria: Sequence[Criterion]) -> None:
    if not criteria:
        raise ValueError("a rule needs at least one criterion")


def _nested(criterion: Criterion) -> str:
    compound = isinstance(criterion, (AllOf, AnyOf, AtLeastN)) and len(criterion.criteria) > 1
    return f"({criterion.describe()})" if compound else criterion.describe()


def _join(parts: Sequence[str], word: str) -> str:
    distinct = list(dict.fromkeys(parts))
    if len(distinct) <= 1:
        return "".join(distinct)
    return f"{', '.join(distinct[:-1])} {word} {distinct[-1]}"


def _progress(judgement: Judgement) -> Fraction:
    if judgement.outcome is Outcome.MET:
        return Fraction(1)
    return judgement.progress or Fraction(0)
