"""No badge is taken by a leaver's missing grade, a failing LMS, a single launch or an edit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from lti_badges.awarding.rule_views import rules_of
from lti_badges.awarding.rulebook import edit_rule, save_rule
from lti_badges.core import clock
from lti_badges.pipeline import rehearse
from lti_badges.queries.review import flagged
from lti_badges.rules import OnFall, Policy
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.store import Award, Course, CourseMember, State
from tests.support.campus import TEACHER, Campus

BEN, AMARA = "5", "4"
TAKES_AT_ONCE: dict[str, Any] = {"on_fall": OnFall.REVOKE, "grace_days": 0}


@pytest.fixture
def traveller() -> Iterator[time_machine.Traveller]:
    """A clock that tests can move forward."""
    with time_machine.travel(clock.now(), tick=True) as moved:
        yield moved


def settle(campus: Campus) -> None:
    campus.sync()
    campus.deliver()


def course(campus: Campus) -> Course:
    with campus.context.sessions() as session:
        return session.get_one(Course, campus.course_id())


def test_who_leaves_keeps_the_badge(campus: Campus) -> None:
    campus.rule(**TAKES_AT_ONCE)
    campus.grade(BEN, 50)
    settle(campus)
    campus.world.courses[COURSE].members.remove(BEN)
    campus.grade(BEN, None)
    for _ in range(2):
        settle(campus)
    assert campus.award_of(BEN).state == "issued"


def test_a_term_that_ends_for_everybody_takes_nothing(campus: Campus) -> None:
    campus.rule(**TAKES_AT_ONCE)
    settle(campus)
    winners = campus.winners()
    here = campus.world.courses[COURSE]
    here.members = [sub for sub in here.members if sub == TEACHER]
    here.items[QUIZ].scores.clear()
    report = campus.sync()
    campus.deliver()
    assert campus.winners() == winners
    assert any("not believed" in error for error in report.errors)
    assert "not believed" in (course(campus).roster_error or "")
    assert rules_of(campus.context, campus.course_id())[0].stop is None


def test_a_concluded_course_takes_nothing(campus: Campus) -> None:
    campus.rule(**TAKES_AT_ONCE)
    settle(campus)
    winners = campus.winners()
    campus.world.courses[COURSE].concluded = True
    settle(campus)
    assert campus.winners() == winners


def test_a_learner_who_comes_back_has_their_days_of_grace(
    campus: Campus, traveller: time_machine.Traveller
) -> None:
    campus.rule(on_fall=OnFall.REVOKE, grace_days=3)
    campus.grade(BEN, 50)
    settle(campus)
    campus.grade(BEN, 1)
    settle(campus)
    campus.world.courses[COURSE].members.remove(BEN)
    traveller.shift(timedelta(days=10))
    settle(campus)
    campus.world.courses[COURSE].members.append(BEN)
    settle(campus)
    assert campus.award_of(BEN).state == "issued"


@pytest.mark.parametrize("path", [f"/api/{COURSE}/memberships", "/webservice"])
def test_no_reading_with_a_failure_revokes(campus: Campus, path: str) -> None:
    campus.rule(**TAKES_AT_ONCE)
    settle(campus)
    winners = campus.winners()
    for sub in list(campus.world.courses[COURSE].items[QUIZ].scores):
        campus.grade(sub, 0)
    campus.world.faults.next(path, "500", times=5)
    report = campus.sync()
    campus.deliver()
    assert report.errors
    assert campus.winners() == winners
    campus.world.faults.clear()
    settle(campus)  # now it is true, and more than a few: a person is asked
    assert campus.winners() == winners
    stop = rules_of(campus.context, campus.course_id())[0].stop
    assert stop is not None
    assert stop.revocations == len(winners)


def test_an_empty_roster_is_refused_and_said_so(campus: Campus) -> None:
    campus.rule(**TAKES_AT_ONCE)
    settle(campus)
    before = campus.winners()
    campus.world.courses[COURSE].members.clear()
    report = campus.sync()
    assert any("not believed" in error for error in report.errors)
    assert campus.winners() == before
    with campus.context.sessions() as session:
        there = session.scalars(select(CourseMember.sub).where(CourseMember.present.is_(True)))
        assert len(list(there)) > 20


def test_a_roster_that_stays_short_for_a_day_is_believed(
    lite: Campus, traveller: time_machine.Traveller
) -> None:
    lite.sync()
    here = lite.world.courses[COURSE]
    here.members = here.members[:8]
    lite.sync()
    traveller.shift(timedelta(days=1, minutes=5))
    assert lite.sync().errors == []
    with lite.context.sessions() as session:
        there = session.scalars(select(CourseMember.sub).where(CourseMember.present.is_(True)))
        assert len(list(there)) <= 8


def test_a_launch_takes_nothing(campus: Campus) -> None:
    campus.rule(**TAKES_AT_ONCE)
    campus.grade(BEN, 50)
    settle(campus)
    campus.grade(BEN, 1)
    campus.enter(BEN)
    campus.deliver()
    assert campus.award_of(BEN).state == "issued"
    settle(campus)
    assert campus.award_of(BEN).state == "revoked"
    assert (campus.award_of(BEN).revocation_reason or "").startswith("No longer met")


def test_a_rule_that_nobody_rehearsed_is_counted_before_it_acts(campus: Campus) -> None:
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 50)
    course_id = campus.course_id()
    rule = save_rule(
        campus.context, course_id, campus.badge(), campus.quiz_at_least(80), Policy(), by="a file"
    )
    campus.sync()
    campus.enter(BEN)
    assert campus.awards() == []
    (view,) = rules_of(campus.context, course_id)
    assert view.id == rule
    assert view.stop is not None
    assert view.stop.grants >= 28


def test_a_rule_that_nobody_rehearsed_flows_when_it_awards_few(campus: Campus) -> None:
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 1)
    campus.grade(BEN, 50)
    save_rule(
        campus.context,
        campus.course_id(),
        campus.badge(),
        campus.quiz_at_least(80),
        Policy(),
        by="a file",
    )
    campus.sync()
    assert campus.winners() == {BEN}


def edited(campus: Campus, rule: str, percent: int, **more: object) -> None:
    edit_rule(
        campus.context,
        rule,
        campus.quiz_at_least(percent),
        Policy(**TAKES_AT_ONCE),
        by="Ada",
        **more,  # type: ignore[arg-type]
    )


def test_an_edit_takes_no_badge_from_those_who_earned_it(campus: Campus) -> None:
    rule = campus.rule(**TAKES_AT_ONCE)
    campus.grade(BEN, "40.5")
    settle(campus)
    winners = campus.winners()
    edited(campus, rule, 95)
    for _ in range(2):
        settle(campus)
    assert campus.winners() == winners
    assert rules_of(campus.context, campus.course_id())[0].stop is None
    campus.grade(BEN, 1)  # by the rule that it was granted by, too
    settle(campus)
    assert campus.award_of(BEN).state == "revoked"
    assert campus.winners() == winners - {BEN}


def test_an_edit_takes_badges_from_whom_its_writer_saw_and_named(campus: Campus) -> None:
    rule = campus.rule(**TAKES_AT_ONCE)
    campus.grade(BEN, "40.5")
    campus.grade(AMARA, "40.2")
    settle(campus)
    policy = Policy(**TAKES_AT_ONCE)
    shown = rehearse(
        campus.context, campus.course_id(), campus.quiz_at_least(82), None, policy, rule
    )
    names = {person.name: person.member_id for person in shown.losing}
    assert "Ben Carter" in names
    edited(campus, rule, 82, take_from=frozenset({names["Ben Carter"]}))
    settle(campus)
    assert campus.award_of(BEN).state == "revoked"
    assert campus.award_of(AMARA).state == "issued"
    assert (campus.award_of(BEN).revocation_reason or "").startswith("The rule was changed")


def test_a_stricter_policy_does_not_reach_back(campus: Campus) -> None:
    rule = campus.rule()
    campus.grade(BEN, 50)
    settle(campus)
    campus.grade(BEN, 1)
    settle(campus)
    edited(campus, rule, 80)
    for _ in range(2):
        settle(campus)
    assert campus.award_of(BEN).state == "issued"


def test_the_page_says_why_a_badge_waits_for_review(campus: Campus) -> None:
    rule = campus.rule(on_fall=OnFall.FLAG)
    campus.grade(BEN, "40.5")
    campus.grade(AMARA, 50)
    settle(campus)
    policy = Policy(on_fall=OnFall.FLAG)
    with campus.context.sessions() as session:
        query = select(CourseMember.id).where(CourseMember.sub == BEN)
        ben = session.scalars(query).one()
    edit_rule(
        campus.context,
        rule,
        campus.quiz_at_least(82),
        policy,
        by="Ada",
        take_from=frozenset({ben}),
    )
    campus.grade(AMARA, 1)
    settle(campus)
    by_name = {each.name: each.why for each in flagged(campus.context, campus.course_id())}
    assert "the rule was changed" in by_name["Ben Carter"]
    amara = next(why for name, why in by_name.items() if name != "Ben Carter")
    assert "by what the LMS tells now" in amara
    assert "the rule was changed" in campus.enter(TEACHER).text
    campus.world.courses[COURSE].members.remove(BEN)
    settle(campus)
    by_name = {each.name: each.why for each in flagged(campus.context, campus.course_id())}
    assert "does not learn in this course any more" in by_name["Ben Carter"]


def test_the_form_names_the_losers_and_takes_only_when_ticked(campus: Campus) -> None:
    rule = campus.rule(**TAKES_AT_ONCE)
    campus.grade(BEN, "40.5")
    settle(campus)
    page = campus.enter(TEACHER).text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    if not token:
        token = page.partition("Bearer ")[2].partition('"')[0].partition("&")[0]
    headers = {"Authorization": f"Bearer {token}"}
    form = {
        "rule": rule,
        "achievement": campus.award_of(BEN).achievement_id,
        "source-1": f"item:{campus.item_key('Final quiz')}",
        "percent-1": "82",
        "on_fall": "revoke",
        "grace_days": "0",
    }
    shown = campus.client.post(f"{campus.tool}/course/rules/rehearse", data=form, headers=headers)
    assert shown.status_code == 200, shown.text
    assert "would lose the badge" in shown.text
    assert "Ben Carter" in shown.text
    losers = [part.partition('"')[0] for part in shown.text.split('name="loses" value="')[1:]]
    assert losers
    saved = campus.client.post(
        f"{campus.tool}/course/rules", data={**form, "loses": losers}, headers=headers
    )
    assert saved.status_code == 200, saved.text
    settle(campus)
    assert campus.award_of(BEN).state == "issued"
    campus.client.post(
        f"{campus.tool}/course/rules",
        data={**form, "percent-1": "83", "loses": losers, "take_back": "on"},
        headers=headers,
    )
    settle(campus)
    assert campus.award_of(BEN).state == "revoked"


def test_a_badge_that_builds_on_another_course_s_moves_with_it(campus: Campus) -> None:
    from dataclasses import replace

    from lti_badges.awarding.manual import revoke
    from lti_badges.rules import BadgeHeld

    small, large = campus.badge("Small"), campus.badge("Large")
    campus.rule(badge=small)
    here = campus.world.courses[COURSE]
    campus.world.courses["9"] = replace(
        here, id="9", label="B", title="Another course", items={}, links=dict(here.links)
    )
    assert campus.enter(TEACHER, course="9").status_code == 200
    with campus.context.sessions() as session:
        other = session.scalars(select(Course.id).where(Course.context_id == "9")).one()
    save_rule(
        campus.context,
        other,
        large,
        BadgeHeld(small, "Small"),
        Policy(**TAKES_AT_ONCE),
        by="a test",
        rehearsed=True,
    )
    from lti_badges.jobs.background import due_courses
    from lti_badges.pipeline import sync_course

    sync_course(campus.context, other)
    with campus.context.sessions.begin() as session:
        session.get_one(Course, other).next_sync_at = clock.now() + timedelta(hours=1)
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 1)
    campus.grade(BEN, 50)
    settle(campus)
    assert other in due_courses(campus.context)
    sync_course(campus.context, other)
    campus.deliver()

    def large_of_ben() -> Award:
        with campus.context.sessions() as session:
            return session.scalars(select(Award).where(Award.achievement_id == large)).one()

    assert large_of_ben().state == State.ISSUED
    with campus.context.sessions() as session:
        part = session.scalars(select(Award).where(Award.achievement_id == small)).one()
    revoke(campus.context, part.id, reason="Copied", by="Ada")
    campus.deliver()
    assert other in due_courses(campus.context)
    sync_course(campus.context, other)
    campus.deliver()
    assert large_of_ben().state == State.REVOKED
    assert Fraction(1)
