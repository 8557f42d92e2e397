"""Bringing the schema up to date, by Alembic, from Python: no ini file to find or lose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from lti_badges.store.session import for_writing, one_at_a_time


def upgrade(engine: Engine) -> None:
    """Apply all migrations that are not there yet, in one transaction each."""
    if is_current(engine):
        return
    with _connected(for_writing(engine)) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            one_at_a_time(connection)
            # A migration waits briefly for its locks rather than stopping the whole service.
            connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_current(engine: Engine) -> bool:
    """Whether the schema is the one this version expects."""
    with engine.connect() as connection:
        applied = MigrationContext.configure(connection).get_current_heads()
    return set(applied) == _heads()


@cache
def _heads() -> frozenset[str]:
    # The files of this version do not change while it runs, and /readyz asks at every probe.
    return frozenset(ScriptDirectory.from_config(_config()).get_heads())


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """On SQLite a table is changed by copying it, and dropping the old one would delete what refers
    to it; foreign keys can only be switched off before the transaction (sqlite.org/lang_altertable,
    “Making Other Kinds Of Table Schema Changes”)."""
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            yield connection
            return
        raw = connection.connection.cursor()
        raw.execute("PRAGMA foreign_keys=OFF")
        try:
            yield connection
        finally:
            raw.execute("PRAGMA foreign_keys=ON")
            raw.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config
