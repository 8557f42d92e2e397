"""A reading that finds nothing new writes nothing but when it was; what is gone is still found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import Engine, event, select

from lti_badges.core import clock
from lti_badges.queries.course_sources import course_sources
from lti_badges.rules import OnFall
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import CourseMember, LineItem, MemberResult
from tests.support.campus import Campus
from tests.support.campus import campus as running_campus

BEN = "5"
_WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)")


@contextmanager
def writes() -> Iterator[Counter[str]]:
    """How many statements wrote to each table meanwhile, in this process."""
    found: Counter[str] = Counter()

    def note(_c: Any, _k: Any, statement: str, _p: Any, _x: Any, _many: bool) -> None:
        if named := _WRITES.match(statement):
            found[named[1]] += 1

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def rows_as_they_are(campus: Campus) -> list[tuple[Any, ...]]:
    """Every stored value of members, items and results."""
    with campus.context.sessions() as session:
        return [
            tuple(row)
            for model in (CourseMember, LineItem, MemberResult)
            for row in session.execute(select(*model.__table__.columns).order_by(model.id))
        ]


def stored_result(campus: Campus, sub: str) -> MemberResult:
    with campus.context.sessions() as session:
        return session.scalars(
            select(MemberResult)
            .join(CourseMember, CourseMember.id == MemberResult.member_id)
            .join(LineItem, LineItem.id == MemberResult.line_item_id)
            .where(
                CourseMember.sub == campus.world.user_id(sub),
                LineItem.label == "Final quiz",
                LineItem.kind == "item",
            )
        ).one()


def test_a_reading_that_finds_nothing_new_writes_the_course_alone(campus: Campus) -> None:
    campus.rule()
    with writes() as first:
        campus.sync()
    assert first["results"] > 0  # the counter counts
    before = rows_as_they_are(campus)
    with writes() as second:
        report = campus.sync()
    assert (report.errors, report.changed) == ([], 0)
    assert report.readings > 0
    assert set(second) == {"courses"}
    assert rows_as_they_are(campus) == before


@pytest.mark.parametrize("lms", ["canvas", "blackboard", "brightspace"])
def test_so_it_is_with_each_lms(sqlite_settings: Settings, lms: str) -> None:
    with running_campus(sqlite_settings, lms) as campus:
        campus.rule()
        for _ in range(2):
            campus.sync()
        with writes() as second:
            report = campus.sync()
        assert (report.errors, report.changed) == ([], 0)
        assert set(second) == {"courses"}


def test_one_new_grade_writes_one_result(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    lite.sync()
    with writes() as written:
        lite.grade(BEN, 11)
        assert lite.sync().changed == 1
    assert written["results"] == 1
    assert stored_result(lite, BEN).score == 11


def test_the_page_says_when_an_unchanged_item_was_read_last(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    later = clock.now() + timedelta(hours=3)
    with time_machine.travel(later, tick=True):
        lite.sync()
    quiz = next(
        each
        for each in course_sources(lite.context, lite.course_id()).sources
        if each.label == "Final quiz" and each.used
    )
    assert quiz.read_at is not None
    assert quiz.read_at >= later


def test_an_award_on_an_unchanged_value_names_the_last_reading(lite: Campus) -> None:
    lite.rule(lite.quiz_at_least(100), lite.badge("Full marks"), delay_days=365)
    lite.sync()
    assert lite.awards() == []
    later = datetime.fromisoformat("2031-05-03T10:02:00+00:00")
    with time_machine.travel(later, tick=True):
        lite.sync()
        lite.rule()
        lite.sync()
        assert lite.winners() == lite.expected()
    told = lite.awards()[0].explanation
    assert "3 May 2031 10:0" in told


def test_a_grade_that_is_taken_back_after_quiet_readings_is_noticed(campus: Campus) -> None:
    campus.rule(on_fall=OnFall.REVOKE, grace_days=0)
    for _ in range(3):
        campus.sync()
    winner = min(campus.winners())
    campus.grade(winner, None)
    with time_machine.travel(clock.now() + timedelta(days=2), tick=True):
        assert campus.sync().errors == []
    assert stored_result(campus, winner).score is None


def test_somebody_who_leaves_after_quiet_readings_is_noticed(campus: Campus) -> None:
    for _ in range(3):
        campus.sync()
    course = campus.world.courses[COURSE]
    assert BEN in course.items[QUIZ].scores
    course.members.remove(BEN)
    campus.sync()
    with campus.context.sessions() as session:
        ben = session.scalars(
            select(CourseMember).where(CourseMember.sub == campus.world.user_id(BEN))
        ).one()
    assert (ben.present, ben.seen_in) == (False, None)
