"""Launches and issuing against the floor of what they can't do without, as ratios of one run.

The floor of a launch: the same HTTP requests to an application that only checks the signature with
a key in memory and stores nothing. The floor of issuing: canonical form and both signatures.
"""

from __future__ import annotations

import hashlib
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import structlog
from flask import Flask, request
from sqlalchemy import select

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.delivery.deliver import deliver_due
from lti_badges.jobs import open_queue
from lti_badges.openbadges import proofs
from lti_badges.openbadges.canonical import canonical
from lti_badges.settings import Settings
from lti_badges.store import IssuedCredential
from tests.support.campus import campus
from tests.support.platform import Browser, TestPlatform, rsa_key
from tests.support.serving import free_port, served

ROUNDS = 150
AWARDS = 200


def main() -> None:
    """Print one line each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        print(launches(Path(folder)))
        print(issuing(Path(folder)))


def launches(folder: Path) -> str:
    """Full OIDC launches over HTTP against requests that only check a signature."""
    settings = Settings(
        base_url=f"http://127.0.0.1:{free_port()}",
        database_url=f"sqlite:///{folder}/launches.db",
        keys_dir=folder / "keys",
    )
    context = ToolContext.build(settings)
    with TestPlatform().running() as platform:
        app = create_app(queue=open_queue(context))
        platform.register(context.sessions)
        with served(app, int(settings.base_url.rpartition(":")[2])) as base:
            browser = Browser(base, platform)
            ours = _median(lambda: browser.launch(roles=[""]).raise_for_status())
        with served(_floor_app()) as base:
            client, token = httpx.Client(), platform.signed(platform.claims(base, "n"))
            floor = _median(
                lambda: (
                    client.get(f"{base}/login").raise_for_status(),
                    client.post(f"{base}/launch", data={"id_token": token}).raise_for_status(),
                )
            )
    return (
        f"launch: {1 / ours:.0f}/s with all checks, state in SQLite; floor {1 / floor:.0f}/s; "
        f"ratio {ours / floor:.2f} (one thread, one browser)"
    )


def issuing(folder: Path) -> str:
    """Delivering awards to the built-in issuer against canonicalising and signing alone."""
    settings = Settings(
        base_url=f"http://127.0.0.1:{free_port()}",
        database_url=f"sqlite:///{folder}/issuing.db",
        keys_dir=folder / "keys",
    )
    with campus(settings) as both:
        for percent in range(1, 1 + AWARDS // 25):
            both.rule(both.quiz_at_least(percent), both.badge(f"Badge {percent}"))
        both.sync()
        began = time.perf_counter()
        count = deliver_due(both.context)
        ours = (time.perf_counter() - began) / count
        with both.context.sessions() as session:
            document = session.scalars(select(IssuedCredential)).first()
        assert document is not None
        keys = both.context.keys
        moment = clock.now()

        def sign() -> None:
            nonlocal moment
            moment += timedelta(seconds=1)
            unsigned = {k: v for k, v in document.document.items() if k != "proof"}
            hashlib.sha256(canonical(unsigned)).digest()
            proofs.sign_jwt(unsigned, keys.issuer_rsa(), "kid")
            keys.issuer_ed25519().sign(b"x" * 64)

        floor = _median(sign)
    return (
        f"issue: {1 / ours:.0f}/s claimed, signed, stored, audited; floor {1 / floor:.0f}/s; "
        f"ratio {ours / floor:.2f} (one thread, {count} awards)"
    )


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


def _median(work: Callable[[], object]) -> float:
    """Seconds, the median of many."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
