"""Real collaborators on loopback: a database of each kind, the tool over HTTP, an LMS's keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from lti_badges.backends import ensure_default
from lti_badges.context import ToolContext
from lti_badges.core.crypto import KeyFolder
from lti_badges.settings import Settings
from lti_badges.store import upgrade
from tests.support.campus import Campus
from tests.support.campus import campus as running_campus
from tests.support.serving import free_port

POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


def postgres_answers() -> bool:
    """Whether a server is there; the tests that need it are skipped otherwise."""
    try:
        psycopg.connect(POSTGRES, connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One set of keys for all tests: making RSA keys is slow."""
    path = tmp_path_factory.mktemp("keys")
    folder = KeyFolder(path)
    folder.lti_keys(), folder.issuer_rsa(), folder.issuer_ed25519(), folder.secret_key()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.db"
        return
    yield from postgres_database()


def postgres_database() -> Iterator[str]:
    """An empty PostgreSQL database, dropped afterwards."""
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers")
    name = f"lti_badges_{uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield POSTGRES.rpartition("/")[0] + f"/{name}"
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
    """An context on an up-to-date schema."""
    context = ToolContext.build(settings)
    upgrade(context.database)
    ensure_default(context.sessions)
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
        database_url=f"sqlite:///{tmp_path}/test.db",
        keys_dir=keys_folder,
    )


@pytest.fixture
def lite(sqlite_settings: Settings) -> Iterator[Campus]:
    """The same on SQLite only."""
    with running_campus(sqlite_settings) as both:
        yield both
