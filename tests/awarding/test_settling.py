"""A grade that an LMS may still recalculate counts once it has stood; the instructor decides."""

from __future__ import annotations

from datetime import timedelta

import time_machine

from lti_badges.awarding.rule_views import rules_of
from lti_badges.core import clock
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages

BEN = "5"


def test_a_jump_that_is_taken_back_in_time_leads_to_nothing(campus: Campus) -> None:
    campus.rule(settle_minutes=10)
    campus.sync()
    assert campus.winners() == set()
    campus.grade(BEN, 50)
    with time_machine.travel(clock.now() + timedelta(minutes=8), tick=True):
        campus.sync()
        assert campus.winners() == set()
        campus.grade(BEN, 10)
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=True):
        campus.sync()
        assert campus.winners() == campus.expected()
        assert BEN not in campus.winners()
        campus.grade(BEN, 50)
        campus.sync()
        assert BEN not in campus.winners()
    with time_machine.travel(clock.now() + timedelta(minutes=22), tick=True):
        campus.sync()
        assert BEN in campus.winners()


def test_the_form_keeps_which_grades_count(lite: Campus) -> None:
    page = Pages(lite, TEACHER)
    source = {"source-1": f"item:{lite.item_key('Final quiz')}", "percent-1": "80"}
    chosen = {"achievement": lite.badge(), **source, "settle_minutes": "15", "counts_hidden": "on"}
    saved = page.post("/course/rules", **chosen).text
    assert "hidden grades count" in saved
    assert "grades count after 15 minutes" in saved
    (rule,) = rules_of(lite.context, lite.course_id())
    assert (rule.policy.settle_minutes, rule.policy.counts_hidden) == (15, True)
    form = page.get(f"/course/rules/{rule.id}").text
    assert 'name="settle_minutes" inputmode="numeric" value="15"' in form
    assert 'name="counts_hidden" checked' in form
    wrong = page.post("/course/rules", rule=rule.id, **{**chosen, "settle_minutes": "99999"})
    assert wrong.status_code == 422
    assert "whole minutes" in wrong.text
