"""Engines and sessions: SQLite in WAL with foreign keys on, or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session, sessionmaker

from lti_badges.core.files import made_private
from lti_badges.store.scope import bind

BUSY_TIMEOUT_MS = 15_000
POOL_WAIT_S = 10
KEPT_CONNECTIONS = 5
CONNECTIONS = 18
"""At most in one process: a web process and four workers fit PostgreSQL's default of 100."""
_WRITES, _LATER = "writes", "after_commit"
# SQLSTATE: connection trouble, too many connections, shutting down, a lock or statement timeout.
_BUSY_STATES = ("08", "53", "55P03", "57")
_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR})
_NO_ROOM_STATES = ("53100", "25006", "58030")
_UPGRADE = 0x1713AD
"""The advisory lock of what only one process does at a time."""


class Sessions(sessionmaker[Session]):
    """`with sessions() as session` reads: what it changes is never written.
    `with sessions.begin() as session` is one writing transaction."""

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One writing transaction: committed at the end, rolled back by an exception. On SQLite it
        takes the write lock at once: a transaction that reads first and writes later fails with
        “database is locked” whatever the timeout, this one waits its turn."""
        with self(bind=for_writing(self.kw["bind"])) as session:
            with session.begin():
                yield session
            later = session.info.pop(_LATER, ())
        for work in later:
            work(self)


def after_commit(session: Session, work: Callable[[Sessions], None]) -> None:
    """Do something in a transaction of its own once this one is committed: what touches rows that
    other transactions lock in another order."""
    session.info.setdefault(_LATER, []).append(work)


def open_engine(database_url: str, connections: int = CONNECTIONS) -> Engine:
    """An engine for a checked `Settings.database_url`, with at most so many connections to
    PostgreSQL. Makes the folder of a SQLite file."""
    url = make_url(database_url)
    # Values of statements are names, grades and sealed secrets: no message or trace shows them.
    if url.get_backend_name() != "sqlite":
        kept = min(KEPT_CONNECTIONS, connections)
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=kept,
            max_overflow=connections - kept,
            pool_timeout=POOL_WAIT_S,
        )
    if url.database and url.database != ":memory:":
        made_private(Path(url.database))  # its -wal and -shm take the same mode
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def open_sessions(engine: Engine, institution_id: str) -> Sessions:
    """A session factory, see `Sessions`. Its queries see one institution's rows; those of all for
    `EVERY_INSTITUTION`."""
    return Sessions(engine, expire_on_commit=False, info=bind(institution_id))


def for_writing(engine: Engine) -> Engine:
    """The same engine, whose transactions take SQLite's write lock when they begin."""
    return engine.execution_options(**{_WRITES: True})


def is_busy(error: BaseException) -> bool:
    """Whether a database error passes by itself: locked by another writer, no free connection, or
    not reachable just now."""
    if isinstance(error, NoConnection):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or bool(state and state.startswith(_BUSY_STATES))


def is_unwritable(error: BaseException) -> bool:
    """Whether a database takes no writes until a person acts: its disk is full, or read-only."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM
    state = getattr(error.orig, "sqlstate", None)
    return bool(state and state.startswith(_NO_ROOM_STATES))


def one_at_a_time(connection: Connection | Session) -> None:
    """For the rest of this writing transaction no other process is past this point: several that
    start at once on a new database make its tables and first rows one after the other. On SQLite
    the transaction itself sees to that."""
    bind = connection.get_bind() if isinstance(connection, Session) else connection
    if bind.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE})


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: we begin them, see _begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
