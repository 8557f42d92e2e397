"""The main job over real HTTP: launch, rule, grade, award, a badge that verifies."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
import time_machine
from sqlalchemy import select

from lti_badges.awarding.item_changes import accept_item_changes, item_changes_of
from lti_badges.awarding.manual import award_by_hand, keep_after_flag, revoke
from lti_badges.awarding.rule_views import rules_of
from lti_badges.awarding.rulebook import edit_rule, pause_rule, remove_rule, resume_all, resume_rule
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.courses.copy import note_copy
from lti_badges.delivery.grade_passback import due_for_pass_back, pass_back
from lti_badges.lms.moodle.web_service import WebService
from lti_badges.pipeline import rehearse, sync_course
from lti_badges.queries.awards_csv import awards_csv
from lti_badges.queries.review import flagged
from lti_badges.queries.roster import roster, why
from lti_badges.rules import (
    AllOf,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    OnFall,
    Policy,
    ScoreAtLeast,
)
from lti_badges.sandbox import Course, Item
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.settings import Settings
from lti_badges.store import AuditEvent, CourseMember, Deployment
from lti_badges.store import Course as StoredCourse
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus

BEN, AMARA, DARA = "5", "4", "33"


def test_everyone_who_reached_it_gets_the_badge_once(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    assert campus.winners() == campus.expected()
    assert {award.state for award in campus.awards()} == {"issued"}
    for _ in range(2):
        campus.sync()
        campus.deliver()
    assert len(campus.awards()) == len(campus.expected())


def test_a_learner_sees_a_badge_in_the_page_load_that_found_it_earned(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    assert "See it verified" not in campus.enter(BEN).text
    campus.grade(BEN, 40)
    page = campus.enter(BEN).text
    assert "See it verified" in page
    assert "Final quiz: 40 of 50 = 80 % ≥ 80 %" in page
    verified = campus.client.get(
        f"{campus.tool}/credentials/{campus.award_of(BEN).id}", headers={"Accept": "text/html"}
    ).text
    assert "This credential is valid" in verified


def test_thresholds_are_exact(lite: Campus) -> None:
    lite.rule()
    lite.grade(BEN, "39.99")
    lite.grade(AMARA, "40.000")
    lite.sync()
    assert AMARA in lite.winners()
    assert BEN not in lite.winners()


def test_the_award_keeps_what_it_was_granted_for(campus: Campus) -> None:
    rule_id = campus.rule()
    campus.grade(BEN, 46)
    campus.sync()
    campus.grade(BEN, 10)
    edit_rule(campus.context, rule_id, campus.quiz_at_least(90), Policy(), by="a test")
    campus.sync()
    campus.deliver()
    award = campus.award_of(BEN)
    assert award.state == "issued"
    assert award.rule_version == 1
    assert award.explanation.startswith("Final quiz: 46 of 50 = 92 % ≥ 80 %, graded on ")
    assert ", read from Moodle gradebook on " in award.explanation
    assert award.achieved_at <= (award.issued_at or award.achieved_at)


def test_no_e_mail_is_needed_by_the_built_in_issuer(lite: Campus) -> None:
    lite.rule()
    lite.grade(DARA, 50)
    lite.sync()
    lite.deliver()
    assert lite.award_of(DARA).state == "issued"


def test_staff_suspended_and_test_users_earn_nothing(lite: Campus) -> None:
    lite.rule()
    suspended = next(p.sub for p in lite.world.learners_of(COURSE) if not p.active)
    lite.grade(suspended, 50)
    lite.grade(TEACHER, 50)
    lite.sync()
    assert not lite.winners() & {suspended, TEACHER}


def test_paging_reaches_the_last_member(lite: Campus) -> None:
    lite.world.page_size = 3
    report = lite.sync()
    assert report.members == 30  # thirty learners without the suspended one, and the instructor
    assert not report.errors


def test_course_grade_and_completion_are_read_over_rest(lite: Campus) -> None:
    course = lite.world.courses[COURSE]
    lite.rule(AllOf((CourseGradeAtLeast(Fraction(7, 10)), CourseCompleted())))
    lite.sync()
    wanted = set()
    for person in lite.world.learners_of(COURSE):
        points, maximum = course.total(person.sub)
        if (
            person.active
            and points
            and points * 10 >= maximum * 7
            and person.sub in course.completed
        ):
            wanted.add(person.sub)
    assert wanted
    assert lite.winners() == wanted


def test_badges_build_up_to_a_larger_one_in_one_sync(campus: Campus) -> None:
    small, large = campus.badge("Small"), campus.badge("Large")
    homework = ScoreAtLeast(campus.item_key("Homework 1"), "Homework 1", Fraction(1, 100))
    campus.rule(AllOf((BadgeHeld(small, "Small"), homework)), large)
    campus.rule(campus.quiz_at_least(80), small)
    campus.sync()
    by_badge = {
        badge: sum(award.achievement_id == badge for award in campus.awards())
        for badge in (small, large)
    }
    assert by_badge[small] == by_badge[large] == len(campus.expected())


def test_a_kept_badge_stays_when_the_grade_falls(lite: Campus) -> None:
    lite.rule()
    lite.grade(BEN, 50)
    lite.sync()
    lite.deliver()
    lite.grade(BEN, 1)
    lite.sync()
    lite.deliver()
    assert lite.award_of(BEN).state == "issued"


def test_a_flagged_fall_waits_for_the_instructor_once(campus: Campus) -> None:
    rule_id = campus.rule(on_fall=OnFall.FLAG)
    campus.grade(BEN, 50)
    campus.sync()
    campus.deliver()
    campus.grade(BEN, 1)
    campus.sync()
    (asked,) = flagged(campus.context, campus.course_id())
    assert (asked.rule_id, asked.name) == (rule_id, "Ben Carter")
    keep_after_flag(campus.context, campus.course_id(), rule_id, asked.member_id, by="a test")
    campus.grade(BEN, 2)
    campus.sync()
    assert flagged(campus.context, campus.course_id()) == []
    assert campus.award_of(BEN).state == "issued"


def test_a_fall_revokes_after_its_days_of_grace_and_the_badge_can_be_earned_again(
    campus: Campus,
) -> None:
    campus.rule(on_fall=OnFall.REVOKE, grace_days=3)
    campus.grade(BEN, 50)
    campus.sync()
    campus.deliver()
    campus.grade(BEN, 1)
    campus.sync()
    campus.deliver()
    assert campus.award_of(BEN).state == "issued"
    with time_machine.travel(clock.now() + timedelta(days=3, minutes=1), tick=True):
        campus.context.tokens.__init__(campus.context.http, campus.context.keys)  # type: ignore[misc]
        campus.world.tokens.clear()
        campus.sync()
        campus.deliver()
        first = campus.award_of(BEN)
        assert first.state == "revoked"
        campus.grade(BEN, 45)
        campus.sync()
        campus.deliver()
        second = campus.award_of(BEN)
    assert (second.state, second.number) == ("issued", 2)
    assert second.id != first.id


def test_a_revoked_badge_does_not_come_back_by_itself(lite: Campus) -> None:
    lite.rule()
    lite.grade(BEN, 50)
    lite.sync()
    lite.deliver()
    revoke(lite.context, lite.award_of(BEN).id, reason="Copied", by="Ada")
    lite.deliver()
    for _ in range(2):
        lite.grade(BEN, 49)
        lite.sync()
        lite.deliver()
    assert lite.award_of(BEN).state == "revoked"
    page = lite.client.get(
        f"{lite.tool}/credentials/{lite.award_of(BEN).id}", headers={"Accept": "text/html"}
    ).text
    assert "This credential is not valid" in page
    assert "Copied" not in page  # the reason is between the teacher and the learner


def test_a_paused_rule_grants_nothing_until_resumed(lite: Campus) -> None:
    rule_id = lite.rule()
    pause_rule(lite.context, rule_id, by="a test")
    lite.sync()
    assert lite.winners() == set()
    resume_rule(lite.context, rule_id, by="a test")
    lite.sync()
    assert lite.winners() == lite.expected()
    remove_rule(lite.context, rule_id, by="a test")
    assert rules_of(lite.context, lite.course_id()) == []
    assert lite.winners() == lite.expected()


def test_a_hand_given_badge_is_explained_and_unique(lite: Campus) -> None:
    badge = lite.badge()
    lite.sync()
    course_id = lite.course_id()
    with lite.context.sessions() as session:
        member = session.scalar(select(CourseMember).where(CourseMember.sub == BEN))
    assert member is not None
    with pytest.raises(InvalidInput):
        award_by_hand(lite.context, course_id, member.id, badge, by="Ada", reason="  ")
    award_by_hand(lite.context, course_id, member.id, badge, by="Ada", reason="Great talk")
    lite.deliver()
    assert lite.award_of(BEN).explanation == "Awarded by hand: Great talk"
    with pytest.raises(InvalidInput):
        award_by_hand(lite.context, course_id, member.id, badge, by="Ada", reason="Again")
    with pytest.raises(NotFound):
        award_by_hand(lite.context, course_id, "nobody", badge, by="Ada", reason="x")


def test_the_rehearsal_is_what_then_happens(campus: Campus) -> None:
    rehearsed = rehearse(campus.context, campus.course_id(), campus.quiz_at_least(80), None)
    assert rehearsed.awarded == len(campus.expected())
    assert campus.awards() == []
    (histogram,) = rehearsed.histograms
    assert sum(histogram.bins) + histogram.without == rehearsed.learners
    assert sum(histogram.bins[16:]) == rehearsed.awarded
    campus.rule()
    campus.sync()
    assert len(campus.awards()) == rehearsed.awarded


def test_why_and_why_not_have_an_answer_for_each_learner(campus: Campus) -> None:
    campus.rule()
    campus.grade(BEN, 46)
    campus.sync()
    campus.deliver()
    page = roster(campus.context, campus.course_id())
    assert page.total == 29
    for row in page.rows:
        member, answers = why(campus.context, campus.course_id(), row.member_id)
        (answer,) = answers
        assert answer.judgement is not None
        assert answer.judgement.text
        if member.sub == BEN:
            told = [event.text for event in answer.trail]
            assert told[0].startswith("Granted by version 1 of the rule: Final quiz: 46 of 50")
            assert told[-1].startswith("The award is issued")
    (found,) = roster(campus.context, campus.course_id(), search="cArTe").rows
    assert found.name == "Ben Carter"
    assert roster(campus.context, campus.course_id(), search="%").total == 0


def test_a_spreadsheet_can_not_be_made_to_calculate(lite: Campus) -> None:
    lite.rule()
    with lite.context.sessions.begin() as session:
        for member in session.scalars(select(CourseMember)):
            member.name = "=HYPERLINK(1)"
    lite.enter(TEACHER)
    lite.rule(badge=lite.badge("@SUM(1)"))
    lite.sync()
    lines = list(awards_csv(lite.context, lite.course_id()))
    assert len(lines) == 1 + 2 * len(lite.expected())
    assert all("'@SUM" in line or "Statistics" in line for line in lines[1:])


def test_a_score_goes_back_to_a_column_of_our_own(lite: Campus) -> None:
    rule_id = lite.rule(pass_back=True)
    lite.sync()
    lite.deliver()
    for award_id in due_for_pass_back(lite.context):
        assert pass_back(lite.context, award_id)
    assert due_for_pass_back(lite.context) == []
    (column,) = [i for i in lite.world.courses[COURSE].items.values() if i.owner]
    assert column.tag == f"lti-badges:{rule_id}"
    assert set(column.scores) == lite.expected()
    assert {score / column.maximum for score in column.scores.values()} == {1}
    lite.sync()
    assert len(lite.awards()) == len(lite.expected())


def test_every_state_has_its_line_in_the_trail(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    with campus.context.sessions() as session:
        events = list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))
    granted = [event.award_id for event in events if event.kind == "granted"]
    moved = [event for event in events if event.kind == "award_state"]
    assert len(granted) == len(set(granted)) == len(campus.expected())
    # What is issued here is claimed and settled in one transaction: one change, one event.
    assert sorted(event.award_id or "" for event in moved) == sorted(each or "" for each in granted)
    assert {(event.detail["was"], event.detail["now"]) for event in moved} == {
        ("pending", "issued")
    }


@pytest.mark.parametrize("told_by", ["context_history", "notice"])
def test_rules_follow_a_copied_course_switched_off(lite: Campus, told_by: str) -> None:
    lite.rule(AllOf((lite.quiz_at_least(80), CourseCompleted())))
    course = lite.world.courses[COURSE]
    copy = Course("77", "STAT101-2", "Statistics 101 again", members=list(course.members))
    copy.items = {"31": Item("31", "Final quiz", Fraction(50))}
    copy.links = course.links
    lite.world.courses["77"] = copy
    if told_by != "notice":
        lite.world.tools = {
            key: replace(tool, custom={told_by: "5, 2"}) for key, tool in lite.world.tools.items()
        }
    else:
        with lite.context.sessions() as session:
            deployment = session.scalars(select(Deployment)).one()
        platform, name = deployment.platform_id, deployment.deployment_id
        note_copy(lite.context, platform, name, "77", ["5", "2"])
        note_copy(lite.context, platform, "an unknown deployment", "78", ["2"])
    page = lite.enter(TEACHER, course="77")
    assert "Final quiz at least 80 % and Course completed" in page.text
    assert "Paused" in page.text
    with lite.context.sessions() as session:
        row = session.scalar(select(StoredCourse).where(StoredCourse.context_id == "77"))
    assert row is not None
    (rule,) = rules_of(lite.context, row.id)
    assert not rule.active
    copy.items["31"].scores[BEN] = Fraction(50)
    copy.completed[BEN] = clock.now()
    sync_course(lite.context, row.id)
    assert all(award.course_id != row.id for award in lite.awards())
    resume_rule(lite.context, rule.id, by="a test")
    sync_course(lite.context, row.id)
    assert [award.course_id for award in lite.awards()].count(row.id) == 1
    lite.enter(TEACHER, course="77")
    assert len(rules_of(lite.context, row.id)) == 1


def test_canvas_tells_a_copy_by_a_variable_of_its_own(sqlite_settings: Settings) -> None:
    with running_campus(sqlite_settings, "canvas") as canvas:
        canvas.rule(canvas.quiz_at_least(80))
        course = canvas.world.courses[COURSE]
        copy = Course("77", "STAT101-2", "Statistics 101 again", members=list(course.members))
        copy.items = {"31": Item("31", "Final quiz", Fraction(50))}
        copy.links = course.links
        canvas.world.courses["77"] = copy
        canvas.world.tools = {
            key: replace(tool, custom={"previous_context_ids": "5, 2"})
            for key, tool in canvas.world.tools.items()
        }
        page = canvas.enter(TEACHER, course="77").text
        assert "Final quiz at least 80 %" in page
        assert "Paused" in page


def test_a_copied_rule_whose_items_are_missing_waits_by_name_and_finds_them_later(
    lite: Campus,
) -> None:
    lite.rule(lite.quiz_at_least(80), not_after=date(2030, 5, 3), settle_minutes=5)
    course = lite.world.courses[COURSE]
    copy = Course("77", "STAT101-2", "Statistics 101 again", members=list(course.members))
    copy.items = {"31": Item("31", "Homework", Fraction(20))}
    copy.links = course.links
    lite.world.courses["77"] = copy
    lite.world.tools = {
        key: replace(tool, custom={"context_history": "2"})
        for key, tool in lite.world.tools.items()
    }
    assert "this course has no “Final quiz” yet" in lite.enter(TEACHER, course="77").text
    with lite.context.sessions() as session:
        row = session.scalar(select(StoredCourse).where(StoredCourse.context_id == "77"))
    assert row is not None
    (rule,) = rules_of(lite.context, row.id)
    assert rule.policy.not_after == date(2030, 5, 3)
    assert rule.policy.settle_minutes == 5
    with pytest.raises(InvalidInput, match="Final quiz"):
        resume_rule(lite.context, rule.id, by="a test")
    assert resume_all(lite.context, row.id, by="a test") == [rule.achievement.name]
    copy.items["32"] = Item("32", "Final quiz", Fraction(50))
    sync_course(lite.context, row.id)
    (change,) = item_changes_of(lite.context, row.id)
    assert change.proposed == "Final quiz"
    accept_item_changes(lite.context, row.id, rule.id, by="a test")
    assert not item_changes_of(lite.context, row.id)
    assert resume_all(lite.context, row.id, by="a test") == []
    assert rules_of(lite.context, row.id)[0].active


def test_completions_that_are_reached_are_asked_for_once_a_day(
    lite: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    call = WebService.call

    def counted(self: WebService, function: str, *course: str | None, **arguments: str) -> object:
        if function == "core_completion_get_course_completion_status":
            asked.append(arguments["userid"])
        return call(self, function, *course, **arguments)

    monkeypatch.setattr(WebService, "call", counted)
    lite.rule(CourseCompleted())
    done = set(lite.world.courses[COURSE].completed)
    assert done
    lite.sync()
    everybody = set(asked)
    asked.clear()
    lite.sync()
    assert set(asked) == everybody - {lite.world.user_id(sub) for sub in done}
    assert len(lite.winners()) == len(lite.awards())
    assert lite.winners() == {sub for sub in done if lite.world.user_id(sub) in everybody}
    asked.clear()
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=True):
        lite.context.tokens.__init__(lite.context.http, lite.context.keys)  # type: ignore[misc]
        lite.world.tokens.clear()
        lite.sync()
    assert set(asked) == everybody
