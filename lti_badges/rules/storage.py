"""The form in which criteria are stored, and in which forms and files hold them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from lti_badges.core.errors import InvalidInput
from lti_badges.rules.criteria import (
    ActivityCompleted,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    MarkIsOneOf,
    MemberOf,
    ScoreAtLeast,
)
from lti_badges.rules.joining import AllOf, AnyOf, AtLeastN, NoneOf
from lti_badges.values.score import exact

MAX_DEPTH = 5
MAX_CRITERIA = 50


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


def _marks(stored: dict[str, Any]) -> tuple[str, ...]:
    marks = stored["marks"]
    if not isinstance(marks, list) or not all(isinstance(mark, str) for mark in marks):
        raise ValueError("marks must be a list of texts")
    return tuple(marks[:MAX_CRITERIA])


def _count(stored: dict[str, Any]) -> int:
    count = stored["n"]
    if isinstance(count, bool) or not isinstance(count, (int, str)):
        raise ValueError("n must be a whole number")
    return int(count)


_LEAVES: dict[str, Callable[[dict[str, Any]], Criterion]] = {
    "score": lambda at: ScoreAtLeast(_text(at, "key"), _text(at, "label"), _share(at)),
    "mark": lambda at: MarkIsOneOf(_text(at, "key"), _text(at, "label"), _marks(at)),
    "member": lambda at: MemberOf(_text(at, "key"), _text(at, "label")),
    "course_grade": lambda at: CourseGradeAtLeast(_share(at)),
    "course_completed": lambda _: CourseCompleted(),
    "activity_completed": lambda at: ActivityCompleted(_text(at, "key"), _text(at, "label")),
    "badge_held": lambda at: BadgeHeld(_text(at, "achievement_id"), _text(at, "name")),
}
_JOINS: dict[str, Callable[[tuple[Criterion, ...], dict[str, Any]], Criterion]] = {
    "all": lambda criteria, _: AllOf(criteria),
    "any": lambda criteria, _: AnyOf(criteria),
    "none": lambda criteria, _: NoneOf(criteria),
    "at_least_n": lambda criteria, at: AtLeastN(_count(at), criteria),
}
