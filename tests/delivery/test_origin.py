"""Whose credential it is: what this tool did not issue stays, what several awards share stays until
the last of them ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update

from lti_badges.awarding.manual import award_by_hand, decline, revoke
from lti_badges.delivery.deliver import deliver_due
from lti_badges.ledger.states import begin_revoking
from lti_badges.store import Achievement, Award, Course, CourseMember
from tests.backends.test_contract import REMOTE, add, badge_at
from tests.support.badgr_server import BadgrServer
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages


@dataclass
class Held:
    """A learner who has this tool's award, at a Badgr server that held one before or did not."""

    campus: Campus
    server: BadgrServer
    badge: str
    ref: str

    def theirs(self, email: str, **more: Any) -> dict[str, Any]:
        """An assertion that somebody made there by hand."""
        made = {
            "entityId": f"THEIRS{len(self.server.assertions)}",
            "badgeclass": self.ref,
            "recipient": {"plaintextIdentity": email.lower(), "type": "email"},
            "issuedOn": "2026-01-01T00:00:00Z",
            "expires": None,
            "evidence": [],
            "revoked": False,
            "openBadgeId": f"{self.server.base}/public/assertions/theirs",
        } | more
        self.server.assertions.append(made)
        return made

    def ada(self) -> tuple[str, str]:
        """(member id, e-mail) of a learner."""
        with self.campus.context.sessions() as session:
            member = session.scalars(
                select(CourseMember)
                .where(CourseMember.can_earn.is_(True), CourseMember.email.is_not(None))
                .order_by(CourseMember.sub)
            ).first()
        assert member is not None
        assert member.email is not None
        return member.id, member.email

    def award(self, course_id: str, member_id: str) -> str:
        """An award by hand, delivered."""
        tool = self.campus.context
        made = award_by_hand(tool, course_id, member_id, self.badge, by="t", reason="r")
        deliver_due(tool)
        assert self.row(made).state == "issued"
        return made

    def row(self, award_id: str) -> Award:
        with self.campus.context.sessions() as session:
            return session.get_one(Award, award_id)

    def end(self, award_id: str, *, adopted: bool = False) -> Award:
        """Revoked by a person, delivered."""
        revoke(self.campus.context, award_id, reason="mistake", by="t", adopted=adopted)
        deliver_due(self.campus.context)
        return self.row(award_id)


@pytest.fixture
def held(campus: Campus) -> Iterator[Held]:
    with BadgrServer().running() as server:
        backend_id = add(campus.context, REMOTE["badgr"], server.base)
        campus.course_id()
        campus.sync()
        badge = badge_at(campus.context, server, backend_id)
        with campus.context.sessions() as session:
            ref = session.get_one(Achievement, badge).ref
        yield Held(campus, server, badge, ref)


def second_course(held: Held) -> tuple[str, str]:
    """(course id, member id) of the same learner in another course."""
    member_id, email = held.ada()
    with held.campus.context.sessions.begin() as session:
        here = session.get_one(CourseMember, member_id)
        course = session.get_one(Course, here.course_id)
        other = Course(
            deployment_id=course.deployment_id, context_id="other", title="Other", settings={}
        )
        session.add(other)
        session.flush()
        again = CourseMember(
            course_id=other.id, sub=here.sub, name=here.name, email=email, roles=here.roles
        )
        again.can_earn = True
        session.add(again)
        session.flush()
        return other.id, again.id


def test_a_credential_made_by_hand_is_never_revoked_without_a_persons_word(held: Held) -> None:
    member_id, email = held.ada()
    theirs = held.theirs(email)
    award_id = held.award(held.campus.course_id(), member_id)
    assert held.row(award_id).origin == "adopted"
    assert held.row(award_id).backend_ref == theirs["entityId"]
    ended = held.end(award_id)
    assert ended.state == "revoked"
    assert not theirs["revoked"]


