"""Jumps that no newly posted result explains, and rules whose items drifted."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lti_badges.awarding.guard import FEW, keep_fallen_badges, resume_stopped_rule
from lti_badges.awarding.item_changes import accept_item_changes, item_changes_of
from lti_badges.awarding.rule_views import rules_of
from lti_badges.core.errors import NotFound
from lti_badges.rules import OnFall
from lti_badges.sandbox import Item
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from tests.support.campus import Campus

BEN = "5"


def quiz(campus: Campus) -> Item:
    return campus.world.courses[COURSE].items[QUIZ]


def rescale(campus: Campus, maximum: int) -> None:
    quiz(campus).maximum = Fraction(maximum)


def test_a_whole_class_graded_at_once_flows(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    before = len(campus.winners())
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 50)
    campus.sync()
    assert len(campus.winners()) > before + 10


def test_a_rescaled_item_that_would_award_many_asks_first(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    before = campus.winners()
    rescale(campus, 20)
    campus.sync()
    assert campus.winners() == before
    (view,) = rules_of(campus.context, campus.course_id())
    assert view.stop is not None
    assert "has 20 points now instead of 50" in view.stop.sentence
    page = campus.enter("3").text
    assert "waits for you" in page
    assert "Award them" in page
    promised = view.stop.grants
    resume_stopped_rule(campus.context, campus.course_id(), view.id, by="a test")
    assert len(campus.winners()) == len(before) + promised
    with pytest.raises(NotFound):
        resume_stopped_rule(campus.context, campus.course_id(), view.id, by="a test")


def test_a_rescaled_item_that_changes_little_flows(lite: Campus) -> None:
    lite.rule()
    for person in lite.world.learners_of(COURSE):
        lite.grade(person.sub, 1)
    lite.grade(BEN, 39)
    lite.sync()
    assert lite.winners() == set()
    rescale(lite, 48)  # 39 of 48 is 81 %
    lite.sync()
    assert lite.winners() == {lite.world.user_id(BEN)}
    (view,) = rules_of(lite.context, lite.course_id())
    assert view.stop is None


def test_a_learner_who_comes_by_gets_nothing_before_the_jump_was_weighed(lite: Campus) -> None:
    lite.rule()
    lite.grade(BEN, 30)
    lite.sync()
    rescale(lite, 20)
    lite.sync()
    lite.enter(BEN)
    assert lite.world.user_id(BEN) not in lite.winners()


def test_many_revocations_ask_first_and_can_be_let_stand(campus: Campus) -> None:
    rule_id = campus.rule(on_fall=OnFall.REVOKE, grace_days=0)
    campus.sync()
    campus.deliver()
    winners = campus.winners()
    assert len(winners) > FEW
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 0)
    campus.sync()
    assert campus.winners() == winners
    (view,) = rules_of(campus.context, campus.course_id())
    assert view.stop is not None
    assert view.stop.revocations == len(winners)
    assert "what the LMS tells of “Final quiz” now no longer meets" in view.stop.sentence
    keep_fallen_badges(campus.context, campus.course_id(), rule_id, by="a test")
    campus.sync()
    campus.deliver()
    assert campus.winners() == winners
    assert rules_of(campus.context, campus.course_id())[0].stop is None


def test_badges_that_an_item_s_new_maximum_would_take_say_so(lite: Campus) -> None:
    lite.rule(on_fall=OnFall.REVOKE, grace_days=0)
    lite.sync()
    lite.deliver()
    winners = lite.winners()
    assert len(winners) > FEW
    rescale(lite, 500)
    lite.sync()
    assert lite.winners() == winners
    stop = rules_of(lite.context, lite.course_id())[0].stop
    assert stop is not None
    assert stop.revocations == len(winners)
    assert "has 500 points now instead of 50" in stop.sentence


def test_many_revocations_happen_once_the_instructor_says_so(campus: Campus) -> None:
    rule_id = campus.rule(on_fall=OnFall.REVOKE, grace_days=0)
    campus.sync()
    campus.deliver()
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 0)
    campus.sync()
    resume_stopped_rule(campus.context, campus.course_id(), rule_id, by="a test")
    campus.deliver()
    assert campus.winners() == set()


def test_a_few_revocations_need_no_question(lite: Campus) -> None:
    lite.rule(on_fall=OnFall.REVOKE, grace_days=0)
    lite.sync()
    lite.deliver()
    winners = lite.winners()
    fallen = [p.sub for p in lite.world.learners_of(COURSE) if lite.world.user_id(p.sub) in winners]
    for sub in fallen[:FEW]:
        lite.grade(sub, 0)
    lite.sync()
    lite.deliver()
    assert len(lite.winners()) == len(winners) - FEW


def test_a_renamed_item_pauses_its_branch_until_one_click(campus: Campus) -> None:
    rule_id = campus.rule()
    campus.sync()
    before = campus.winners()
    quiz(campus).label = "Something else"
    campus.grade(BEN, 50)
    campus.sync()
    assert campus.winners() == before
    (change,) = item_changes_of(campus.context, campus.course_id())
    assert change.proposed == "Something else"
    assert "Item changed" in campus.enter("3").text
    accept_item_changes(campus.context, campus.course_id(), rule_id, by="a test")
    campus.sync()
    assert campus.world.user_id(BEN) in campus.winners()
    assert item_changes_of(campus.context, campus.course_id()) == []
    with pytest.raises(NotFound):
        accept_item_changes(campus.context, campus.course_id(), rule_id, by="a test")


def test_a_deleted_item_pauses_and_its_namesake_is_offered(lite: Campus) -> None:
    rule_id = lite.rule()
    lite.sync()
    before = lite.winners()
    course = lite.world.courses[COURSE]
    old = course.items.pop(QUIZ)
    lite.sync()
    (change,) = item_changes_of(lite.context, lite.course_id())
    assert change.gone
    assert change.proposed is None
    course.items["99"] = replace(old, id="99", scores={s: Fraction(50) for s in old.scores})
    lite.sync()
    (change,) = item_changes_of(lite.context, lite.course_id())
    assert change.proposed == "Final quiz"
    accept_item_changes(lite.context, lite.course_id(), rule_id, by="a test")
    lite.sync()
    assert lite.winners() == before  # a new item is a jump: it asks first
    stop = rules_of(lite.context, lite.course_id())[0].stop
    assert stop is not None
    assert "is another item than before" in stop.sentence


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=st.integers(0, 60), more=st.integers(0, 60))
def test_a_higher_score_never_loses_a_badge(lite: Campus, first: int, more: int) -> None:
    if not rules_of(lite.context, lite.course_id()):
        lite.rule()
    lite.grade(BEN, first)
    lite.sync()
    had = lite.world.user_id(BEN) in lite.winners()
    lite.grade(BEN, first + more)
    lite.sync()
    assert not had or lite.world.user_id(BEN) in lite.winners()
