"""The built-in issuer and its public pages, beside their floors, on SQLite.

The floor of issuing: canonicalise once, two signatures, one commit, for one award. Pictures and
pages through the WSGI application, beside a bare page of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.engine import Engine

from benchmarks.cpu import Figure, of_thread
from lti_badges.app import create_app
from lti_badges.core import clock
from lti_badges.delivery.deliver import deliver_due
from lti_badges.openbadges import proofs
from lti_badges.openbadges.canonical import canonical
from lti_badges.settings import Settings
from lti_badges.store import IssuedCredential
from tests.support.campus import Campus, campus
from tests.support.serving import free_port

ROUNDS = 40
BADGES = 8
BATCHES = 3


def figures(folder: Path) -> Iterator[tuple[str, Figure, Figure, str]]:
    """What, its figure, its floor's, and the floor's name."""
    settings = Settings(
        base_url=f"http://127.0.0.1:{free_port()}",
        database_url=f"sqlite:///{folder}/issuing.db",
        keys_dir=folder / "issuing-keys",
    )
    with campus(settings) as both:
        yield issue(both)
        yield from pages(both)


def issue(both: Campus) -> tuple[str, Figure, Figure, str]:
    """Awards claimed, signed, stored, settled and audited; each batch beside its floor."""
    seconds, floor, count = [], [], 0
    for batch in range(BATCHES):
        for number in range(BADGES):
            both.rule(both.quiz_at_least(1 + number), both.badge(f"Badge {batch}.{number}"))
        both.sync()
        before = count
        done: list[int] = []
        spent = of_thread(lambda done=done: done.append(deliver_due(both.context)))
        count += done[0]
        seconds.append(spent / (count - before))
        with both.context.sessions() as session:
            document = session.scalars(select(IssuedCredential.document)).first()
        assert document is not None
        floor += [of_thread(lambda d=document: _floor(both, d)) for _ in range(ROUNDS // BATCHES)]
    name = f"issuing here, an award ({count})"
    return name, Figure.of(seconds), Figure.of(floor), "canonical form, two signatures, a commit"


def pages(both: Campus) -> Iterator[tuple[str, Figure, Figure, str]]:
    """Baked PNG and credential page, once they were made."""
    client = create_app(queue=both.queue).test_client()
    url = f"/credentials/{both.awards()[0].id}"
    html = {"Accept": "text/html"}
    bare = _median(lambda: client.get("/healthz"))
    yield "baked PNG", _median(lambda: client.get(f"{url}.png")), bare, "a bare page"
    yield "credential page", _median(lambda: client.get(url, headers=html)), bare, "a bare page"


def _floor(both: Campus, document: dict[str, object]) -> None:
    global _moment  # noqa: PLW0603 - a second of its own for each, as awards have
    _moment += timedelta(seconds=1)
    unsigned = {name: value for name, value in document.items() if name != "proof"}
    canonical(unsigned)
    keys = both.context.keys
    proofs.sign_jwt(unsigned, keys.issuer_rsa().private, "kid")
    keys.issuer_ed25519().private.sign(b"x" * 64)
    _one_commit(both.context.database)


def _one_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS floor (x INTEGER)"))
        connection.execute(text("INSERT INTO floor VALUES (1)"))


def _median(work: Callable[[], object]) -> Figure:
    work()
    return Figure.of([of_thread(work) for _ in range(ROUNDS)])


_moment = clock.now()
