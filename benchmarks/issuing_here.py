"""The built-in issuer and its public pages, as CPU time of one process, beside their floors.

Sides alternate in one run; medians. The floor of issuing: canonicalise once, two signatures, one
commit, for one award. Pictures and pages through the WSGI application, beside a bare page of it.

    python -m benchmarks.issuing_here
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Engine

from lti_badges.app import create_app
from lti_badges.core import clock
from lti_badges.delivery.deliver import deliver_due
from lti_badges.openbadges import proofs
from lti_badges.openbadges.canonical import canonical
from lti_badges.settings import Settings
from lti_badges.store import IssuedCredential
from tests.support.campus import Campus, campus
from tests.support.serving import free_port

ROUNDS = 60
BADGES = 12


def main() -> None:
    """Print one line each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            base_url=f"http://127.0.0.1:{free_port()}",
            database_url=f"sqlite:///{folder}/issuing.db",
            keys_dir=Path(folder) / "keys",
        )
        with campus(settings) as both:
            issue(both)
            pages(both)


def issue(both: Campus) -> None:
    """Awards claimed, signed, stored, settled and audited, and the floor of the same run."""
    for percent in range(1, 1 + BADGES):
        both.rule(both.quiz_at_least(percent), both.badge(f"Badge {percent}"))
    both.sync()
    began = time.process_time()
    count = deliver_due(both.context)
    ours = (time.process_time() - began) / count
    with both.context.sessions() as session:
        document = session.query(IssuedCredential).first().document
    floor = _median(lambda: _floor(both, document))
    print(
        f"issue: {ours * 1000:.2f} ms CPU an award ({count}); floor {floor * 1000:.2f}; "
        f"ratio {ours / floor:.2f}"
    )


def pages(both: Campus) -> None:
    """Baked PNG and credential page, once they were made."""
    client = create_app(queue=both.queue).test_client()
    url = f"/credentials/{both.awards()[0].id}"
    html = {"Accept": "text/html"}
    bare = _median(lambda: client.get("/healthz"))
    png = _median(lambda: client.get(f"{url}.png"))
    page = _median(lambda: client.get(url, headers=html))
    for name, seconds in (("bare page", bare), ("baked PNG", png), ("credential page", page)):
        print(f"{name}: {seconds * 1000:.2f} ms CPU; {(seconds - bare) * 1000:.2f} without Flask's")


def _floor(both: Campus, document: dict[str, object]) -> None:
    global _moment  # noqa: PLW0603 - a second of its own for each, as awards have
    _moment += timedelta(seconds=1)
    unsigned = {name: value for name, value in document.items() if name != "proof"}
    canonical(unsigned)
    keys = both.context.keys
    rsa, edwards = keys.issuer_rsa(), keys.issuer_ed25519()
    proofs.sign_jwt(unsigned, getattr(rsa, "private", rsa), "kid")
    getattr(edwards, "private", edwards).sign(b"x" * 64)
    _one_commit(both.context.database)


def _one_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS floor (x INTEGER)"))
        connection.execute(text("INSERT INTO floor VALUES (1)"))


def _median(work: Callable[[], object]) -> float:
    """Seconds of CPU, the median of many."""
    work()
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


_moment = clock.now()

if __name__ == "__main__":
    main()
