"""Awards on their way: issued here, and delivered to a server on this machine."""

from __future__ import annotations

from datetime import timedelta

import httpx
from flask import Flask
from sqlalchemy import select, text

from benchmarks.readings import fill
from benchmarks.rows import Row, alternating, each, seconds
from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.catalogue.configuration import save_backend
from lti_badges.core import clock
from lti_badges.openbadges import proofs
from lti_badges.openbadges.canonical import canonical
from lti_badges.store import IssuedCredential
from tests.support.badgr_server import TOKENS, BadgrServer
from tests.support.campus import Campus
from tests.support.serving import served

BADGES = 12
DELIVERED = 100
ROUNDS = 60


def issuing(campus: Campus) -> Row:
    """Claimed, signed twice, stored, settled and audited, in batches, for each award."""
    for percent in range(1, 1 + BADGES):
        campus.rule(campus.quiz_at_least(percent), campus.badge(f"Badge {percent}"))
    campus.sync()
    count = 0

    def deliver() -> None:
        nonlocal count
        count = campus.deliver()

    ours = seconds(deliver)
    with campus.context.sessions() as session:
        document = session.scalars(select(IssuedCredential)).first()
    assert document is not None
    unsigned = {name: value for name, value in document.document.items() if name != "proof"}
    keys, moment = campus.context.keys, clock.now()
    rsa, edwards = keys.issuer_rsa(), keys.issuer_ed25519()

    def least() -> None:
        nonlocal moment
        moment += timedelta(seconds=1)
        canonical({**unsigned, "validFrom": clock.iso(moment)})
        proofs.sign_jwt(unsigned, rsa.private, "kid")
        edwards.private.sign(b"x" * 64)
        with campus.context.database.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS floor (id INTEGER, x TEXT)"))
            connection.execute(text("INSERT INTO floor VALUES (1, 'x')"))

    _, floor = alternating(lambda: None, least, ROUNDS)
    return Row(
        f"issuing here, one of {count} awards",
        [ours / count],
        "canonical form, RS256 and Ed25519 signature, one commit",
        floor,
    )


def delivery(campus: Campus) -> Row:
    """Claimed, sent, settled and audited, one call for each award, by one thread."""
    with BadgrServer().running() as server, served(_taking()) as bare:
        settings = {"url": server.base, "username": "a@b.c"}
        secrets = {"password": TOKENS["password"]}
        backend = save_backend(campus.context, "theirs", "badgr", settings, secrets)
        badge = create_achievement(campus.context, backend, AchievementDraft("Stats", "d", "c"))
        fill(campus, DELIVERED, 50)
        campus.rule(campus.quiz_at_least(100), badge)
        campus.sync()
        count = 0

        def deliver() -> None:
            nonlocal count
            count = campus.deliver()

        ours = seconds(deliver)
        client = httpx.Client()
        given = {"recipient": {"identity": "a@example.org"}, "narrative": "x" * 300}
        _, floor = alternating(
            lambda: None, lambda: client.post(f"{bare}/", json=given).json(), ROUNDS
        )
    assert count >= DELIVERED
    return Row(
        f"delivery to a Badgr server, one of {count} awards",
        each([ours], count),
        "one bare HTTP call with JSON both ways",
        floor,
    )


def _taking() -> Flask:
    app = Flask("floor")

    @app.post("/")
    def take() -> dict[str, object]:
        return {"result": [{"entityId": "a"}]}

    return app
