"""Badges move to another backend: the same rules, and no second badge for anybody."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from lti_badges.awarding.manual import revoke
from lti_badges.awarding.rule_views import rules_of
from lti_badges.catalogue.configuration import save_backend
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.delivery.move import move_badges
from lti_badges.delivery.reconcile import reconcile
from lti_badges.rules import OnFall
from lti_badges.store import Achievement, Award
from tests.support.badgr_server import TOKENS, BadgrServer
from tests.support.campus import Campus

BEN = "5"


@pytest.fixture
def server() -> Iterator[BadgrServer]:
    with BadgrServer().running() as running:
        yield running


def badgr(campus: Campus, server: BadgrServer, name: str = "theirs") -> str:
    settings = {"url": server.base, "username": "a@b.c"}
    return save_backend(campus.context, name, "badgr", settings, {"password": TOKENS["password"]})


def test_nobody_gets_a_second_badge_and_the_next_goes_to_the_new_place(
    campus: Campus, server: BadgrServer
) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    before = campus.awards()
    backend_id = badgr(campus, server)
    moved = move_badges(campus.context, "builtin", "theirs")
    assert (moved.badges, moved.sent_anew, moved.stayed) == (1, 0, len(before))
    campus.grade(BEN, 50)
    campus.sync()
    campus.deliver()
    assert len(campus.awards()) == len(before) + 1
    assert campus.award_of(BEN).backend_id == backend_id
    assert server.live() == {"ben.carter@example.org": 1}
    assert len(rules_of(campus.context, campus.course_id())) == 1
    found = reconcile(campus.context, backend_id)
    assert (found.checked, found.missing, found.foreign) == (1, 0, 0)


def test_what_was_issued_stays_verifiable_and_revocable_where_it_is(
    lite: Campus, server: BadgrServer
) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    badgr(lite, server)
    move_badges(lite.context, "builtin", "theirs")
    award = lite.awards()[0]
    page = httpx.get(f"{lite.tool}/credentials/{award.id}", headers={"Accept": "text/html"})
    assert "This credential is valid" in page.text
    badge = f"{lite.tool}/achievements/{award.achievement_id}"
    assert httpx.get(badge, headers={"Accept": "application/json"}).json()["id"] == badge
    revoke(lite.context, award.id, reason="A mistake", by="a test")
    lite.deliver()
    assert lite.awards()[0].state == "revoked"
    back = move_badges(lite.context, "theirs", "builtin")
    assert back.badges == 1


def test_from_badgr_to_badgr_awards_are_revoked_at_the_old_place(lite: Campus) -> None:
    with BadgrServer().running() as old, BadgrServer().running() as new:
        badgr(lite, old, "old")
        move_badges(lite.context, "builtin", "old")
        lite.rule()
        move_badges(lite.context, "builtin", "old")
        lite.sync()
        lite.deliver()
        count = len(lite.awards())
        assert sum(old.live().values()) == count
        badgr(lite, new, "new")
        move_badges(lite.context, "old", "new")
        assert reconcile(lite.context, lite.awards()[0].backend_id, force=True).missing == 0
        revoke(lite.context, lite.awards()[0].id, reason="A mistake", by="a test")
        lite.deliver()
        assert sum(old.live().values()) == count - 1
        assert not new.live()


def test_awards_that_never_left_go_out_at_the_new_place(lite: Campus, server: BadgrServer) -> None:
    lite.rule()
    lite.sync()
    with lite.context.sessions.begin() as session:
        first, second = session.query(Award).order_by(Award.id).limit(2)
        first.state, first.error, first.next_attempt_at = "rejected", "No.", None
        second.state = "unknown"
    badgr(lite, server)
    moved = move_badges(lite.context, "builtin", "theirs")
    assert moved.stayed == 1  # nobody knows whether it arrived: it is looked up where it went
    lite.deliver()
    assert {award.state for award in lite.awards()} <= {"issued", "unknown"}
    assert len(server.live()) == len(lite.awards()) - 1


def test_a_badge_of_the_same_name_is_taken_if_nobody_uses_it(
    lite: Campus, server: BadgrServer
) -> None:
    lite.rule()
    server.badges["B1"] = server.badge("B1", "Statistics")
    badgr(lite, server)
    move_badges(lite.context, "builtin", "theirs")
    assert list(server.badges) == ["B1"]
    with lite.context.sessions() as session:
        assert session.query(Achievement).one().ref == "B1"


def test_what_makes_no_sense_is_refused(lite: Campus) -> None:
    with pytest.raises(InvalidInput):
        move_badges(lite.context, "builtin", "builtin")
    with pytest.raises(NotFound):
        move_badges(lite.context, "builtin", "nowhere")


def test_two_badges_of_one_name_never_become_one(lite: Campus, server: BadgrServer) -> None:
    badgr(lite, server)
    badge = lite.badge("One")
    move_badges(lite.context, "builtin", "theirs", ["One"])
    lite.rule(badge=badge)
    lite.badge("One")
    with pytest.raises(InvalidInput):
        move_badges(lite.context, "builtin", "theirs")


def test_by_choice_what_stands_is_issued_a_second_time_and_revoked_in_both_places(
    campus: Campus, server: BadgrServer
) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    first = campus.awards()
    badgr(campus, server)
    moved = move_badges(campus.context, "builtin", "theirs", again=True)
    assert moved.issued_again == len(first)
    for _ in range(2):  # asked for again, nobody gets a third
        again = move_badges(campus.context, "builtin", "theirs", again=True)
        assert (again.badges, again.issued_again) == (0, 0)
        campus.sync()
        campus.deliver()
    assert set(server.live().values()) == {1}
    assert len(server.live()) == len(first)
    second = [award for award in campus.awards() if award.number == 2]
    assert {award.state for award in campus.awards()} == {"issued"}
    assert {a.member_id: a.explanation for a in second} == {
        a.member_id: a.explanation for a in first
    }
    revoke(campus.context, second[0].id, reason="A mistake", by="a test")
    campus.deliver()
    states = [a.state for a in campus.awards() if a.member_id == second[0].member_id]
    assert states == ["revoked", "revoked"]
    assert sum(server.live().values()) == len(first) - 1


def test_a_second_issue_that_never_arrived_leaves_no_first_one_behind(
    campus: Campus, server: BadgrServer
) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    badgr(campus, server)
    move_badges(campus.context, "builtin", "theirs", again=True)
    second = next(award for award in campus.awards() if award.number == 2)
    revoke(campus.context, second.id, reason="A mistake", by="a test")
    campus.deliver()
    states = [a.state for a in campus.awards() if a.member_id == second.member_id]
    assert states == ["revoked", "revoked"]


def test_a_rule_revokes_the_first_issue_though_the_second_was_refused(
    campus: Campus, server: BadgrServer
) -> None:
    campus.rule(on_fall=OnFall.REVOKE, grace_days=0)
    campus.grade(BEN, 50)
    campus.sync()
    campus.deliver()
    badgr(campus, server)
    move_badges(campus.context, "builtin", "theirs", again=True)
    with campus.context.sessions.begin() as session:
        second = session.scalars(
            select(Award).where(
                Award.number == 2, Award.member_id == campus.award_of(BEN).member_id
            )
        ).one()
        second.state = "rejected"
    campus.grade(BEN, 1)
    campus.sync()
    campus.deliver()
    states = [a.state for a in campus.awards() if a.member_id == second.member_id]
    assert states == ["revoked", "rejected"]
