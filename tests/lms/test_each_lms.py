"""The tool against the sandbox as each of the LMSes: launch, roster, own columns, pass-back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
from sqlalchemy import select

from lti_badges.awarding.manual import award_by_hand
from lti_badges.delivery.grade_passback import due_for_pass_back, pass_back
from lti_badges.lms import LMSES
from lti_badges.queries.course_sources import capabilities
from lti_badges.rules import ActivityCompleted, OnFall, ScoreAtLeast
from lti_badges.sandbox import Item
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import Award, CourseMember, LineItem, Platform
from lti_badges.values.course import Kind
from tests.awarding.test_expiry import later
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus

BEN, LATE, ACTIVE = "5", "6", "7"


@pytest.fixture(params=list(LMSES))
def campus(request: pytest.FixtureRequest, sqlite_settings: Settings) -> Iterator[Campus]:
    """Both sides, the LMS in each manner."""
    with running_campus(sqlite_settings, request.param) as both:
        yield both


def own_column(campus: Campus) -> Item:
    """A column of the tool's, graded by the teacher."""
    client = next(iter(campus.world.tools))
    item = Item("500", "Badge task", Fraction(10), owner=client)
    campus.world.courses[COURSE].items[item.id] = item
    return item


def test_teacher_and_learner_find_their_pages(campus: Campus) -> None:
    assert "Badges of this course" in campus.enter(TEACHER).text
    assert "My badges" in campus.enter(BEN).text
    with campus.context.sessions() as session:
        found = {row.sub: row for row in session.scalars(select(CourseMember))}
    ben = found[campus.world.user_id(BEN)]
    assert (ben.name, ben.email, ben.can_earn) == ("Ben Carter", "ben.carter@example.org", True)


def test_the_roster_is_read_to_its_last_page_once_each(campus: Campus) -> None:
    campus.world.page_size = 4
    report = campus.sync()
    assert not report.errors
    people = campus.world.members_of(COURSE)
    listed = [p for p in people if p.active or campus.world.vendor.lists_suspended]
    assert report.members == len(listed)
    with campus.context.sessions() as session:
        rows = list(session.scalars(select(CourseMember)))
    assert len(rows) == len(listed)
    earners = {campus.world.account(row.sub) for row in rows if row.can_earn}
    assert earners == {p.sub for p in people if p.active and p.role == "Learner" and not p.is_test}


def test_a_column_of_our_own_awards_a_badge(campus: Campus) -> None:
    with campus.context.sessions.begin() as session:
        session.scalars(select(Platform)).one().connection = None  # what LTI alone can do
    item = own_column(campus)
    campus.enter(TEACHER)
    campus.rule(ScoreAtLeast(campus.item_key("Badge task"), "Badge task", Fraction(8, 10)))
    item.scores |= {BEN: Fraction(8), "4": Fraction(799, 100)}
    campus.world.page_size = 1
    campus.sync()
    campus.deliver()
    assert campus.winners() == {BEN}
    assert campus.award_of(BEN).state == "issued"
    item.scores["4"] = Fraction(9)
    assert "See it verified" in campus.enter("4").text
    told = {each.kind: each.available for each in capabilities(campus.context, campus.course_id())}
    assert told[Kind.COURSE_GRADE] is False


def test_a_badge_is_written_to_the_gradebook_once(campus: Campus) -> None:
    item = own_column(campus)
    campus.enter(TEACHER)
    key = campus.item_key("Badge task")
    campus.rule(ScoreAtLeast(key, "Badge task", Fraction(1, 2)), pass_back=True)
    item.scores[BEN] = Fraction(10)
    campus.sync()
    campus.deliver()
    for award_id in due_for_pass_back(campus.context):
        assert pass_back(campus.context, award_id)
    columns = [
        column
        for column in campus.world.courses[COURSE].items.values()
        if column.label.startswith("Badge:")
    ]
    assert len(columns) == 1
    assert columns[0].scores == {BEN: columns[0].maximum}
    campus.sync()
    assert campus.winners() == {BEN}


def test_a_course_that_ended_is_kept_and_not_an_error_each_hour(campus: Campus) -> None:
    campus.enter(TEACHER)
    badge = campus.badge()
    with campus.context.sessions() as session:
        member = session.scalar(
            select(CourseMember).where(CourseMember.sub == campus.world.user_id(BEN))
        )
    assert member is not None
    award_by_hand(campus.context, campus.course_id(), member.id, badge, by="Ada", reason="Great")
    campus.deliver()
    campus.world.courses[COURSE].concluded = True
    campus.sync()
    with campus.context.sessions() as session:
        assert session.scalars(select(Award)).one().state == "issued"
    assert "See it verified" in campus.enter(BEN).text


def test_restrict_access_is_a_condition_without_any_token(sqlite_settings: Settings) -> None:
    """Moodle's roster of a link leaves out whoever “Restrict access” keeps away."""
    with running_campus(sqlite_settings, "moodle") as campus:
        with campus.context.sessions.begin() as session:
            session.scalars(select(Platform)).one().connection = None
        campus.enter(TEACHER)
        campus.sync()
        with campus.context.sessions() as session:
            item = session.scalars(select(LineItem).where(LineItem.key == "moodle-link:main")).one()
        campus.rule(ActivityCompleted(item.key, item.label))
        campus.sync()
        assert campus.awards() == []  # a link that keeps nobody away proves nothing
        learners = {p.sub for p in campus.world.learners_of(COURSE)}
        campus.world.courses[COURSE].links["main"].kept_from = learners - {BEN, "6"}
        campus.sync()
        assert campus.winners() == {BEN, "6"}
        campus.world.courses[COURSE].links["main"].kept_from.discard("7")
        assert "See it verified" in campus.enter("7").text


@pytest.mark.parametrize("over_lti", [True, False])
def test_a_suspended_or_ended_enrolment_keeps_its_badge_and_earns_none(
    campus: Campus, over_lti: bool
) -> None:
    """Each LMS leaves it out of its lists, or calls it inactive."""
    if over_lti:
        with campus.context.sessions.begin() as session:
            session.scalars(select(Platform)).one().connection = None
    elif not campus.world.vendor.connection(campus.world):
        pytest.skip("this LMS has no interface of its own")
    item = own_column(campus) if over_lti else campus.world.courses[COURSE].items[QUIZ]
    item.scores.clear()
    campus.enter(TEACHER)
    wanted = ScoreAtLeast(campus.item_key(item.label), item.label, Fraction(8, 10))
    campus.rule(wanted, on_fall=OnFall.REVOKE, grace_days=0)
    campus.grade(BEN, str(item.maximum), item.id)
    campus.sync()
    campus.deliver()
    assert campus.winners() == {BEN}
    for sub in (BEN, LATE):
        campus.world.people[sub] = replace(campus.world.people[sub], active=False)
    campus.grade(BEN, 1, item.id)
    for sub in (LATE, ACTIVE):
        campus.grade(sub, str(item.maximum), item.id)
    for days in (0, 2, 12):
        with later(campus, days=days):
            assert campus.sync().errors == []
            campus.deliver()
    assert campus.winners() == {BEN, ACTIVE}
    assert campus.award_of(BEN).state == "issued"
    campus.world.people[BEN] = replace(campus.world.people[BEN], active=True)
    with later(campus, days=13):
        campus.sync()
        campus.deliver()
    assert campus.award_of(BEN).state == "revoked"  # they are back, and below it
