"""Backups: one file with the database, and what opens it.

SQLite is copied online, page by page, while the tool runs; PostgreSQL is dumped by its own
`pg_dump` (and restored by `pg_restore`), which must be installed where the command runs.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, inspect

from lti_badges.core.errors import InvalidInput, SettingsError

SQLITE_NAME, POSTGRES_NAME = "database.sqlite", "database.pgdump"
MANIFEST, SECRET = "manifest.json", "secret"
DUMP_TIMEOUT_S = 6 * 3600
_NAMES = frozenset({SQLITE_NAME, POSTGRES_NAME, MANIFEST, SECRET})


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `secret_digest` tells whether a secret opens it; `has_secret` whether
    the file brings that secret along."""

    version: str
    made_at: str
    kind: str
    secret_digest: str
    has_secret: bool


def write_backup(engine: Engine, file: Path, manifest: Manifest, secret: str | None) -> None:
    """Make the backup, readable by its owner only; an unfinished one is never left behind. Raises
    InvalidInput and SettingsError."""
    if file.exists():
        raise InvalidInput(f"{file} exists already; choose another name.")
    if not file.parent.is_dir():
        raise InvalidInput(f"There is no folder {file.parent}.")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as folder:
        parts = Path(folder)
        if manifest.kind == "sqlite":
            _copy_sqlite(engine, parts / SQLITE_NAME)
        else:
            _run_postgres("pg_dump", engine, "--format=custom", f"--file={parts / POSTGRES_NAME}")
        (parts / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2))
        if secret is not None:
            (parts / SECRET).write_text(secret)
        made = parts / "backup.tar.gz"
        made.touch(mode=0o600)
        with tarfile.open(made, "w:gz", compresslevel=6) as archive:
            for name in sorted(_NAMES):
                if (parts / name).exists():
                    archive.add(parts / name, arcname=name)
        made.rename(file)


def read_manifest(file: Path) -> Manifest:
    """What a backup holds. Raises InvalidInput for a file that is none."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            member = archive.extractfile(MANIFEST)
            return Manifest(**json.loads(member.read(100_000) if member else b""))
    except (OSError, EOFError, zlib.error, tarfile.TarError, KeyError, ValueError, TypeError):
        raise InvalidInput(f"{file} is not a backup of lti-badges.") from None


def read_secret(file: Path) -> str:
    """The secret that a backup brings along."""
    with tarfile.open(file, "r:gz") as archive:
        member = archive.extractfile(SECRET)
        return (member.read(10_000) if member else b"").decode()


def restore_database(engine: Engine, file: Path, kind: str) -> None:
    """Fill an empty database from a backup. Raises InvalidInput when it is not empty, or of another
    kind, and SettingsError."""
    if engine.dialect.name != kind:
        raise InvalidInput(
            f"The backup is of a {kind} database, the settings name a {engine.dialect.name} one."
        )
    if inspect(engine).get_table_names():
        raise InvalidInput("The database is not empty; restore into a new one.")
    with tempfile.TemporaryDirectory(prefix="lti-badges-restore-") as folder:
        name = SQLITE_NAME if kind == "sqlite" else POSTGRES_NAME
        with tarfile.open(file, "r:gz") as archive:
            member = archive.extractfile(name)
            if member is None:
                raise InvalidInput(f"{file} is not a backup of lti-badges.")
            with (Path(folder) / name).open("wb") as target:
                shutil.copyfileobj(member, target)
        if kind == "sqlite":
            _fill_sqlite(engine, Path(folder) / name)
        else:
            _run_postgres(
                "pg_restore",
                engine,
                "--no-owner",
                "--exit-on-error",
                "--single-transaction",
                f"--dbname={engine.url.database}",
                str(Path(folder) / name),
            )


def _copy_sqlite(engine: Engine, target: Path) -> None:
    with sqlite3.connect(target) as copy, sqlite3.connect(str(engine.url.database)) as source:
        source.backup(copy, pages=1000)
    copy.close()
    source.close()


def _fill_sqlite(engine: Engine, source: Path) -> None:
    engine.dispose()
    with sqlite3.connect(source) as copy, sqlite3.connect(str(engine.url.database)) as target:
        if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise InvalidInput("The database in this backup is damaged.")
        copy.backup(target)
    copy.close()
    target.close()
    os.chmod(str(engine.url.database), 0o600)  # noqa: PTH101 - a database address, not a path


def _run_postgres(program: str, engine: Engine, *arguments: str) -> None:
    if shutil.which(program) is None:
        raise SettingsError(
            f"{program} is not installed here; it comes with PostgreSQL's client programs."
        )
    url = engine.url
    # By environment: a command line shows in the list of processes.
    named = {
        "PGHOST": url.host,
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    environ = os.environ | {name: str(value) for name, value in named.items() if value}
    done = subprocess.run(  # noqa: S603 - a fixed program, arguments of ours
        [program, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=DUMP_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SettingsError(f"{program} failed: {reason[:300]}")
