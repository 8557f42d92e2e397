"""All, any and N of a set; badges that build on badges; storage of rules and judgements."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lti_badges.core.errors import InvalidInput
from lti_badges.rules import (
    ActivityCompleted,
    AllOf,
    AnyOf,
    AtLeastN,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    Facts,
    Judgement,
    MarkIsOneOf,
    MemberOf,
    NoneOf,
    Outcome,
    ScoreAtLeast,
    dump,
    evaluate,
    load,
)
from lti_badges.rules.storage import MAX_CRITERIA, MAX_DEPTH
from lti_badges.values.course import Completion, Result, ResultState

READ_AT = datetime(2026, 5, 3, 10, 2, tzinfo=UTC)
KEYS = ("a", "b", "c", "d")
STATES = {
    Outcome.MET: Result("", "ada", ResultState.GRADED, Fraction(9), Fraction(10), READ_AT),
    Outcome.NOT_YET: Result("", "ada", ResultState.GRADED, Fraction(1), Fraction(10), READ_AT),
    Outcome.UNKNOWN: None,
}


def facts(outcomes: tuple[Outcome, ...]) -> Facts:
    seen = {key: STATES[outcome] for key, outcome in zip(KEYS, outcomes, strict=False)}
    return Facts(results={key: value for key, value in seen.items() if value is not None})


def quizzes(count: int) -> tuple[ScoreAtLeast, ...]:
    return tuple(ScoreAtLeast(key, f"Quiz {key}", Fraction(1, 2)) for key in KEYS[:count])


@pytest.mark.parametrize("outcomes", list(product(Outcome, repeat=3)))
def test_all_is_the_least_and_any_the_greatest_of_the_parts(outcomes: tuple[Outcome, ...]) -> None:
    assert AllOf(quizzes(3)).judge(facts(outcomes)).outcome is min(outcomes)
    assert AnyOf(quizzes(3)).judge(facts(outcomes)).outcome is max(outcomes)


@pytest.mark.parametrize("outcomes", list(product(Outcome, repeat=3)))
def test_none_of_is_met_only_when_every_part_is_known_not_to_be(
    outcomes: tuple[Outcome, ...],
) -> None:
    expected = Outcome.UNKNOWN
    if Outcome.MET in outcomes:
        expected = Outcome.NOT_YET
    elif set(outcomes) == {Outcome.NOT_YET}:
        expected = Outcome.MET
    rule = NoneOf(quizzes(3))

    assert rule.judge(facts(outcomes)).outcome is expected
    assert load(dump(rule)) == rule


def test_none_of_says_so_in_words() -> None:
    assert NoneOf(quizzes(1)).describe() == "not Quiz a at least 50 %"
    assert NoneOf(quizzes(2)).describe() == "none of: Quiz a at least 50 % or Quiz b at least 50 %"


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("outcomes", list(product(Outcome, repeat=4)))
def test_n_of_a_set_is_met_by_n_and_ruled_out_only_when_unknowns_could_not_help(
    n: int, outcomes: tuple[Outcome, ...]
) -> None:
    met = outcomes.count(Outcome.MET)
    possible = met + outcomes.count(Outcome.UNKNOWN)
    wanted = Outcome.MET if met >= n else Outcome.UNKNOWN if possible >= n else Outcome.NOT_YET
    assert AtLeastN(n, quizzes(4)).judge(facts(outcomes)).outcome is wanted


def test_more_than_the_set_can_not_be_asked_for() -> None:
    for n in (0, 4, -1):
        with pytest.raises(ValueError, match="can't be asked for"):
            AtLeastN(n, quizzes(3))


@pytest.mark.parametrize("join", [AllOf, AnyOf])
def test_all_and_any_of_nothing_is_no_rule(join: type[AllOf | AnyOf]) -> None:
    with pytest.raises(ValueError, match="at least one criterion"):
        join(())


NAMED = (
    ScoreAtLeast("a", "Quiz", Fraction(1, 2)),
    MarkIsOneOf("a", "Quiz", ("A",)),
    ActivityCompleted("a", "Quiz"),
    MemberOf("a", "Quiz"),
)
MET_BY: dict[type[Criterion], dict[str, Any]] = {
    ScoreAtLeast: {"results": {"a": STATES[Outcome.MET]}},
    MarkIsOneOf: {
        "results": {"a": Result("a", "ada", ResultState.GRADED, None, None, READ_AT, "A")}
    },
    ActivityCompleted: {"completions": {"a": Completion("ada", "a", True, None, READ_AT)}},
    MemberOf: {"completions": {"a": Completion("ada", "a", True, None, READ_AT, is_group=True)}},
}


@pytest.mark.parametrize("criterion", NAMED, ids=lambda each: type(each).__name__)
def test_an_item_that_is_gone_or_renamed_counts_for_nothing_until_it_is_confirmed(
    criterion: Criterion,
) -> None:
    met = Facts(**MET_BY[type(criterion)], sources={"a": "Moodle"}, labels={"a": "Quiz"})
    assert criterion.judge(met).outcome is Outcome.MET
    gone = criterion.judge(replace(met, gone=frozenset({"a"})))
    assert gone == Judgement(
        Outcome.UNKNOWN,
        "Quiz",
        "Quiz: is no longer in the course; the instructor has to choose another",
        source="Moodle",
    )
    renamed = criterion.judge(replace(met, labels={"a": "Exam"}))
    assert renamed == Judgement(
        Outcome.UNKNOWN,
        "Quiz",
        "Quiz: is called “Exam” now; the instructor has to confirm it",
        source="Moodle",
    )


def test_a_badge_builds_on_another_badge() -> None:
    rule = BadgeHeld("badge-1", "First aid")
    assert rule.judge(Facts()).outcome is Outcome.NOT_YET
    assert rule.judge(Facts(badges_held=frozenset({"badge-1"}))).outcome is Outcome.MET


def test_completion_is_unknown_until_read_then_says_when() -> None:
    assert CourseCompleted().judge(Facts()).outcome is Outcome.UNKNOWN
    done = Completion("ada", "", True, READ_AT, READ_AT)
    judgement = CourseCompleted().judge(Facts(completions={"": done}))
    assert judgement.outcome is Outcome.MET
    assert judgement.text == "Course: completed on 3 May 2026"
    open_ = Completion("ada", "", False, None, READ_AT)
    assert CourseCompleted().judge(Facts(completions={"": open_})).outcome is Outcome.NOT_YET


def test_an_activity_never_read_names_its_own_source_not_the_course_completions() -> None:
    sources = {"": "Moodle course completion", "page": "Moodle activity completion"}
    judgement = ActivityCompleted("page", "Reading").judge(Facts(sources=sources))
    assert judgement.source == "Moodle activity completion"


def test_a_group_is_unknown_until_read_then_in_or_out() -> None:
    rule = MemberOf("evening", "Group “Evening”")
    assert rule.describe() == "in Group “Evening”"
    assert rule.judge(Facts()).outcome is Outcome.UNKNOWN
    for within, outcome, text in (
        (True, Outcome.MET, "In Group “Evening”"),
        (False, Outcome.NOT_YET, "Not in Group “Evening”"),
    ):
        seen = Completion("ada", "evening", within, None, READ_AT, is_group=True)
        judgement = rule.judge(Facts(completions={"evening": seen}))
        assert (judgement.outcome, judgement.text) == (outcome, text)


@pytest.mark.parametrize(
    ("mark", "state", "outcome"),
    [
        ("A", ResultState.GRADED, Outcome.MET),
        (" a- ", ResultState.GRADED, Outcome.MET),
        ("B+", ResultState.GRADED, Outcome.NOT_YET),
        ("AA", ResultState.GRADED, Outcome.NOT_YET),
        (None, ResultState.MISSING, Outcome.NOT_YET),
        ("A", ResultState.HIDDEN, Outcome.UNKNOWN),
        ("A", ResultState.EXCUSED, Outcome.UNKNOWN),
    ],
)
def test_a_grade_in_words_is_compared_word_by_word(
    mark: str | None, state: ResultState, outcome: Outcome
) -> None:
    rule = MarkIsOneOf("a", "Essay", ("A", "A-"))
    assert rule.describe() == "Essay graded A or A-"
    seen = Result("a", "ada", state, None, None, READ_AT, mark)
    judgement = rule.judge(Facts(results={"a": seen}))
    assert judgement.outcome is outcome
    assert judgement.text.startswith("Essay: ")


def test_letters_and_points_are_never_taken_for_each_other() -> None:
    letter = Result("a", "ada", ResultState.GRADED, None, Fraction(10), READ_AT, "A")
    number = Result("a", "ada", ResultState.GRADED, Fraction(9), Fraction(10), READ_AT)
    asked = Facts(results={"a": letter}), Facts(results={"a": number})
    assert ScoreAtLeast("a", "Essay", Fraction(1, 2)).judge(asked[0]).outcome is Outcome.UNKNOWN
    assert MarkIsOneOf("a", "Essay", ("9",)).judge(asked[1]).outcome is Outcome.UNKNOWN
    assert MarkIsOneOf("a", "Essay", ("9",)).judge(Facts()).outcome is Outcome.UNKNOWN


def test_a_nested_rule_reads_as_a_sentence() -> None:
    rule = AllOf((AnyOf(quizzes(2)), CourseCompleted()))
    assert rule.describe() == (
        "(Quiz a at least 50 % or Quiz b at least 50 %) and Course completed"
    )
    assert AtLeastN(2, quizzes(3)).describe() == (
        "at least 2 of: Quiz a at least 50 %, Quiz b at least 50 % or Quiz c at least 50 %"
    )


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)
shares = st.fractions(min_value=Fraction(1, 10_000), max_value=1, max_denominator=10_000)
leaves = st.one_of(
    st.builds(ScoreAtLeast, st.sampled_from(KEYS), texts, shares),
    st.builds(CourseGradeAtLeast, shares),
    st.just(CourseCompleted()),
    st.builds(ActivityCompleted, st.sampled_from(KEYS), texts),
    st.builds(BadgeHeld, st.sampled_from(KEYS), texts),
    st.builds(MemberOf, st.sampled_from(KEYS), texts),
    st.builds(
        MarkIsOneOf,
        st.sampled_from(KEYS),
        texts,
        st.lists(texts.filter(str.strip), min_size=1, max_size=4).map(tuple),
    ),
)


def _joins(children: SearchStrategy[Criterion]) -> SearchStrategy[Criterion]:
    some = st.lists(children, min_size=1, max_size=4).map(tuple)
    return st.one_of(
        some.map(AllOf),
        some.map(AnyOf),
        some.flatmap(lambda parts: st.integers(1, len(parts)).map(lambda n: AtLeastN(n, parts))),
    )


def _two_levels(children: SearchStrategy[Criterion]) -> SearchStrategy[Criterion]:
    return st.one_of(children, _joins(children))


criteria = _two_levels(_two_levels(leaves))
numbers = st.one_of(
    st.fractions(min_value=-10, max_value=200, max_denominator=100_000),
    st.decimals(min_value=0, max_value=10**12, allow_nan=False, places=27).map(Fraction),
)
results = st.builds(
    Result,
    st.just(""),
    st.just("ada"),
    st.sampled_from(ResultState),
    st.none() | numbers,
    st.none() | numbers,
    st.just(READ_AT),
)
completions = st.builds(
    Completion,
    st.just("ada"),
    st.just(""),
    st.booleans(),
    st.none() | st.just(READ_AT),
    st.just(READ_AT),
)
all_facts = st.builds(
    Facts,
    results=st.dictionaries(st.sampled_from((*KEYS, "course-grade")), results),
    completions=st.dictionaries(st.sampled_from((*KEYS, "")), completions),
    badges_held=st.frozensets(st.sampled_from(KEYS)),
)


@given(criteria)
def test_a_rule_comes_back_from_storage_as_it_was(criterion: Criterion) -> None:
    assert load(json.loads(json.dumps(dump(criterion)))) == criterion


@given(criteria, all_facts)
def test_a_judgement_comes_back_from_storage_as_it_was(criterion: Criterion, known: Facts) -> None:
    judgement = evaluate(criterion, known)
    assert Judgement.from_json(json.loads(json.dumps(judgement.to_json()))) == judgement


def test_scores_of_very_many_digits_can_be_stored_too() -> None:
    """A platform may send forty digits; fifty such parts must not make a number without end."""
    parts = tuple(ScoreAtLeast(f"k{n}", f"Quiz {n}", Fraction(1, 10_007 + n)) for n in range(50))
    seen = {
        f"k{n}": Result(
            "", "ada", ResultState.GRADED, Fraction(1, 10**39 + n), Fraction(10**39, 3 + n), READ_AT
        )
        for n in range(50)
    }
    judgement = AllOf(parts).judge(Facts(results=seen))
    assert Judgement.from_json(json.loads(json.dumps(judgement.to_json()))) == judgement
    assert len(str(judgement.progress)) < 20


@given(criteria, all_facts, st.sampled_from(KEYS))
def test_holding_one_badge_more_never_worsens_a_judgement(
    criterion: Criterion, known: Facts, badge: str
) -> None:
    more = Facts(known.results, known.completions, known.badges_held | {badge})
    assert evaluate(criterion, more).outcome >= evaluate(criterion, known).outcome


@given(criteria, all_facts, st.sampled_from(KEYS))
def test_what_can_not_be_read_any_more_never_turns_met_into_a_loss(
    criterion: Criterion, known: Facts, key: str
) -> None:
    """A platform that stops telling one value leaves the outcome between what it could be."""
    without = Facts(
        {name: seen for name, seen in known.results.items() if name != key},
        known.completions,
        known.badges_held,
    )
    before, after = evaluate(criterion, known).outcome, evaluate(criterion, without).outcome
    if before is Outcome.MET:
        assert after is not Outcome.NOT_YET


@given(criteria, all_facts)
def test_progress_of_any_rule_lies_between_nothing_and_whole(
    criterion: Criterion, known: Facts
) -> None:
    judgement = evaluate(criterion, known)
    assert judgement.progress is None or 0 <= judgement.progress <= 1
    if judgement.parts and judgement.outcome is Outcome.MET:
        assert judgement.progress == 1


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "score",
        {},
        {"is": "nothing"},
        {"is": ["score"]},
        {"is": "score", "key": "a", "label": "A"},
        {"is": "score", "key": "a", "label": "A", "share": "0"},
        {"is": "score", "key": "a", "label": "A", "share": "1.01"},
        {"is": "score", "key": "a", "label": "A", "share": "1/0"},
        {"is": "score", "key": "a", "label": "A", "share": "1e30000000"},
        {"is": "score", "key": "a", "label": "A", "share": float("nan")},
        {"is": "score", "key": "", "label": "A", "share": "1/2"},
        {"is": "score", "key": 7, "label": "A", "share": "1/2"},
        {"is": "all", "of": []},
        {"is": "all", "of": "abc"},
        {"is": "all", "of": None},
        {"is": "at_least_n", "n": 2, "of": [{"is": "course_completed"}]},
        {"is": "at_least_n", "n": 1.5, "of": [{"is": "course_completed"}] * 2},
        {"is": "at_least_n", "n": float("inf"), "of": [{"is": "course_completed"}]},
        {"is": "at_least_n", "n": True, "of": [{"is": "course_completed"}]},
        {"is": "at_least_n", "n": "one", "of": [{"is": "course_completed"}]},
        {"is": "at_least_n", "of": [{"is": "course_completed"}]},
    ],
)
def test_what_is_not_a_rule_is_refused_in_a_sentence(stored: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load(stored)
    assert refusal.value.message.endswith(".")


def test_a_rule_can_not_be_nested_or_widened_without_bound() -> None:
    deep: dict[str, Any] = {"is": "course_completed"}
    for _ in range(MAX_DEPTH + 1):
        deep = {"is": "all", "of": [deep]}
    with pytest.raises(InvalidInput):
        load(deep)
    with pytest.raises(InvalidInput, match="at most"):
        load({"is": "any", "of": [{"is": "course_completed"}] * (MAX_CRITERIA + 1)})
