"""A launch over HTTP, login and landing, beside a bare Flask application that checks the signature
with a key in memory and stores nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import jwt
from flask import Flask, request

from benchmarks.rows import Row
from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.jobs import open_queue
from lti_badges.settings import Settings
from tests.support.platform import MEMBERSHIP, Browser, TestPlatform, rsa_key
from tests.support.serving import served

ROUNDS = 100


class Meter:
    """WSGI middleware that sums the CPU time of the threads that answer."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.spent = 0.0

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answers."""
        began = time.thread_time()
        try:
            return list(self._application(environ, start))
        finally:
            self.spent += time.thread_time() - began

    def of(self, work: Callable[[], object]) -> float:
        """What answering this took."""
        self.spent = 0.0
        work()
        return self.spent


@contextmanager
def metered(app: Flask, port: int = 0) -> Iterator[tuple[str, Meter]]:
    """The application on a socket, and its meter."""
    meter = Meter(app.wsgi_app)
    setattr(app, "wsgi_app", meter)  # noqa: B010 - Flask names it as the place for middleware
    with served(app, port) as base:
        yield base, meter


def rows(settings: Settings) -> list[Row]:
    """A learner's and an instructor's launch into a course without rules: the page, members, course
    and link stored, the instructor's reading of an LMS without services included."""
    context = ToolContext.build(settings)
    app = create_app(queue=open_queue(context))
    port = int(settings.base_url.rpartition(":")[2])
    found = []
    with (
        TestPlatform().running() as platform,
        metered(app, port) as (base, ours),
        metered(_floor_app()) as (bare, floor),
    ):
        platform.register(context.sessions)
        client, token = httpx.Client(), platform.signed(platform.claims(bare, "n"))

        def least() -> None:
            client.get(f"{bare}/login").raise_for_status()
            client.post(f"{bare}/launch", data={"id_token": token}).raise_for_status()

        for role in ("Learner", "Instructor"):
            browser = Browser(base, platform)

            def launch(role: str = role, browser: Browser = browser) -> None:
                roles = [f"{MEMBERSHIP}{role}"]
                browser.launch(roles=roles, sub=f"a-{role}").raise_for_status()

            for _ in range(3):
                launch()
                least()
            pairs = [(ours.of(launch), floor.of(least)) for _ in range(ROUNDS)]
            found.append(
                Row(
                    f"launch, {role.lower()} ({settings.database_url.partition(':')[0]})",
                    [pair[0] for pair in pairs],
                    "two bare Flask requests, one RS256 check",
                    [pair[1] for pair in pairs],
                )
            )
    context.close()
    return found


def _floor_app() -> Flask:
    app, public = Flask("floor"), rsa_key("first").public_key()

    @app.get("/login")
    def login() -> str:
        return "ok"

    @app.post("/launch")
    def launch() -> str:
        jwt.decode(request.form["id_token"], public, algorithms=["RS256"], audience="client-1")
        return "ok"

    return app
