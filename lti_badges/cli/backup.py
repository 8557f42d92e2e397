"""Backups: made while the tool runs, restored into an empty place, and proved by opening them."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import click
from sqlalchemy import update

from lti_badges.cli.common import open_installation
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.crypto import KeyFolder
from lti_badges.core.errors import InvalidInput
from lti_badges.settings import Settings
from lti_badges.store import Award, State, upgrade
from lti_badges.store.backup import (
    Manifest,
    read_manifest,
    read_secret,
    restore_database,
    write_backup,
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--without-secret", is_flag=True, help="Leave the secret of the keys folder out.")
def backup(file: Path, without_secret: bool) -> None:
    """Write everything into one file; the tool may run meanwhile.

    The file holds the secret that opens its data, when the secret lies in the keys folder: keep it
    as you keep a key. A secret set by LTI_BADGES_SECRET_KEY is never written.
    """
    tool = open_installation()
    settings = tool.settings
    own = None
    if not settings.secret_key.get_secret_value() and not without_secret:
        own = KeyFolder(settings.keys_dir).secret_key()
    manifest = Manifest(
        version=version("lti-badges"),
        made_at=clock.iso(clock.now()),
        kind=tool.database.dialect.name,
        secret_digest=_digest(_secret(settings)),
        has_secret=own is not None,
    )
    write_backup(tool.database, file, manifest, own)
    size = file.stat().st_size / 1_000_000
    click.echo(f"{file}: {size:.1f} MB, {'with' if own else 'without'} the secret that opens it.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> None:
    """Fill the empty database of the settings from a backup, and prove that it opens."""
    manifest, settings = read_manifest(file), Settings.load()
    _bring_secret(file, manifest, settings)
    tool = ToolContext.build(settings)
    restore_database(tool.database, file, manifest.kind)
    upgrade(tool.database)
    tool.keys.open()
    _look_before_sending(tool)
    click.echo(
        f"Restored what version {manifest.version} wrote on {manifest.made_at}; the signing keys "
        "open. Start the tool, and run: lti-badges doctor"
    )


def _look_before_sending(tool: ToolContext) -> None:
    """What was waiting when the backup was made may have been sent since: look first, each time."""
    waiting = [State.PENDING.value, State.SENDING.value, State.UNKNOWN.value]
    with tool.sessions.begin() as session:
        session.execute(
            update(Award).where(Award.state.in_(waiting), Award.sends == 0).values(sends=1)
        )


def _bring_secret(file: Path, manifest: Manifest, settings: Settings) -> None:
    """The secret must be the one that sealed the data, before anything is written."""
    given = settings.secret_key.get_secret_value()
    folder = KeyFolder(settings.keys_dir)
    if not given and not folder.has_secret() and manifest.has_secret:
        folder.keep_secret(read_secret(file))
    if not given and not folder.has_secret():
        raise InvalidInput(
            "This backup was made without its secret; set LTI_BADGES_SECRET_KEY to the one that "
            "the tool ran with."
        )
    if _digest(_secret(settings)) != manifest.secret_digest:
        raise InvalidInput(
            "The secret here is another one than the backup was made with; what it sealed could "
            "not be opened. Set LTI_BADGES_SECRET_KEY to the right one, or empty the keys folder."
        )


def _secret(settings: Settings) -> str:
    return settings.secret_key.get_secret_value() or KeyFolder(settings.keys_dir).secret_key()


def _digest(secret: str) -> str:
    return hashlib.sha256(b"lti-badges backup\0" + secret.encode()).hexdigest()
