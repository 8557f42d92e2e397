"""Points against a share of their maximum: exact, and every odd state with its one meaning."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_badges.rules import (
    CourseGradeAtLeast,
    Facts,
    Judgement,
    Outcome,
    Policy,
    ScoreAtLeast,
    evaluate,
)
from lti_badges.values.course import COURSE_GRADE_KEY, Result, ResultState
from lti_badges.values.score import exact, parse_percent

READ_AT = datetime(2026, 5, 3, 10, 2, tzinfo=UTC)
points = st.fractions(min_value=0, max_value=1000, max_denominator=10_000)
maxima = st.fractions(min_value=Fraction(1, 100), max_value=1000, max_denominator=10_000)
shares = st.fractions(min_value=Fraction(1, 10_000), max_value=1, max_denominator=10_000)


def result(
    score: object,
    maximum: object = 100,
    state: ResultState = ResultState.GRADED,
    key: str = "quiz",
) -> Result:
    return Result(
        key,
        "ada",
        state,
        None if score is None else exact(score),
        None if maximum is None else exact(maximum),
        READ_AT,
    )


def judged(seen: Result | None, needed: str = "80") -> Judgement:
    facts = Facts(
        results={} if seen is None else {"quiz": seen},
        sources={"quiz": "Moodle gradebook"},
    )
    return evaluate(ScoreAtLeast("quiz", "Final quiz", parse_percent(needed)), facts)


@pytest.mark.parametrize(
    ("score", "maximum", "needed"),
    [
        ("2.4", "3", "80"),
        ("0.3", "0.5", "60"),
        ("0.7", "1", "70"),
        ("58", "100", "58"),
        ("33.3", "90", "37"),
        (0.1 + 0.2, 0.5, "60"),
    ],
)
def test_a_score_exactly_at_the_threshold_meets_it(
    score: object, maximum: object, needed: str
) -> None:
    assert judged(result(score, maximum), needed).outcome is Outcome.MET


@pytest.mark.parametrize(
    ("score", "maximum", "needed"),
    [("2.3999999999", "3", "80"), ("79.999", "100", "80"), ("0.699999999999", "1", "70")],
)
def test_a_score_a_hair_below_the_threshold_does_not_meet_it(
    score: str, maximum: str, needed: str
) -> None:
    assert judged(result(score, maximum), needed).outcome is Outcome.NOT_YET


def test_a_share_of_a_third_is_compared_without_rounding() -> None:
    third = ScoreAtLeast("quiz", "Quiz", Fraction(1, 3))
    assert third.judge(Facts(results={"quiz": result("1", "3")})).outcome is Outcome.MET
    just_below = result("0.3333333333", "1")
    assert third.judge(Facts(results={"quiz": just_below})).outcome is Outcome.NOT_YET


def test_no_grade_yet_is_not_met_with_nothing_of_the_way_gone() -> None:
    judgement = judged(result(None, state=ResultState.MISSING))
    assert judgement.outcome is Outcome.NOT_YET
    assert judgement.progress == 0
    assert "no grade yet" in judgement.text


@pytest.mark.parametrize("state", [ResultState.EXCUSED, ResultState.HIDDEN, ResultState.PENDING])
@pytest.mark.parametrize("score", ["100", "0", None])
def test_excused_hidden_and_pending_scores_are_unknown_whatever_they_are(
    state: ResultState, score: str | None
) -> None:
    assert judged(result(score, state=state)).outcome is Outcome.UNKNOWN


def test_more_points_than_the_maximum_meet_the_threshold_and_are_shown_as_they_are() -> None:
    judgement = judged(result("57", "50"))
    assert judgement.outcome is Outcome.MET
    assert "57 of 50 = 114 %" in judgement.text
    assert judgement.progress == 1


@pytest.mark.parametrize("maximum", ["0", None, "-5"])
@pytest.mark.parametrize("score", ["0", "10", "-10"])
def test_a_share_of_no_maximum_can_not_be_judged(maximum: str | None, score: str) -> None:
    assert judged(result(score, maximum)).outcome is Outcome.UNKNOWN


def test_a_score_never_read_is_unknown_not_low() -> None:
    judgement = judged(None)
    assert judgement.outcome is Outcome.UNKNOWN
    assert "has not been read yet" in judgement.text


def test_a_negative_score_is_not_met_and_its_progress_is_not_below_nothing() -> None:
    judgement = judged(result("-3", "10"))
    assert judgement.outcome is Outcome.NOT_YET
    assert judgement.progress == 0


def test_the_words_say_points_share_and_threshold_with_source_and_time() -> None:
    judgement = judged(result("46", "50"))
    assert judgement.text == "Final quiz: 46 of 50 = 92 % ≥ 80 %"
    assert judgement.source == "Moodle gradebook"
    assert judgement.read_at == READ_AT


def test_a_score_just_below_never_reads_as_if_it_were_enough() -> None:
    assert "= 79.99 % < 80 %" in judged(result("79.9999", "100")).text


def test_the_hint_never_asks_for_fewer_points_than_are_missing() -> None:
    judgement = ScoreAtLeast("quiz", "Quiz", Fraction(1, 3)).judge(
        Facts(results={"quiz": result("0", "10")})
    )
    assert judgement.hint == "3.3334 more points in Quiz"
    assert judged(result("79.999999", "100")).hint == "0.0001 more points in Final quiz"


def test_the_course_grade_is_judged_like_a_line_item() -> None:
    seen = result("2.4", "3", key=COURSE_GRADE_KEY)
    criterion = CourseGradeAtLeast(parse_percent("80"))
    assert criterion.judge(Facts(results={COURSE_GRADE_KEY: seen})).outcome is Outcome.MET
    assert criterion.judge(Facts()).outcome is Outcome.UNKNOWN


@given(points, maxima, shares)
def test_met_is_exactly_score_reaching_share_of_maximum(
    score: Fraction, maximum: Fraction, share: Fraction
) -> None:
    judgement = ScoreAtLeast("quiz", "Quiz", share).judge(
        Facts(results={"quiz": result(score, maximum)})
    )
    assert (judgement.outcome is Outcome.MET) == (
        score * share.denominator >= share.numerator * maximum
    )


@given(points, points, maxima, shares)
def test_more_points_never_worsen_outcome_or_progress(
    one: Fraction, other: Fraction, maximum: Fraction, share: Fraction
) -> None:
    low, high = sorted((one, other))
    criterion = ScoreAtLeast("quiz", "Quiz", share)
    before = criterion.judge(Facts(results={"quiz": result(low, maximum)}))
    after = criterion.judge(Facts(results={"quiz": result(high, maximum)}))
    assert after.outcome >= before.outcome
    assert before.progress is not None
    assert after.progress is not None
    assert after.progress >= before.progress


@given(points, maxima, shares, shares)
def test_a_higher_threshold_is_never_easier(
    score: Fraction, maximum: Fraction, one: Fraction, other: Fraction
) -> None:
    low, high = sorted((one, other))
    facts = Facts(results={"quiz": result(score, maximum)})
    easy = ScoreAtLeast("quiz", "Quiz", low).judge(facts)
    hard = ScoreAtLeast("quiz", "Quiz", high).judge(facts)
    assert hard.outcome <= easy.outcome


@given(points, maxima, shares)
def test_progress_lies_between_nothing_and_whole_and_is_whole_only_when_met(
    score: Fraction, maximum: Fraction, share: Fraction
) -> None:
    judgement = ScoreAtLeast("quiz", "Quiz", share).judge(
        Facts(results={"quiz": result(score, maximum)})
    )
    assert judgement.progress is not None
    assert 0 <= judgement.progress <= 1
    assert (judgement.progress == 1) == (judgement.outcome is Outcome.MET)


def under(seen: Result, policy: Policy, minutes: int = 0) -> Outcome:
    facts = Facts(results={"quiz": replace(seen, changed_at=READ_AT)})
    taken = facts.under(policy, READ_AT + timedelta(minutes=minutes))
    return evaluate(ScoreAtLeast("quiz", "Final quiz", Fraction(4, 5)), taken).outcome


def test_hidden_grades_count_only_where_the_instructor_said_so() -> None:
    hidden = result(90, state=ResultState.HIDDEN)
    assert under(hidden, Policy()) is Outcome.UNKNOWN
    assert under(hidden, Policy(counts_hidden=True)) is Outcome.MET
    untold = result(None, state=ResultState.HIDDEN)
    assert under(untold, Policy(counts_hidden=True)) is Outcome.UNKNOWN
    pending = result(90, state=ResultState.PENDING)
    assert under(pending, Policy(counts_hidden=True)) is Outcome.UNKNOWN


@pytest.mark.parametrize(("minutes", "outcome"), [(0, "UNKNOWN"), (9, "UNKNOWN"), (10, "MET")])
def test_a_grade_counts_once_it_has_stood(minutes: int, outcome: str) -> None:
    policy = Policy(settle_minutes=10)
    assert under(result(90), policy, minutes).name == outcome
    hidden = result(90, state=ResultState.HIDDEN)
    both = Policy(settle_minutes=10, counts_hidden=True)
    assert under(hidden, both, minutes).name == outcome
    missing = result(None, state=ResultState.MISSING)
    assert under(missing, policy, minutes) is Outcome.NOT_YET


@given(st.integers(-1, 20_000))
def test_the_wait_has_its_bounds(minutes: int) -> None:
    if 0 <= minutes <= 7 * 24 * 60:
        assert Policy(settle_minutes=minutes).settle_minutes == minutes
    else:
        with pytest.raises(ValueError, match="from 0 to"):
            Policy(settle_minutes=minutes)
