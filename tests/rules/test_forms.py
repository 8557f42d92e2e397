"""Every word and number that is shown, kept or refused, exactly."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from lti_badges.core.errors import InvalidInput
from lti_badges.rules import (
    BadgeHeld,
    CourseGradeAtLeast,
    Facts,
    Judgement,
    MarkIsOneOf,
    NoneOf,
    Outcome,
    ScoreAtLeast,
    load,
)
from lti_badges.rules.storage import MAX_CRITERIA, MAX_DEPTH
from lti_badges.values.course import Result, ResultState

READ_AT = datetime(2026, 5, 3, 10, 2, tzinfo=UTC)
COMPLETED = {"is": "course_completed"}


def score(points: int) -> Result:
    return Result("", "ada", ResultState.GRADED, Fraction(points), Fraction(10), READ_AT)


def test_a_badge_held_or_not_says_so() -> None:
    rule = BadgeHeld("b1", "First aid")
    assert rule.judge(Facts(badges_held={"b1"})) == Judgement(
        Outcome.MET,
        "First aid",
        "Badge “First aid” is held",
        hint="",
        value="held",
        needed="held",
        progress=Fraction(1),
        by="badge",
    )
    assert rule.judge(Facts()) == Judgement(
        Outcome.NOT_YET,
        "First aid",
        "Badge “First aid” is not held yet",
        hint="Earn the badge “First aid” first",
        value="not held",
        needed="held",
        progress=Fraction(0),
        by="badge",
    )


@pytest.mark.parametrize(
    ("points", "outcome", "value", "progress"),
    [((1, 2), Outcome.MET, "0", 1), ((9, 2), Outcome.NOT_YET, "1", 0)],
)
def test_none_of_says_how_many_are_met(
    points: tuple[int, int], outcome: Outcome, value: str, progress: int
) -> None:
    parts = tuple(ScoreAtLeast(key, f"Quiz {key}", Fraction(1, 2)) for key in "ab")
    facts = Facts(results=dict(zip("ab", map(score, points), strict=True)))
    judged = tuple(part.judge(facts) for part in parts)
    assert NoneOf(parts).judge(facts) == Judgement(
        outcome,
        "none of: Quiz a at least 50 % or Quiz b at least 50 %",
        f"{judged[0].text}; {judged[1].text}",
        value=value,
        needed="0",
        progress=Fraction(progress),
        parts=judged,
    )


def test_spaces_within_a_mark_count_once_and_are_not_nothing() -> None:
    def met(wanted: str, mark: str) -> bool:
        seen = Result("a", "ada", ResultState.GRADED, None, None, READ_AT, mark)
        facts = Facts(results={"a": seen})
        return MarkIsOneOf("a", "Essay", (wanted,)).judge(facts).outcome is Outcome.MET

    assert met("with distinction", "With  Distinction")
    assert not met("with distinction", "withdistinction")
    assert not met("with distinction", "withXX XXdistinction")


def test_a_judgement_is_kept_in_this_form() -> None:
    part = Judgement(Outcome.NOT_YET, "Quiz", "Quiz: 1 of 10", source="Moodle", read_at=READ_AT)
    whole = Judgement(Outcome.UNKNOWN, "Both", "x", "y", "1", "2", Fraction(1, 3), parts=(part,))
    kept: dict[str, Any] = {
        "outcome": "unknown",
        "label": "Both",
        "text": "x",
        "hint": "y",
        "value": "1",
        "needed": "2",
        "progress": "1/3",
        "source": None,
        "read_at": None,
        "points": None,
        "at": None,
        "by": None,
        "parts": [
            {
                "outcome": "not_yet",
                "label": "Quiz",
                "text": "Quiz: 1 of 10",
                "hint": "",
                "value": None,
                "needed": None,
                "progress": None,
                "source": "Moodle",
                "read_at": "2026-05-03T10:02:00+00:00",
                "points": None,
                "at": None,
                "by": None,
                "parts": [],
            }
        ],
    }
    assert whole.to_json() == kept
    assert Judgement.from_json(kept) == whole


def nested(depth: int) -> dict[str, Any]:
    rule: dict[str, Any] = COMPLETED
    for _ in range(depth):
        rule = {"is": "all", "of": [rule]}
    return rule


def test_the_largest_rules_that_can_be_kept() -> None:
    assert load(nested(MAX_DEPTH)).to_json() == nested(MAX_DEPTH)
    widest = {"is": "any", "of": [COMPLETED] * MAX_CRITERIA}
    assert load(widest).to_json() == widest
    halves = [{"is": "any", "of": [COMPLETED] * (MAX_CRITERIA // 2)}] * 2
    assert load({"is": "all", "of": halves})
    with pytest.raises(InvalidInput):
        load({"is": "all", "of": [*halves, COMPLETED]})
    assert load({"is": "course_grade", "share": "1"}) == CourseGradeAtLeast(Fraction(1))
    longest = {"is": "badge_held", "achievement_id": "a" * 1000, "name": "n"}
    assert load(longest).to_json() == longest


NOT_A_RULE = "This is not a rule that lti-badges understands."
MARK = {"is": "mark", "key": "a", "label": "A"}


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        (None, NOT_A_RULE),
        (nested(MAX_DEPTH + 1), NOT_A_RULE),
        ({"is": "badge_held", "achievement_id": "a" * 1001, "name": "n"}, "achievement_id"),
        ({"is": "badge_held", "achievement_id": "", "name": "n"}, "achievement_id"),
        ({"is": "badge_held", "achievement_id": "a", "name": 5}, "name"),
        ({"is": "course_grade", "share": "0"}, "more than 0 and at most 100"),
        ({"is": "course_grade", "share": "1/2/3"}, "The rule can't be read:"),
        ({"is": "course_grade", "share": "11/10"}, "more than 0 and at most 100"),
        (MARK | {"marks": "A"}, "marks must be a list of texts"),
        (MARK | {"marks": ["A", 5]}, "marks must be a list of texts"),
        ({"is": "at_least_n", "n": True, "of": [COMPLETED]}, "n must be a whole number"),
        ({"is": "at_least_n", "n": 1.5, "of": [COMPLETED]}, "n must be a whole number"),
    ],
    ids=lambda each: str(each)[:50],
)
def test_what_is_refused_says_why(stored: object, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load(stored)
    message = refused.value.message
    if says in {"achievement_id", "name"}:
        says = f"{says} must be a text"
    expected = says if says == NOT_A_RULE else "The rule can't be read: "
    assert message.startswith(expected)
    assert says in message
    assert "XX" not in message
