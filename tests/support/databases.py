"""Databases for tests: migrated once per process, then copied, on SQLite and on PostgreSQL."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg

from lti_badges.backends import ensure_default
from lti_badges.core.crypto import Cipher, KeyFolder
from lti_badges.settings import Settings
from lti_badges.store import EVERY_INSTITUTION, SigningKeys, open_engine, open_sessions, upgrade

POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


SECRET = "sealed the signing keys of every copy"


@cache
def postgres_answers() -> bool:
    """Whether a server is there; the tests that need it are skipped otherwise."""
    try:
        psycopg.connect(POSTGRES, connect_timeout=5).close()
    except psycopg.Error:
        return False
    return True


def new_sqlite(folder: Path, name: str = "test.db") -> str:
    """The address of an up-to-date SQLite database with the built-in backend."""
    path = folder / name
    shutil.copyfile(_sqlite_template(), path)
    return f"sqlite:///{path}"


@contextmanager
def new_postgres() -> Iterator[str]:
    """The address of an up-to-date PostgreSQL database, dropped afterwards."""
    with _made(_postgres_template()) as url:
        yield url


@contextmanager
def empty_postgres() -> Iterator[str]:
    """The address of a PostgreSQL database without any table, dropped afterwards."""
    with _made("template0") as url:
        yield url


@contextmanager
def _made(template: str) -> Iterator[str]:
    name = f"lti_badges_{uuid4().hex[:12]}"
    _as_admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _address(name)
    finally:
        _as_admin(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lti-badges-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _fill(f"sqlite:///{folder}/template.db")
    return folder / "template.db"


@cache
def _postgres_template() -> str:
    # One for each process: two of them never wait for each other to copy it.
    name = f"lti_badges_template_{uuid4().hex[:12]}"
    _as_admin(f"CREATE DATABASE {name} TEMPLATE template0")
    atexit.register(_as_admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _fill(_address(name))
    return name


def _fill(address: str) -> None:
    """The schema, the built-in backend, and signing keys: making RSA keys is slow."""
    engine = open_engine(Settings(database_url=address).database_url)
    upgrade(engine)
    ensure_default(open_sessions(engine, EVERY_INSTITUTION))
    SigningKeys(
        open_sessions(engine, EVERY_INSTITUTION), Cipher(SECRET), KeyFolder(Path("none"))
    ).open()
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            # The file alone is copied: nothing may be left in the write-ahead log.
            connection.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def _as_admin(statement: str) -> None:
    # One connection for each statement: a run holds none while its tests work.
    with closing(psycopg.connect(POSTGRES, autocommit=True)) as admin:
        admin.execute(statement)


def _address(name: str) -> str:
    return POSTGRES.rpartition("/")[0] + f"/{name}"
