"""How many awards a backend is sent at once and in a minute."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine

from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.catalogue.configuration import save_backend
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.delivery.deliver import deliver, deliver_due
from tests.support.badgr_server import TOKENS, BadgrServer
from tests.support.campus import Campus

SECRETS = {"password": TOKENS["password"]}


def prepared(campus: Campus, server: BadgrServer, **pace: str) -> list[str]:
    """Awards that wait for a Badgr that may be called so fast. Their ids."""
    settings = {"url": server.base, "username": "a@b.c", **pace}
    backend_id = save_backend(campus.context, "theirs", "badgr", settings, SECRETS)
    badge = create_achievement(campus.context, backend_id, AchievementDraft("Stats", "d", "c"))
    campus.rule(badge=badge)
    for person in campus.world.learners_of("2")[:12]:
        if person.email:
            campus.grade(person.sub, 50)
    campus.sync()
    return [award.id for award in campus.awards()]


def test_no_more_are_sent_at_once_than_may_be(campus: Campus) -> None:
    with BadgrServer(delay=0.15).running() as server:
        ids = prepared(campus, server, at_once="2")
        most, now, lock = [0], [0], threading.Lock()
        issue = server._issued

        def counted(*given: object) -> object:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            try:
                return issue(*given)  # type: ignore[arg-type]
            finally:
                with lock:
                    now[0] -= 1

        server._issued = counted  # type: ignore[method-assign,assignment]
        with time_machine.travel(clock.now(), tick=True) as moved:
            for _ in range(12):
                with ThreadPoolExecutor(6) as pool:
                    list(pool.map(lambda each: deliver(campus.context, each), ids))
                moved.shift(timedelta(seconds=6))
                if all(award.state == "issued" for award in campus.awards()):
                    break
        assert {award.state for award in campus.awards()} == {"issued"}
        assert most[0] <= 2
        assert set(server.live().values()) == {1}


def test_no_more_are_sent_in_a_minute_than_may_be(campus: Campus) -> None:
    with BadgrServer().running() as server:
        ids = prepared(campus, server, a_minute="3")
        with time_machine.travel(clock.now(), tick=True) as moved:
            for round_ in range(1, 10):
                deliver_due(campus.context)
                assert len(server.live()) == min(3 * round_, len(ids))
                moved.shift(timedelta(seconds=61))
                if len(server.live()) == len(ids):
                    break
        assert {award.state for award in campus.awards()} == {"issued"}


def test_the_minute_is_any_minute(campus: Campus) -> None:
    """Not the clock's, nor one that begins anew with the first award after it."""
    with BadgrServer().running() as server:
        ids = prepared(campus, server, a_minute="3")
        with time_machine.travel(clock.now(), tick=True) as moved:
            deliver(campus.context, ids[0])
            moved.shift(timedelta(seconds=55))
            for award_id in ids[1:3]:
                deliver(campus.context, award_id)
            assert len(server.live()) == 3
            moved.shift(timedelta(seconds=8))
            for award_id in ids[3:]:
                deliver(campus.context, award_id)
            assert len(server.live()) == 4
            moved.shift(timedelta(seconds=54))
            deliver_due(campus.context)
            assert len(server.live()) == 6


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", "٣"])
def test_limits_are_whole_numbers(lite: Campus, wrong: str) -> None:
    settings = {"url": "https://b.example", "a_minute": wrong}
    with pytest.raises(InvalidInput, match="whole number"):
        save_backend(lite.context, "x", "badgr", settings, SECRETS)


def test_a_shadow_only_shows_what_would_be_sent_until_it_is_lifted(lite: Campus) -> None:
    with BadgrServer().running() as server:
        ids = prepared(lite, server, shadow="yes")
        for _ in range(2):
            deliver_due(lite.context)
        assert not server.live()
        awards = lite.awards()
        assert {award.state for award in awards} == {"pending"}
        assert all("would be sent now" in (award.error or "") for award in awards)
        settings = {"url": server.base, "username": "a@b.c"}
        save_backend(lite.context, "theirs", "badgr", settings, {})
        deliver_due(lite.context)
        assert {award.state for award in lite.awards()} == {"issued"}
        assert all(award.error is None for award in lite.awards())
        assert len(server.live()) == len(ids)
