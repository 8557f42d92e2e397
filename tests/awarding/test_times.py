"""When something was achieved: the LMS's own time where it tells one, else the first reading."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import time_machine

from lti_badges.core import clock
from lti_badges.rules import AllOf, AnyOf, CountsAt, Facts, Policy, ScoreAtLeast
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.sandbox.model import Item
from lti_badges.values.course import Result, ResultState
from tests.support.campus import Campus

BEN, AMARA = "5", "4"
LAST_DAY = datetime(2027, 3, 31, tzinfo=UTC)


@pytest.fixture
def night() -> Iterator[None]:
    """Twenty past midnight after the last day."""
    with time_machine.travel(LAST_DAY + timedelta(days=1, minutes=20), tick=True):
        yield


def quiz(campus: Campus) -> Item:
    return campus.world.courses[COURSE].items[QUIZ]


def begin(campus: Campus, **policy: Any) -> None:
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 1)
    campus.rule(not_after=LAST_DAY.date(), **policy)
    campus.sync()


def test_a_grade_of_the_last_day_counts_though_it_is_read_after_midnight(
    campus: Campus, night: None
) -> None:
    begin(campus)
    at = LAST_DAY + timedelta(hours=23, minutes=50)
    campus.grade(BEN, 50)
    quiz(campus).graded_at[BEN] = at
    campus.grade(AMARA, 50)
    quiz(campus).graded_at[AMARA] = at + timedelta(minutes=15)
    campus.sync()
    assert campus.winners() == {BEN}
    award = campus.award_of(BEN)
    assert (award.achieved_at, award.achieved_by) == (at, "graded")
    assert "graded on 31 March 2027 23:50 UTC" in award.explanation


def test_without_a_time_of_the_lms_the_first_reading_counts_and_is_said(campus: Campus) -> None:
    campus.rule()
    campus.grade(BEN, 50)
    del quiz(campus).graded_at[BEN]
    began = clock.now()
    campus.sync()
    award = campus.award_of(BEN)
    assert award.achieved_by == "read"
    assert began <= award.achieved_at <= clock.now()


def evening(campus: Campus, *, read_at: datetime) -> None:
    """Read with low grades at 23:00 of the last day and at `read_at`; then, at 00:20, a grade of
    which the LMS tells no time."""
    with time_machine.travel(LAST_DAY + timedelta(hours=23), tick=True):
        begin(campus)
    with time_machine.travel(read_at, tick=True):
        campus.sync()
    with time_machine.travel(LAST_DAY + timedelta(days=1, minutes=20), tick=True):
        campus.grade(BEN, 50)
        del quiz(campus).graded_at[BEN]
        campus.sync()


def test_what_may_have_been_met_on_the_last_day_counts(campus: Campus) -> None:
    evening(campus, read_at=LAST_DAY + timedelta(hours=23, minutes=30))
    assert campus.winners() == {BEN}
    award = campus.award_of(BEN)
    last_second = timedelta(hours=23, minutes=59, seconds=59)
    assert (award.achieved_at, award.achieved_by) == (LAST_DAY + last_second, "read")


def test_what_a_reading_after_the_last_day_did_not_show_came_too_late(campus: Campus) -> None:
    evening(campus, read_at=LAST_DAY + timedelta(days=1, minutes=10))
    assert campus.winners() == set()


def test_the_rule_says_which_time_counts(campus: Campus, night: None) -> None:
    begin(campus, counts_at=CountsAt.SUBMITTED)
    campus.grade(BEN, 50)
    quiz(campus).graded_at[BEN] = LAST_DAY + timedelta(days=1, minutes=10)
    quiz(campus).submitted_at[BEN] = LAST_DAY + timedelta(hours=12)
    campus.sync()
    assert campus.award_of(BEN).achieved_by == "submitted"


def test_a_time_in_the_future_is_not_believed(lite: Campus) -> None:
    lite.rule()
    lite.grade(BEN, 50)
    quiz(lite).graded_at[BEN] = clock.now() + timedelta(days=400)
    lite.sync()
    assert lite.award_of(BEN).achieved_at <= clock.now()


def result(key: str, graded_at: datetime) -> Result:
    read_at = LAST_DAY + timedelta(days=5)
    return Result(
        key, BEN, ResultState.GRADED, Fraction(9), Fraction(10), read_at, graded_at=graded_at
    )


def test_of_several_conditions_the_one_that_made_it_true_counts() -> None:
    early, late = LAST_DAY, LAST_DAY + timedelta(days=2)
    facts = Facts(results={"a": result("a", early), "b": result("b", late)}).under(
        Policy(), LAST_DAY + timedelta(days=9)
    )
    parts = (ScoreAtLeast("a", "A", Fraction(1, 2)), ScoreAtLeast("b", "B", Fraction(1, 2)))
    assert AllOf(parts).judge(facts).at == late
    assert AnyOf(parts).judge(facts).at == early
