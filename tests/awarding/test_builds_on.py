"""Badges that build on badges of other courses: whatever happens to the part reaches the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from lti_badges.awarding.manual import award_by_hand, revoke
from lti_badges.awarding.rulebook import save_rule
from lti_badges.core import clock
from lti_badges.jobs.background import due_courses, tick
from lti_badges.ledger import holding
from lti_badges.pipeline import sync_course
from lti_badges.rules import BadgeHeld, OnFall, Policy
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.store import Award, Course, CourseMember, HoldingChange, Person
from tests.awarding.test_expiry import later
from tests.support.campus import TEACHER, Campus

BEN = "5"


class Died(BaseException):
    """What is left of a process that was killed."""


@dataclass
class Two:
    """The demo's course gives the small badge; another course the large one, to its holders."""

    campus: Campus
    small: str
    large: str
    other: str

    def settle(self) -> None:
        """Read and deliver in the first course."""
        self.campus.sync()
        self.campus.deliver()

    def settle_other(self) -> None:
        """As the schedule does when the other course is due, and not before."""
        assert self.other in due_courses(self.campus.context)
        sync_course(self.campus.context, self.other)
        self.campus.deliver()
        self.wait()

    def wait(self) -> None:
        """The other course has just been read."""
        with self.campus.context.sessions.begin() as session:
            session.get_one(Course, self.other).next_sync_at = clock.now() + timedelta(days=400)
        assert self.other not in due_courses(self.campus.context)

    def holders(self) -> dict[str, str]:
        """The state of the large badge, by person."""
        with self.campus.context.sessions() as session:
            rows = session.execute(
                select(CourseMember.sub, Award.state)
                .join(Award, Award.member_id == CourseMember.id)
                .where(Award.achievement_id == self.large)
            ).all()
        return {self.campus.world.account(row.sub) or row.sub: row.state for row in rows}


@pytest.fixture
def two(campus: Campus) -> Two:
    """Nobody has anything yet."""
    small, large = campus.badge("Small"), campus.badge("Large")
    for person in campus.world.learners_of(COURSE):
        campus.grade(person.sub, 1)
    campus.rule(badge=small, valid_days=30)
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
        Policy(on_fall=OnFall.REVOKE, grace_days=0),
        by="a test",
        rehearsed=True,
    )
    campus.sync()
    sync_course(campus.context, other)
    made = Two(campus, small, large, other)
    made.wait()
    return made


@contextmanager
def dies_after_its_next_commit() -> Iterator[None]:
    """The process is gone right after the database has committed a change of an award."""

    def noticed(session: Session, *_: object) -> None:
        if any(isinstance(row, Award) for row in session.dirty | session.new):
            session.info["changes an award"] = True

    def die(session: Session) -> None:
        if session.info.pop("changes an award", False):
            raise Died

    event.listen(Session, "before_flush", noticed)
    event.listen(Session, "after_commit", die)
    try:
        with pytest.raises(Died):
            yield
    finally:
        event.remove(Session, "before_flush", noticed)
        event.remove(Session, "after_commit", die)


def unmarked(campus: Campus) -> int:
    """Changes that are due and have not reached those who are concerned."""
    with campus.context.sessions() as session:
        due = HoldingChange.due_at <= clock.now()
        return session.scalar(select(func.count(HoldingChange.id)).where(due)) or 0


def test_a_part_that_was_got_reaches_the_other_course_though_its_worker_died(two: Two) -> None:
    two.campus.grade(BEN, 50)
    with dies_after_its_next_commit():
        two.campus.sync()
    assert two.other not in due_courses(two.campus.context)
    tick(two.campus.queue)
    two.settle_other()
    assert two.holders() == {BEN: "issued"}
    assert unmarked(two.campus) == 0


def test_a_part_that_was_revoked_reaches_the_other_course_though_its_worker_died(two: Two) -> None:
    two.campus.grade(BEN, 50)
    two.settle()
    two.settle_other()
    assert two.holders() == {BEN: "issued"}
    part = next(each for each in two.campus.awards() if each.achievement_id == two.small)
    with dies_after_its_next_commit():
        revoke(two.campus.context, part.id, reason="Copied", by="Ada")
    assert two.other not in due_courses(two.campus.context)
    tick(two.campus.queue)
    two.settle_other()
    assert two.holders() == {BEN: "revoked"}


def test_a_part_that_expires_reaches_the_other_course(two: Two) -> None:
    two.campus.grade(BEN, 50)
    two.settle()
    two.settle_other()
    assert two.holders() == {BEN: "issued"}
    with later(two.campus, days=29):
        tick(two.campus.queue)
        assert two.other not in due_courses(two.campus.context)
    with later(two.campus, days=31):
        tick(two.campus.queue)
        two.settle_other()
        assert two.holders() == {BEN: "revoked"}
        assert unmarked(two.campus) == 0


def test_a_part_that_was_given_by_hand_reaches_the_other_course(two: Two) -> None:
    course_id = two.campus.course_id()
    with two.campus.context.sessions() as session:
        ben = session.scalars(
            select(CourseMember.id).where(
                CourseMember.course_id == course_id,
                CourseMember.sub == two.campus.world.user_id(BEN),
            )
        ).one()
    award_by_hand(two.campus.context, course_id, ben, two.small, by="Ada", reason="A talk")
    two.settle_other()
    assert two.holders() == {BEN: "issued"}


def test_the_learner_is_told_by_their_person(two: Two) -> None:
    """A platform may rename its users: who was joined by hand is one person all the same."""
    with two.campus.context.sessions.begin() as session:
        ben = session.scalars(
            select(Person).where(Person.sub == two.campus.world.user_id(BEN))
        ).one()
        for member in session.scalars(
            select(CourseMember).where(
                CourseMember.person_id == ben.id, CourseMember.course_id == two.other
            )
        ):
            member.sub = "another-name"
            member.roster_says = "learner"
        session.get_one(Course, two.other).memberships_url = None
    two.campus.grade(BEN, 50)
    two.settle()
    two.settle_other()
    assert two.holders() == {"another-name": "issued"}


def test_members_that_can_not_be_marked_now_hold_up_nothing_else(
    lite: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.rule()
    lite.sync()

    def locked(*_: object) -> int:
        raise OperationalError("the course is locked", None, Exception())

    monkeypatch.setattr(holding, "mark_dependents", locked)
    tick(lite.queue)
    assert lite.queue.waiting() > 0
