"""Blackboard's own ways, against a server that refuses what Blackboard refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from lti_badges.core import clock
from lti_badges.core.errors import NoRight, PlatformDown
from lti_badges.courses.calls import API_CALLS
from lti_badges.jobs.background import due_courses
from lti_badges.lms import LMS
from lti_badges.lms.blackboard.rights import NEEDED
from lti_badges.lms.blackboard.values import percent_scale
from lti_badges.queries.course_sources import course_sources
from lti_badges.rules import CourseGradeAtLeast, ScoreAtLeast
from lti_badges.sandbox.blackboard.state import BlackboardState
from lti_badges.sandbox.demo_course import COURSE, HOMEWORK, MIDTERM, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import Course
from lti_badges.values.course import (
    Completion,
    Gradable,
    ReadInFull,
    Result,
    ResultState,
    Unread,
    UpToDate,
)
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus
from tests.support.lms_side import Side, read, side_of, values

BEN, CHIARA = "5", "6"


@pytest.fixture
def side(keys_folder: Path) -> Iterator[Side]:
    with side_of("blackboard", keys_folder) as side:
        yield side


def state(side: Side | Campus) -> BlackboardState:
    found: BlackboardState = side.world.vendor.state
    return found


def listed(course: LMS) -> dict[str, Gradable]:
    return {each.label: each for each in course.gradables()}


@pytest.mark.parametrize("as_percent", [True, False])
def test_the_overall_grade_is_what_its_text_says(side: Side, as_percent: bool) -> None:
    """`score` beside “Percent” is a percentage on some sites and points on others."""
    state(side).percent_of_total = as_percent
    course = side.opened()
    grade = listed(course)["Overall Grade"]
    found = read(course, grade, side.subs())
    for sub, result in found.items():
        account = side.world.account(sub)
        points, maximum = side.world.courses[COURSE].total(account or "")
        assert isinstance(result, Result)
        assert result.score is not None
        assert result.maximum
        assert points is not None
        assert abs(result.score / result.maximum - points / maximum) < Fraction(1, 10_000)


@given(
    points=st.integers(1, 400),
    maximum=st.integers(2, 400).filter(lambda m: m != 100),
    decimals=st.integers(0, 3),
)
def test_a_percentage_is_never_taken_for_points(points: int, maximum: int, decimals: int) -> None:
    percent = Fraction(points * 100, maximum)
    text = f"{float(percent):.{decimals}f}%"
    for score in (percent, Fraction(points)):
        scale = percent_scale(score, Fraction(maximum), text)
        assert scale is not None
        off = Fraction(151, 100) / 10**decimals  # both are near what is shown
        assert abs(score / scale * 100 - percent) <= off


@pytest.mark.parametrize("text", [None, "", "A-", "17%", "87.5", {}])
def test_a_percent_grade_that_nothing_explains_is_not_judged(text: object) -> None:
    assert percent_scale(Fraction("43.75"), Fraction(50), text) is None
    assert percent_scale(Fraction("87.5"), Fraction(100), text) == 100


def test_each_right_that_is_missing_is_named(side: Side) -> None:
    assert "Without" not in side.opened().check()
    for needed in NEEDED:
        state(side).rights.discard(needed.right)
        if needed.is_optional:
            assert needed.sentence in side.opened().check()
        else:
            with pytest.raises(NoRight) as refused:
                side.opened().check()
            assert needed.right in refused.value.message
        state(side).rights.add(needed.right)
    course = side.opened()
    course.course.context_id = ""  # as an admin's check from the console
    state(side).rights.discard("course.user.VIEW")
    with pytest.raises(NoRight) as refused:
        course.check()
    assert "course.user.VIEW" in refused.value.message


def test_merged_courses_are_conditions(side: Side) -> None:
    state(side).children = {"_71_1": [BEN, CHIARA], "_72_1": ["7"]}
    course = side.opened()
    merged = {each.label: each for each in course.rare_gradables()}["Merged course “Section _71_1”"]
    both = {side.world.user_id(BEN), side.world.user_id(CHIARA)}
    assert set(read(course, merged, side.subs())) == both
    for account, held in ((BEN, True), ("7", False)):
        sub = side.world.user_id(account)
        alone = values(course.readings_of(sub, [merged]))
        assert (sub in alone) == held
        assert all(isinstance(each, Completion) and each.completed for each in alone.values())


def test_a_column_is_read_again_once_its_change_index_is_higher(side: Side) -> None:
    course = side.opened()
    found = listed(course)
    quiz, midterm = found["Final quiz"], found["Midterm"]
    first = list(course.readings([quiz, midterm], lambda: iter(side.subs())))
    assert [type(each) for each in first if not isinstance(each, Result)] == [ReadInFull] * 2

    def again() -> list[object]:
        before = state(side).calls
        seen = course.readings(
            [quiz, midterm], lambda: iter(side.subs()), changed_since=clock.now()
        )
        told: list[object] = list(seen)
        assert sum(isinstance(each, UpToDate) for each in told) == 2
        calls.append(state(side).calls - before)
        return [each for each in told if isinstance(each, Result)]

    calls: list[int] = []
    assert again() == []
    side.world.set_score(COURSE, QUIZ, BEN, Fraction(50))
    changed = again()
    sub = side.world.user_id(BEN)
    assert {each.key for each in changed if isinstance(each, Result)} == {quiz.key}
    assert [each.score for each in changed if isinstance(each, Result) and each.sub == sub] == [50]
    side.world.set_score(COURSE, QUIZ, BEN, None)
    (taken,) = [each for each in again() if isinstance(each, Result) and each.sub == sub]
    assert taken.state is ResultState.MISSING
    assert again() == []
    assert calls == [2, 3, 3, 2]


def test_all_columns_of_a_learner_who_waits_are_one_call(side: Side) -> None:
    course = side.opened()
    found = listed(course)
    before = state(side).calls
    sub = side.world.user_id(BEN)
    wanted = [found["Final quiz"], found["Midterm"], found["Homework 1"]]
    readings = list(course.readings_of(sub, wanted))
    assert sum(isinstance(each, ReadInFull) for each in readings) == 3
    scores = {each.key: each.score for each in readings if isinstance(each, Result)}
    items = side.world.courses[COURSE].items
    assert scores == {
        each.key: items[number].scores[BEN]
        for each, number in zip(wanted, (QUIZ, MIDTERM, HOMEWORK), strict=True)
    }
    assert state(side).calls - before == 1


def test_what_is_left_of_the_quota_is_kept_for_others(side: Side) -> None:
    course = side.opened()
    quiz = listed(course)["Final quiz"]
    sub = side.world.user_id(BEN)

    def background(*, active: bool) -> bool:
        course.course.is_active = active
        (*_, last) = course.readings([quiz], lambda: iter(side.subs()))
        if isinstance(last, Unread):
            assert last.code == "quota"
            assert last.retry_after
        return isinstance(last, ReadInFull)

    assert background(active=True)
    state(side).left = 4_990
    list(course.gradables())
    assert not background(active=False)  # those with people in them first
    assert background(active=True)
    state(side).left = 1_990
    list(course.gradables())
    before = state(side).calls
    assert not background(active=True)
    assert state(side).calls == before  # it does not even ask
    assert sub in values(course.readings_of(sub, [quiz]))  # a learner is waiting
    state(side).left = 400
    list(course.readings_of(sub, [quiz]))
    (refused,) = course.readings_of(sub, [quiz])
    assert isinstance(refused, Unread)
    assert state(side).left == 399  # the rest is for other tools
    with pytest.raises(PlatformDown):
        list(side.opened().gradables())


def test_a_day_of_an_active_course_takes_a_hundred_calls_at_most(
    sqlite_settings: Settings,
) -> None:
    """Its schedule for 24 hours with ten people coming and grades given, on a clock that only we
    move; the calls are counted where they arrive."""
    start = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    with (
        time_machine.travel(start, tick=False) as frozen,
        running_campus(sqlite_settings, "blackboard") as campus,
    ):
        campus.enter(TEACHER)
        for label in ("Final quiz", "Midterm"):
            criterion = ScoreAtLeast(campus.item_key(label), label, Fraction(4, 5))
            campus.rule(criterion, campus.badge(label))
        campus.rule(CourseGradeAtLeast(Fraction(9, 10)), campus.badge("Grade"))
        state(campus).calls = 0
        readings = 0
        for minute in range(0, 24 * 60, 5):
            frozen.move_to(start + timedelta(minutes=minute))
            if minute % 144 == 0 or minute in {600, 615, 630}:
                campus.enter(BEN)
            if minute % 180 == 0:
                campus.grade(CHIARA, minute % 50)
            if campus.course_id() in due_courses(campus.context):
                readings += 1
                assert not campus.sync().errors
        assert state(campus).calls <= 100
        assert readings >= 12
        sources = course_sources(campus.context, campus.course_id())
        assert sources.calls
        assert sources.calls.a_day == 100
        assert sources.calls.limit == 10_000
        with campus.context.sessions() as session:
            kept = session.get_one(Course, campus.course_id()).settings[API_CALLS]
        assert 0 < sources.calls.made == kept["count"]