def test_a_rules_revocation_leaves_an_adopted_one_alone(held: Held) -> None:
    member_id, email = held.ada()
    theirs = held.theirs(email)
    award_id = held.award(held.campus.course_id(), member_id)
    with held.campus.context.sessions.begin() as session:
        begin_revoking(session, session.get_one(Award, award_id), why="The grade fell.")
    deliver_due(held.campus.context)
    assert held.row(award_id).state == "revoked"
    assert not theirs["revoked"]


def test_a_learners_decline_takes_back_what_we_gave_and_no_more(held: Held) -> None:
    member_id, email = held.ada()
    theirs = held.theirs(email)
    award_id = held.award(held.campus.course_id(), member_id)
    decline(held.campus.context, award_id, member_id, by="the learner")
    deliver_due(held.campus.context)
    assert held.row(award_id).state == "revoked"
    assert not theirs["revoked"]


def test_a_persons_word_ends_an_adopted_one_too(held: Held) -> None:
    member_id, email = held.ada()
    theirs = held.theirs(email)
    award_id = held.award(held.campus.course_id(), member_id)
    assert held.end(award_id, adopted=True).state == "revoked"
    assert theirs["revoked"]


@pytest.mark.parametrize("word", ["yes", ""])
def test_the_page_asks_for_that_word(held: Held, word: str) -> None:
    member_id, email = held.ada()
    theirs = held.theirs(email)
    award_id = held.award(held.campus.course_id(), member_id)
    page = Pages(held.campus, TEACHER)
    shown = page.get(f"/course/learners/{member_id}").text
    assert "it was not issued by this tool" in shown
    assert 'name="adopted"' in shown
    page.post(f"/course/awards/{award_id}/revoke", reason="mistake", adopted=word)
    deliver_due(held.campus.context)
    assert held.row(award_id).state == "revoked"
    assert theirs["revoked"] is bool(word)


def test_what_we_issued_is_ours_to_revoke(held: Held) -> None:
    member_id, _ = held.ada()
    award_id = held.award(held.campus.course_id(), member_id)
    assert held.row(award_id).origin == "issued"
    held.end(award_id)
    assert sum(held.server.live().values()) == 0


@pytest.mark.parametrize("gone", [{"revoked": True}, {"expires": "2026-02-01T00:00:00Z"}])
def test_one_that_counts_no_more_is_not_adopted(held: Held, gone: dict[str, Any]) -> None:
    member_id, email = held.ada()
    theirs = held.theirs(email, **gone)
    award_id = held.award(held.campus.course_id(), member_id)
    assert held.row(award_id).origin == "issued"
    assert held.row(award_id).backend_ref != theirs["entityId"]


@pytest.mark.parametrize("first", [0, 1])
def test_a_shared_one_ends_with_its_last_award(held: Held, first: int) -> None:
    member_id, _ = held.ada()
    one = held.award(held.campus.course_id(), member_id)
    two = held.award(*second_course(held))
    assert held.row(one).backend_ref == held.row(two).backend_ref
    assert {held.row(one).origin, held.row(two).origin} == {"shared"}
    order = (one, two) if first == 0 else (two, one)
    assert held.end(order[0]).state == "revoked"
    assert sum(held.server.live().values()) == 1
    assert held.row(order[1]).state == "issued"
    assert held.end(order[1]).state == "revoked"
    assert sum(held.server.live().values()) == 0


@pytest.mark.parametrize("ours", [True, False])
def test_an_award_of_an_older_version_is_told_by_its_marker(held: Held, *, ours: bool) -> None:
    member_id, email = held.ada()
    if not ours:
        held.theirs(email)
    award_id = held.award(held.campus.course_id(), member_id)
    with held.campus.context.sessions.begin() as session:
        session.execute(update(Award).values(origin=None))
    assert held.end(award_id).state == "revoked"
    assert sum(held.server.live().values()) == (0 if ours else 1)


def test_nothing_is_looked_up_where_nothing_was_ever_sent(held: Held) -> None:
    member_id, _ = held.ada()
    held.server.calls.clear()
    held.award(held.campus.course_id(), member_id)
    assert held.server.calls["GET assertions"] == 0
    assert held.server.calls["POST assertions"] == 1
