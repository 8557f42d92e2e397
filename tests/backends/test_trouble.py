"""A backend in trouble is no reason to refuse an award: it waits, is tried out, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.catalogue.configuration import check_backend
from lti_badges.core import clock
from lti_badges.core.errors import (
    BackendError,
    InvalidInput,
    OutcomeUnknown,
    Unauthorized,
    Unavailable,
)
from lti_badges.delivery.deliver import deliver, deliver_due
from lti_badges.store import Achievement, BackendRow
from tests.backends.test_contract import (
    REMOTE,
    Kind,
    add,
    badge_at,
    made_at,
    opened,
    order,
    tool_context,
)
from tests.support.badgr_server import BadgrServer
from tests.support.campus import Campus
from tests.support.faulty import FaultyServer
from tests.support.standard_servers import ObfV1Server

__all__ = ["tool_context"]

TROUBLE = ["302", "html-404", "html-403", "html-503", "json-404", "html-495", "html-200"]


@pytest.fixture(params=[name for name in REMOTE if name != "webhook"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return REMOTE[request.param]


@pytest.fixture
def server(kind: Kind) -> Iterator[FaultyServer]:
    with kind.server().running() as running:
        yield running


def awarded(campus: Campus, kind: Kind, server: FaultyServer, count: int) -> str:
    """So many awards that wait for this backend. Its id."""
    backend_id = add(campus.context, kind, server.base)
    campus.rule(badge=badge_at(campus.context, server, backend_id))
    people = [person.sub for person in campus.world.learners_of("2") if person.active]
    able = [sub for sub in people if campus.world.people[sub].email][:count]
    for sub in people:
        campus.grade(sub, 50 if sub in able else 1)
    campus.sync()
    assert len(campus.awards()) == count
    return backend_id


@pytest.mark.parametrize("trouble", TROUBLE)
def test_maintenance_refuses_no_award_for_good(
    kind: Kind, server: FaultyServer, lite: Campus, trouble: str
) -> None:
    backend_id = awarded(lite, kind, server, 3)
    server.trouble = trouble
    with time_machine.travel(clock.now(), tick=True) as moved:
        for _ in range(4):
            deliver_due(lite.context)
            moved.shift(timedelta(minutes=20))
        states = {award.state for award in lite.awards()}
        assert states <= {"pending", "unknown"}, states
        assert all(award.error for award in lite.awards())
        with lite.context.sessions() as session:
            until = session.get_one(BackendRow, backend_id).paused_until
            assert until is None or until.year < 9999
        server.trouble = ""
        for _ in range(12):
            deliver_due(lite.context)
            moved.shift(timedelta(minutes=90))
    assert {award.state for award in lite.awards()} == {"issued"}
    assert len(server.live()) == 3
    assert set(server.live().values()) == {1}


def test_after_a_pause_one_award_tries_the_backend_out(lite: Campus) -> None:
    kind = REMOTE["badgr"]
    with BadgrServer().running() as server:
        backend_id = awarded(lite, kind, server, 12)
        server.trouble = "html-503"
        with time_machine.travel(clock.now(), tick=True) as moved:
            for _ in range(8):
                deliver_due(lite.context)
                with lite.context.sessions() as session:
                    paused = session.get_one(BackendRow, backend_id).paused_until
                if paused:
                    break
                moved.shift(timedelta(seconds=20))
            assert paused is not None
            moved.move_to(paused + timedelta(minutes=2))
            before = sum(server.calls.values())
            deliver_due(lite.context)
            assert sum(server.calls.values()) - before <= 2  # one award, look-up and send
            with lite.context.sessions() as session:
                later = session.get_one(BackendRow, backend_id).paused_until
            assert later is not None
            server.trouble = ""
            moved.move_to(later + timedelta(hours=2))
            deliver_due(lite.context)
            moved.shift(timedelta(hours=2))
            deliver_due(lite.context)
        assert {award.state for award in lite.awards()} == {"issued"}


@pytest.mark.parametrize("name", ["obf", "obf-v1"])
def test_a_403_of_one_resource_does_not_stop_the_backend(
    tool_context: object, lite: Campus, name: str
) -> None:
    kind = REMOTE[name]
    with kind.server().running() as server:
        backend_id = awarded(lite, kind, server, 2)
        server.trouble = "html-403"
        deliver_due(lite.context)
        with lite.context.sessions() as session:
            row = session.get_one(BackendRow, backend_id)
            assert row.paused_until is None or row.paused_until.year < 9999
        assert {award.state for award in lite.awards()} == {"pending"}
        assert server.logins <= 2


def test_a_real_no_is_still_a_no(lite: Campus) -> None:
    with BadgrServer().running() as server:
        awarded(lite, REMOTE["badgr"], server, 1)
        server.faults = ["before-refused"]
        deliver_due(lite.context)
        (award,) = [each for each in lite.awards() if each.state != "issued"]
        assert award.state == "rejected"
        assert "Issuer is not verified" in (award.error or "")


def test_another_400_is_not_taken_for_a_duplicate(lite: Campus) -> None:
    with BadgrServer().running() as server:
        awarded(lite, REMOTE["badgr"], server, 1)
        (award,) = lite.awards()
        email = str(award.recipient["email"]).lower()
        with lite.context.sessions() as session:
            ref = session.get_one(Achievement, award.achievement_id).ref
        server.assertions.append(
            {
                "entityId": "THEIRS",
                "badgeclass": ref,
                "recipient": {"plaintextIdentity": email, "type": "email"},
                "issuedOn": "2026-01-01T00:00:00Z",
                "evidence": [],
                "revoked": False,
                "openBadgeId": f"{server.base}/public/assertions/THEIRS",
            }
        )
        server.faults = ["before-refused"]
        deliver(lite.context, award.id)
        assert lite.awards()[0].state == "rejected"
        assert lite.awards()[0].backend_ref is None


RENEWING = ["badgr", "canvas-credentials", "oeb", "obf", "obf-v1", "timeback", "credly"]


@pytest.mark.parametrize("name", [*RENEWING, "accredible"])
def test_an_expired_award_is_renewed(tool_context: object, lite: Campus, name: str) -> None:
    kind = REMOTE[name]
    with kind.server().running() as server, time_machine.travel(clock.now(), tick=True) as moved:
        backend = opened(lite.context, kind, server.base)
        badge = made_at(backend, server)
        first = replace(order(badge, 1), expires_at=clock.now() + timedelta(days=1))
        before = backend.issue(first)
        moved.shift(timedelta(days=3))
        second = replace(
            order(badge, 2), achieved_at=clock.now(), expires_at=clock.now() + timedelta(days=9)
        )
        assert backend.find(second) is None
        after = backend.issue(second)
        assert after.ref != before.ref
        assert not after.adopted


def test_a_list_is_cut_at_line_ends_only(lite: Campus) -> None:
    with ObfV1Server().running() as server:
        backend = opened(lite.context, REMOTE["obf-v1"], server.base)
        badge = made_at(backend, server)
        server.badges[badge.ref]["name"] = "Ace\u2028of\u0085all"
        assert [each.name for each in backend.achievements()] == ["Ace\u2028of\u0085all"]


def test_the_mail_stored_with_a_badge_is_kept(lite: Campus) -> None:
    with ObfV1Server().running() as server:
        backend = opened(lite.context, REMOTE["obf-v1"], server.base)
        badge = made_at(backend, server)
        server.badges[badge.ref]["email_subject"] = "Olet ansainnut osaamismerkin"
        backend.issue(order(badge, 1))
        (event,) = server.events.values()
        assert "email_subject" not in event
        for name in ("email_subject", "email_body", "email_link_text"):
            server.badges[badge.ref].pop(name, None)
        backend.issue(order(badge, 2))
        assert list(server.events.values())[-1]["email_subject"]


def test_an_event_that_is_gone_is_revoked_already(lite: Campus) -> None:
    with ObfV1Server().running() as server:
        backend = opened(lite.context, REMOTE["obf-v1"], server.base)
        issuance = order(made_at(backend, server))
        receipt = backend.issue(issuance)
        server.trouble = "html-404"
        with pytest.raises(Unavailable):
            backend.revoke(issuance, receipt.ref, "r")
        server.trouble = ""
        server.events.clear()
        backend.revoke(issuance, receipt.ref, "r")


def test_a_participation_badge_of_oeb_names_no_skill(lite: Campus) -> None:
    kind = REMOTE["oeb"]
    with kind.server().running() as server:
        sent: list[dict[str, Any]] = []
        original = server.badge  # type: ignore[attr-defined]

        def kept(*given: Any) -> Any:
            sent.append(_body())
            return original(*given)

        server.badge = kept  # type: ignore[attr-defined]
        made_at(opened(lite.context, kind, server.base), server)
        assert sent[0]["extensions"]["extensions:CompetencyExtension"] == []
        wanting = replace(kind, settings=kind.settings | {"category": "competency"})
        with lite.context.sessions.begin() as session:
            session.scalars(select(BackendRow).where(BackendRow.name == "oeb")).one().name = "old"
        with pytest.raises(InvalidInput, match="competency"):
            made_at(opened(lite.context, wanting, server.base), server)


def _body() -> dict[str, dict[str, object]]:
    from flask import request

    return dict(request.get_json())


def test_a_throttled_login_says_how_long(lite: Campus) -> None:
    with BadgrServer().running() as server:
        server.throttled_s = 17
        backend = opened(lite.context, REMOTE["badgr"], server.base)
        with pytest.raises(Unavailable) as told:
            backend.check()
        assert told.value.retry_after == 17


def test_a_lost_answer_to_a_refresh_says_what_to_do(lite: Campus) -> None:
    kind = REMOTE["ob3-host"]
    with kind.server().running() as server:
        backend = opened(lite.context, kind, server.base)
        server.faults = ["token-drop"]
        with pytest.raises(Unavailable, match="refresh"):
            backend.check()
        with pytest.raises(Unauthorized, match="Sign in"):
            backend.check()


def test_a_badge_whose_answer_came_late_is_not_made_twice(lite: Campus) -> None:
    with BadgrServer().running() as server:
        backend_id = add(lite.context, REMOTE["badgr"], server.base)
        server.faults = ["create-drop"]
        achievement = create_achievement(
            lite.context, backend_id, AchievementDraft("Late", "d", "c")
        )
        assert len(server.badges) == 1
        with lite.context.sessions() as session:
            assert session.get_one(Achievement, achievement).ref in server.badges
        server.faults = ["create-drop", "list-500"]
        with pytest.raises(OutcomeUnknown, match="try again in a minute"):
            create_achievement(lite.context, backend_id, AchievementDraft("Later", "d", "c"))
        create_achievement(lite.context, backend_id, AchievementDraft("Later", "d", "c"))
        assert len(server.badges) == 2


def test_a_test_that_succeeds_lets_a_paused_backend_go_on(lite: Campus) -> None:
    with BadgrServer().running() as server:
        backend_id = awarded(lite, REMOTE["badgr"], server, 3)
        server.refuse_login = True
        server.tokens.clear()
        deliver_due(lite.context)
        with pytest.raises(BackendError):
            check_backend(lite.context, backend_id)
        with lite.context.sessions() as session:
            until = session.get_one(BackendRow, backend_id).paused_until
        assert until is not None
        assert until.year == 9999
        server.refuse_login = False
        assert "3 waiting awards" in check_backend(lite.context, backend_id)
        deliver_due(lite.context)
        assert {award.state for award in lite.awards()} == {"issued"}
