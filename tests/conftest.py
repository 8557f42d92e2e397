"""Real collaborators on loopback: a database of each kind, the tool over HTTP, an LMS's keys."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import certifi
import hypothesis
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG

from lti_badges import pipeline
from lti_badges.context import ToolContext
from lti_badges.settings import Settings
from tests.support.campus import Campus
from tests.support.campus import campus as running_campus
from tests.support.databases import SECRET, new_postgres, new_sqlite, postgres_answers
from tests.support.serving import PATIENCE_S, free_port

# The commands that tests start compile the package once, not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# A busy machine is slow, not wrong: neither hypothesis nor an HTTP call gives up early.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")
for phase in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE_S)
# Nor does a launch show its page before the course is read: tests look at what the page then says.
pipeline.LAUNCH_BUDGET_S = PATIENCE_S


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests never leave this machine: each HTTP client and each command reads one certificate
    authority, where the machine's 140 take a tenth of a second each time."""
    if "SSL_CERT_FILE" in os.environ:
        return
    end = "-----END CERTIFICATE-----\n"
    first, _, _ = Path(certifi.where()).read_text().partition(end)
    path = tmp_path_factory.mktemp("authority") / "one.pem"
    path.write_text(first + end)
    os.environ["SSL_CERT_FILE"] = str(path)


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One secret for all tests."""
    path = tmp_path_factory.mktemp("keys")
    (path / "secret.key").write_text(SECRET)
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An up-to-date database of each kind, with the built-in backend in it."""
    if request.param == "sqlite":
        yield new_sqlite(tmp_path)
        return
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers")
    with new_postgres() as url:
        yield url


@pytest.fixture
def settings(database_url: str, keys_folder: Path, tmp_path: Path) -> Settings:
    """Settings of a tool on a free port of this machine."""
    return Settings(
        base_url=f"http://127.0.0.1:{free_port()}",
        database_url=database_url,
        queue_url=f"sqlite:///{tmp_path}/queue.db",
        keys_dir=keys_folder,
    )


@pytest.fixture
def context(settings: Settings) -> Iterator[ToolContext]:
    """The tool's collaborators, without a server."""
    context = ToolContext.build(settings)
    yield context
    context.close()


@pytest.fixture
def campus(settings: Settings) -> Iterator[Campus]:
    """A sandbox LMS, Moodle-like, and the tool, on each kind of database."""
    with running_campus(settings) as both:
        yield both


@pytest.fixture
def sqlite_settings(tmp_path: Path, keys_folder: Path) -> Settings:
    """Settings on SQLite, for what does not depend on the database."""
    return Settings(
        base_url=f"http://127.0.0.1:{free_port()}",
        database_url=new_sqlite(tmp_path),
        keys_dir=keys_folder,
    )


@pytest.fixture
def lite(sqlite_settings: Settings) -> Iterator[Campus]:
    """The same on SQLite only."""
    with running_campus(sqlite_settings) as both:
        yield both
