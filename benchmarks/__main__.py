"""Launches, readings, issuing and delivery against the floor of what they can't do without, as
ratios of one run.

    python -m benchmarks [--write docs/performance.md]

`--write` puts the table between the marks in that file.
"""

from __future__ import annotations

import argparse
import logging
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import structlog

from benchmarks import awards, launches, readings
from benchmarks.rows import HEAD, Row
from lti_badges.core import clock
from lti_badges.settings import Settings
from tests.support.campus import Campus, campus
from tests.support.databases import SECRET, new_postgres, new_sqlite, postgres_answers
from tests.support.serving import free_port

BEGIN, END = "<!-- table: make bench -->", "<!-- end of table -->"


def main() -> None:
    """Measure, print, and write if asked."""
    asked = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    asked.add_argument("--write", type=Path, help="a file with the marks, to put the table into")
    given = asked.parse_args()
    table = "\n".join([HEAD, *(row.markdown() for row in measured()), "", _where()])
    print(table)
    if given.write:
        before, _, rest = given.write.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        given.write.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


def measured() -> Iterator[Row]:
    """Each row when it is there."""
    # Configured once by the first application; only errors are to be seen here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    with _settings() as settings:
        yield from launches.rows(settings)
    if postgres_answers():
        with new_postgres() as url, _settings(url) as settings:
            yield from launches.rows(settings)
    with _campus() as both:
        yield from readings.rows(both)
    with _campus() as both:
        yield awards.issuing(both)
    with _campus() as both:
        yield awards.delivery(both)


@contextmanager
def _settings(url: str | None = None) -> Iterator[Settings]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "keys").mkdir()
        (folder / "keys" / "secret.key").write_text(SECRET)
        yield Settings(
            base_url=f"http://127.0.0.1:{free_port()}",
            database_url=url or new_sqlite(folder),
            queue_url=f"sqlite:///{folder}/queue.db",
            keys_dir=folder / "keys",
            limits=1000,  # counted as always, and never reached
        )


@contextmanager
def _campus() -> Iterator[Campus]:
    with _settings() as settings, campus(settings) as both:
        yield both


def _where() -> str:
    names = ("flask", "sqlalchemy", "cryptography", "pylti1p3")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"Measured {clock.now():%-d %B %Y} by lti-badges {version('lti-badges')} on "
        f"{platform.machine()} {platform.system()}, Python {platform.python_version()}, {packages}."
    )


if __name__ == "__main__":
    main()
