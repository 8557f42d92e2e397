"""Staff, observers, test students and suspended people never earn a badge by a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from lti_badges.rules import ActivityCompleted
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.store import CourseMember, LineItem
from lti_badges.values.course import MEMBERSHIP, TEST_USER, Member
from tests.support.campus import TEACHER, Campus

BEN = "5"
LEARNER = f"{MEMBERSHIP}#Learner"


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ({LEARNER, f"{MEMBERSHIP}#Mentor"}, "Active"),
        ({LEARNER, f"{MEMBERSHIP}#Instructor"}, "Active"),
        ({LEARNER, f"{MEMBERSHIP}/Instructor#TeachingAssistant"}, "Active"),
        ({LEARNER, TEST_USER}, "Active"),
        ({LEARNER}, "Inactive"),
        ({f"{MEMBERSHIP}#Mentor"}, "Active"),
    ],
)
def test_who_can_not_earn(roles: set[str], status: str) -> None:
    assert not Member("1", frozenset(roles), status=status).can_earn
    assert Member("1", frozenset({LEARNER})).can_earn


def test_a_teacher_who_switched_roles_earns_nothing(campus: Campus) -> None:
    campus.rule()
    campus.grade(TEACHER, 50)
    campus.sync()
    here = campus.world.people
    teacher = here[TEACHER]
    here[TEACHER] = replace(teacher, role="Learner")
    assert campus.enter(TEACHER).status_code == 200  # views it as a student
    here[TEACHER] = teacher
    with campus.context.sessions() as session:
        row = session.scalars(select(CourseMember).where(CourseMember.sub == TEACHER)).one()
    assert row.roster_says == "staff"
    assert not row.can_earn
    campus.sync()
    assert TEACHER not in campus.winners()


def test_a_learner_of_whom_only_a_launch_tells_waits_for_the_roster(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    here = campus.world.courses[COURSE]
    new = replace(campus.world.people[BEN], sub="900", email="new@example.org")
    campus.world.people["900"] = new
    campus.grade("900", 50)
    here.members.append("900")
    campus.enter("900")
    assert "900" not in campus.winners()
    campus.sync()
    assert "900" in campus.winners()


def test_who_is_not_tracked_as_a_learner_earns_nothing(campus: Campus) -> None:
    """Moodle's roster calls a teacher without editing rights a learner; its completion does not."""
    here = campus.world.courses[COURSE]
    campus.sync()
    with campus.context.sessions() as session:
        item = session.scalars(select(LineItem).where(LineItem.kind == "activity").limit(1)).first()
    assert item is not None
    activity = item.key.rpartition(":")[2]
    here.done |= {BEN: {activity}, "4": {activity}}
    here.untracked.add("4")
    campus.rule(ActivityCompleted(item.key, item.label))
    campus.rule(badge=campus.badge("Quiz"))
    campus.grade("4", 50)
    campus.sync()
    assert BEN in campus.winners()
    campus.enter("4")
    assert "4" not in campus.winners()
