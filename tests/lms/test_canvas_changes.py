"""Between the daily readings Canvas is asked for what changed only, where it can tell that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

import pytest
import time_machine
from sqlalchemy import update

from lti_badges.core import clock
from lti_badges.rules import AllOf, OnFall, ScoreAtLeast
from lti_badges.sandbox import Person
from lti_badges.sandbox.canvas import vendor as canvas
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import CourseMember
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus

BEN, CHIARA = "5", "6"


@pytest.fixture
def campus(sqlite_settings: Settings) -> Iterator[Campus]:
    with running_campus(sqlite_settings, "canvas") as both:
        for item in both.world.courses[COURSE].items.values():
            item.graded_at = dict.fromkeys(item.scores, clock.now() - timedelta(days=9))
        both.enter(TEACHER)
        with both.context.sessions.begin() as session:  # in the same second they were newcomers
            session.execute(
                update(CourseMember).values(changed_at=clock.now() - timedelta(hours=1))
            )
        yield both


def rows_asked(campus: Campus) -> list[str]:
    """Which queries for submissions one reading made."""
    campus.world.queries.clear()
    assert not campus.sync().errors
    return [query for path, query in campus.world.queries if path.endswith("/submissions")]


def test_a_second_reading_asks_for_changes_only_and_misses_none(campus: Campus) -> None:
    parts = tuple(
        ScoreAtLeast(campus.item_key(label), label, Fraction(4, 5))
        for label in ("Final quiz", "Midterm")
    )
    campus.rule(AllOf(parts))
    first = rows_asked(campus)
    assert len(first) == 2
    assert not any("graded_since" in query for query in first)
    (second,) = rows_asked(campus)
    assert "graded_since" in second
    before = campus.winners()
    for item in ("12", QUIZ):
        campus.grade(BEN, 50, item)
    assert BEN not in before
    assert len(rows_asked(campus)) == 1
    assert campus.winners() == before | {BEN}
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=True):
        assert not any("graded_since" in query for query in rows_asked(campus))


def test_grades_that_a_teacher_posts_by_hand_are_read_in_full(campus: Campus) -> None:
    quiz = campus.world.courses[COURSE].items[QUIZ]
    quiz.posts_by_hand, quiz.hidden = True, {CHIARA}
    quiz.scores[CHIARA] = Fraction(50)
    campus.rule()
    campus.sync()
    assert CHIARA not in campus.winners()
    quiz.hidden.clear()  # posted: graded long ago
    assert not any("graded_since" in query for query in rows_asked(campus))
    assert CHIARA in campus.winners()


def test_who_comes_later_with_a_grade_is_read_too(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    campus.sync()
    late = Person("4711", "Late", "Comer", "late@example.org")
    campus.world.people[late.sub] = late
    course = campus.world.courses[COURSE]
    course.members.append(late.sub)
    course.items[QUIZ].scores[late.sub] = Fraction(50)
    course.items[QUIZ].graded_at[late.sub] = clock.now() - timedelta(days=9)
    campus.sync()
    assert late.sub in campus.winners()


def test_a_concluded_enrolment_takes_no_badge_away(campus: Campus) -> None:
    vendor = campus.world.vendor
    assert isinstance(vendor, canvas.Canvas)
    share = ScoreAtLeast(campus.item_key("Final quiz"), "Final quiz", Fraction(4, 5))
    campus.rule(share, on_fall=OnFall.REVOKE, grace_days=0)
    for sub in (BEN, CHIARA):
        campus.grade(sub, 50)
    campus.enter(BEN)
    campus.sync()
    campus.deliver()
    assert {BEN, CHIARA} <= campus.winners()
    vendor.state.concluded.add(BEN)
    for sub in (BEN, CHIARA):
        campus.grade(sub, 1)
    for _ in range(2):
        with time_machine.travel(clock.now() + timedelta(hours=25), tick=True):
            campus.sync()
            campus.deliver()
    assert campus.award_of(CHIARA).state == "revoked"
    assert campus.award_of(BEN).state == "issued"
