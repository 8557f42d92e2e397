"""Rules for a group, and for grades in words: from the LMS's list to the award."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

import pytest
import time_machine
from sqlalchemy import func, select

from lti_badges.awarding.item_changes import item_changes_of
from lti_badges.awarding.rule_views import rules_of
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.courses.snapshot import store_readings
from lti_badges.ledger.course_lock import locked_course
from lti_badges.lms.moodle.adapter import Moodle
from lti_badges.pipeline import rehearse
from lti_badges.rules import AllOf, CourseGradeAtLeast, MarkIsOneOf, MemberOf, OnFall
from lti_badges.sandbox.moodle import web_services
from lti_badges.store import LineItem, MemberResult
from lti_badges.values.course import COURSE_GRADE_KEY, Gradable, Result, ResultState
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages

BEN = "5"


def morning(campus: Campus) -> set[str]:
    learners = [p for p in campus.world.learners_of("2") if p.active]
    return {campus.world.user_id(p.sub) for p in learners[: -(-len(learners) // 2)]}


def key_of(campus: Campus, label: str) -> str:
    with campus.context.sessions() as session:
        key = session.scalar(select(LineItem.key).where(LineItem.label == label))
    assert key is not None
    return key


def test_a_rule_for_a_group_awards_only_its_members(campus: Campus) -> None:
    campus.sync()
    group = MemberOf(key_of(campus, "Group “Morning”"), "Group “Morning”")
    rule = AllOf((campus.quiz_at_least(80), group))
    outsider = next(p.sub for p in campus.world.learners_of("2") if p.sub not in morning(campus))
    campus.grade(outsider, 50)
    campus.sync()
    expected = campus.expected() & morning(campus)
    assert expected
    assert expected < campus.expected()
    preview = rehearse(campus.context, campus.course_id(), rule, None)
    assert preview.awarded == len(expected)
    campus.rule(rule)
    campus.sync()
    assert campus.winners() == expected
    assert "in Group “Morning”" in rules_of(campus.context, campus.course_id())[0].description


def test_leaving_a_group_is_seen_with_the_next_reading(
    lite: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.sync()
    label = "Group “Evening”"
    lite.rule(MemberOf(key_of(lite, label), label), on_fall=OnFall.FLAG)
    lite.sync()
    held = lite.winners()
    monkeypatch.setattr(web_services, "GROUPS", ("Morning", "Evening", "Night"))
    lite.sync()
    assert lite.winners() > held  # leavers keep theirs, whoever joined has one now
    with lite.context.sessions() as session:
        left = session.scalar(
            select(func.count())
            .select_from(MemberResult)
            .join(LineItem)
            .where(LineItem.label == label, MemberResult.state == "not_completed")
        )
    assert left
    assert left > 5


def test_groups_are_listed_once_a_day_and_gone_ones_pause_their_condition(
    lite: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.sync()
    label = "Group “Evening”"
    lite.rule(MemberOf(key_of(lite, label), label))
    asked: list[int] = []
    listed = Moodle.rare_gradables

    def counted(course: Moodle) -> Iterator[Gradable]:
        asked.append(1)
        return listed(course)

    monkeypatch.setattr(Moodle, "rare_gradables", counted)
    monkeypatch.setattr(web_services, "GROUPS", ("Morning",))
    lite.sync()
    assert not item_changes_of(lite.context, lite.course_id())
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=True):
        lite.sync()
    (change,) = item_changes_of(lite.context, lite.course_id())
    assert change.gone
    assert change.label == label
    assert len(asked) == 1  # with the reading of the next day only


def test_the_form_offers_groups_and_marks(lite: Campus) -> None:
    lite.sync()
    quiz = lite.item_key("Final quiz")
    with lite.context.sessions.begin() as session:
        session.scalars(select(LineItem).where(LineItem.key == quiz)).one().in_words = True
    page = Pages(lite, TEACHER)
    badge = lite.badge()
    form = page.get("/course/rules/new").text
    assert "Sections and groups" in form
    assert "Final quiz, graded in words" in form
    group = key_of(lite, "Group “Morning”")
    chosen = {"achievement": badge, "source-1": f"mark:{quiz}", "marks-1": "A, A-; a"}
    chosen |= {"source-2": f"group:{group}", "join": "all"}
    saved = page.post("/course/rules", **chosen)
    assert "Final quiz graded A, A- or a and in Group “Morning”" in saved.text
    (rule,) = rules_of(lite.context, lite.course_id())
    shown = page.get(f"/course/rules/{rule.id}").text
    assert 'value="A, A-, a"' in shown
    refused = page.post("/course/rules", rule=rule.id, **{**chosen, "marks-1": " , "})
    assert "Name the grades that count" in refused.text
    assert refused.status_code == 422


def test_a_letter_that_the_lms_tells_is_kept_and_judged(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    quiz = lite.item_key("Final quiz")
    rule = MarkIsOneOf(quiz, "Final quiz", ("A", "A-"))
    ben = lite.world.user_id(BEN)
    with locked_course(lite.context, lite.course_id()) as (session, course):
        for mark in ("B", "A-"):
            told = Result(quiz, ben, ResultState.GRADED, None, None, clock.now(), mark)
            assert store_readings(session, course, [told], None) == 1
        assert store_readings(session, course, [told], None) == 0
    preview = rehearse(lite.context, lite.course_id(), rule, None)
    assert preview.awarded == 1
    assert [person.text for person in preview.would_get] == ["Final quiz: graded “A-”"]
    options = Pages(lite, TEACHER).get("/course/rules/new").text
    assert re.search(rf'value="mark:{re.escape(quiz)}" data-worded', options)


def test_a_rule_can_only_use_a_group_of_its_course(lite: Campus) -> None:
    lite.sync()
    with pytest.raises(InvalidInput, match="is not in this course"):
        lite.rule(MemberOf("moodle-group:999", "Group “Other”"))


def test_the_course_grade_can_be_asked_for_by_letter(lite: Campus) -> None:
    lite.rule(CourseGradeAtLeast(Fraction(1)))
    lite.sync()
    page = Pages(lite, TEACHER)
    ben = lite.world.user_id(BEN)
    with locked_course(lite.context, lite.course_id()) as (session, course):
        told = Result(
            COURSE_GRADE_KEY, ben, ResultState.GRADED, Fraction(70), None, clock.now(), "B+"
        )
        assert store_readings(session, course, [told], None) == 1
    assert "Course grade, in words" in page.get("/course/rules/new").text
    chosen = {"achievement": lite.badge("By letter"), "source-1": f"mark:{COURSE_GRADE_KEY}"}
    preview = page.post("/course/rules/rehearse", **chosen, **{"marks-1": "A, B+"}).text
    assert "<strong>1</strong> of 29" in preview
    saved = page.post("/course/rules", **chosen, **{"marks-1": "A, B+"}).text
    assert "Course grade graded A or B+" in saved
    (rule,) = [
        each for each in rules_of(lite.context, lite.course_id()) if "B+" in each.description
    ]
    assert 'value="A, B+"' in page.get(f"/course/rules/{rule.id}").text
