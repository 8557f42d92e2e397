"""How fast awards go out: as fast as the backend lets us, without being refused again and again."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any

import httpx
import pytest
import time_machine
from flask import Flask, Response, jsonify, request
from sqlalchemy import func, select

from lti_badges.backends import AchievementDraft
from lti_badges.backends.pace import declared_rate
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.catalogue.configuration import save_backend
from lti_badges.core.errors import Unauthorized, Unavailable
from lti_badges.core.http import Reply
from lti_badges.delivery.backend_health import note_outcome
from lti_badges.jobs.background import start_background
from lti_badges.jobs.queue import open_queue
from lti_badges.sandbox import Person
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.store import Award, BackendRow
from tests.support.badgr_server import TOKENS, BadgrServer
from tests.support.campus import Campus

SECRETS = {"password": TOKENS["password"]}


@dataclass
class LimitingServer(BadgrServer):
    """A Badgr that takes so many calls in any second and refuses what is more; an answer takes
    `delay` seconds."""

    allowed: int = 50
    header: dict[str, str] = field(default_factory=dict)
    taken: deque[float] = field(default_factory=deque)
    refused: list[float] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0
    looked: int = 0

    def app(self) -> Flask:
        app = super().app()

        @app.before_request
        def limit() -> Any:
            if "assertions" not in request.path:
                return None
            now = time.monotonic()
            with self.lock:
                while self.taken and now - self.taken[0] >= 1.0:
                    self.taken.popleft()
                if len(self.taken) >= self.allowed:
                    self.refused.append(now)
                    return Response(
                        jsonify({"status": {"success": False}}).data,
                        429,
                        headers={"Retry-After": "1"} | self.header,
                    )
                self.taken.append(now)
                self.first, self.last = self.first or now, now
                self.looked += request.method == "GET"
            return None

        return app


def filled(campus: Campus, server: BadgrServer, count: int) -> None:
    """So many learners who have earned a badge of this server, judged but not delivered."""
    settings = {"url": server.base, "username": "a@b.c"}
    backend_id = save_backend(campus.context, "theirs", "badgr", settings, SECRETS)
    badge = create_achievement(campus.context, backend_id, AchievementDraft("Stats", "d", "c"))
    course = campus.world.courses[COURSE]
    course.members.clear()
    for number in range(1000, 1000 + count):
        sub = str(number)
        campus.world.people[sub] = Person(sub, "Learner", str(number), f"l{number}@example.org")
        course.members.append(sub)
        course.items[QUIZ].scores[sub] = Fraction(45)
    campus.world.page_size = 200
    campus.rule(badge=badge)
    campus.sync()


@contextmanager
def working(campus: Campus) -> Iterator[None]:
    """The background at work, as `serve` runs it."""
    background = start_background(open_queue(campus.context))
    try:
        yield
    finally:
        background.stop()


def until_issued(campus: Campus, count: int, most_s: float = 180) -> None:
    end = time.monotonic() + most_s
    while time.monotonic() < end:
        with campus.context.sessions() as session:
            query = select(func.count()).select_from(Award).where(Award.state == "issued")
            if session.scalar(query) == count:
                return
        threading.Event().wait(0.2)
    raise AssertionError([(award.state, award.error) for award in campus.awards()][:5])


@pytest.mark.slow
def test_five_hundred_awards_at_fifty_a_second_are_hardly_refused(lite: Campus) -> None:
    """How long they take is measured by `make bench`: ten seconds are the least."""
    with LimitingServer(delay=0.1).running() as server:
        filled(lite, server, 500)
        with working(lite):
            until_issued(lite, 500)
        with lite.context.sessions() as session:
            row = session.scalars(select(BackendRow).where(BackendRow.name == "theirs")).one()
        assert set(server.live().values()) == {1}
        assert len(server.live()) == 500
    assert server.looked == 0  # nothing was ever sent before
    assert len(server.refused) <= 30
    assert row.rate is None or row.rate <= 50


@pytest.mark.slow
def test_the_rate_is_learned_and_then_kept(lite: Campus) -> None:
    with LimitingServer(allowed=10, delay=0.05).running() as server:
        filled(lite, server, 150)
        with working(lite):
            until_issued(lite, 150)
        with lite.context.sessions() as session:
            row = session.scalars(select(BackendRow).where(BackendRow.name == "theirs")).one()
        assert row.rate is not None
        assert 5 <= row.rate <= 10
        assert len(server.refused) <= 30  # 150, if each were refused once
        assert set(server.live().values()) == {1}


def test_a_rate_is_forgotten_when_a_person_changes_the_backend(lite: Campus) -> None:
    settings = {"url": "https://b.example", "username": "a@b.c"}
    backend_id = save_backend(lite.context, "theirs", "badgr", settings, SECRETS)
    with lite.context.sessions.begin() as session:
        row = session.get_one(BackendRow, backend_id)
        row.rate, row.rate_ceiling, row.next_call = 2.0, 3.0, 1.0
    save_backend(lite.context, "theirs", "badgr", settings, {})
    with lite.context.sessions() as session:
        row = session.get_one(BackendRow, backend_id)
        assert (row.rate, row.rate_ceiling, row.next_call) == (None, None, None)


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        ({"ratelimit-policy": '"burst";q=50;w=1'}, 50),
        ({"ratelimit-limit": "100, 100;w=60"}, 100 / 60),
        ({"ratelimit-limit": "100"}, None),
        ({"ratelimit-policy": '"x";q=0;w=0'}, None),
        ({"ratelimit-policy": "q=" + "9" * 400}, None),
        ({}, None),
    ],
)
def test_a_declared_rate_is_read(headers: dict[str, str], rate: float | None) -> None:
    assert declared_rate(Reply(200, httpx.Headers(headers), b"", "https://b")) == rate


def test_a_pause_that_was_asked_for_outlives_another_workers_success() -> None:
    row = BackendRow(name="b", kind="badgr", failures=0)
    note_outcome(row, Unavailable("slow down", retry_after=60, code="throttled"))
    until = row.paused_until
    assert until is not None
    note_outcome(row, None)
    assert row.paused_until == until
    note_outcome(row, Unavailable("slow down", retry_after=5, code="throttled"))
    assert row.paused_until == until  # a shorter one does not shorten it
    note_outcome(row, Unauthorized("wrong password"))
    note_outcome(row, Unavailable("slow down", retry_after=5, code="throttled"))
    assert row.paused_until.year == 9999
    note_outcome(row, None)
    assert row.paused_until.year == 9999


def test_a_success_after_the_pause_ends_it() -> None:
    row = BackendRow(name="b", kind="badgr", failures=0)
    for _ in range(6):
        note_outcome(row, Unavailable("down"))
    assert row.paused_until is not None
    with time_machine.travel(row.paused_until + timedelta(seconds=1)):
        note_outcome(row, None)
    assert row.paused_until is None
    assert row.failures == 0
