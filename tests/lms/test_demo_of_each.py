"""The demo of each LMS does the whole main job: quiz, course grade, completion, by its own API."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
from sqlalchemy import select

from lti_badges.lms import LMSES
from lti_badges.rules import CourseCompleted, CourseGradeAtLeast, ScoreAtLeast
from lti_badges.sandbox import vendor_of
from lti_badges.sandbox.demo_course import COURSE, HOMEWORK, MIDTERM, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import CourseMember
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus

BEN = "5"
OWN_API = [kind for kind in LMSES if vendor_of(kind).blueprints()]


@pytest.fixture(params=OWN_API)
def campus(request: pytest.FixtureRequest, sqlite_settings: Settings) -> Iterator[Campus]:
    with running_campus(sqlite_settings, request.param) as both:
        yield both


def test_quiz_course_grade_and_completion_each_bring_their_badge(campus: Campus) -> None:
    """Word for word what the demo's first page asks for, and then the two other conditions."""
    campus.enter(TEACHER)
    quiz = campus.item_key("Final quiz")
    badges = {name: campus.badge(name) for name in ("Quiz", "Grade", "Course")}
    campus.rule(ScoreAtLeast(quiz, "Final quiz", Fraction(4, 5)), badges["Quiz"])
    campus.rule(CourseGradeAtLeast(Fraction(9, 10)), badges["Grade"])
    campus.rule(CourseCompleted(), badges["Course"])
    for item, points in ((HOMEWORK, 10), (MIDTERM, 20), (QUIZ, 30)):
        campus.grade(BEN, points, item)
    campus.world.set_completion(COURSE, BEN, False)
    assert not campus.sync().errors
    campus.deliver()
    assert not [award for award in campus.awards() if award.member_id == _member(campus)]
    campus.grade(BEN, 45)
    assert "See it verified" in campus.enter(BEN).text
    assert _held(campus) == {badges["Quiz"]}
    for item, points in ((HOMEWORK, 20), (MIDTERM, 50), (QUIZ, 50)):
        campus.grade(BEN, points, item)
    campus.world.set_completion(COURSE, BEN, True)
    assert not campus.sync().errors
    campus.deliver()
    assert _held(campus) == set(badges.values())
    assert campus.expected() <= campus.winners()


def _member(campus: Campus) -> str:
    with campus.context.sessions() as session:
        sub = campus.world.user_id(BEN)
        found = session.scalar(select(CourseMember.id).where(CourseMember.sub == sub))
    assert found is not None
    return str(found)


def _held(campus: Campus) -> set[str]:
    member = _member(campus)
    return {
        award.achievement_id
        for award in campus.awards()
        if award.member_id == member and award.state == "issued"
    }
