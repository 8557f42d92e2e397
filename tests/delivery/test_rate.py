"""How fast awards go out: as fast as the backend lets us, without being refused again and again."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from sqlalchemy import func, select

from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.catalogue.configuration import save_backend
from lti_badges.jobs.background import start_background
from lti_badges.jobs.queue import open_queue
from lti_badges.sandbox import Person
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.store import Award
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
def test_five_hundred_awards_at_fifty_a_second_take_twelve_seconds(lite: Campus) -> None:
    with LimitingServer(delay=0.1).running() as server:
        filled(lite, server, 500)
        with working(lite):
            until_issued(lite, 500)
        took = server.last - server.first
        print(f"took {took:.1f} s, refused {len(server.refused)}, looked up {server.looked}")
        assert set(server.live().values()) == {1}
        assert len(server.live()) == 500
    assert took <= 12
