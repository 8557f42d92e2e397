"""Badge backends and the achievements that can be earned there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from lti_badges.awards.achievements import create_achievement, refresh_achievements
from lti_badges.awards.hand import unpause
from lti_badges.awards.orders import backend_of
from lti_badges.backends import KINDS, AchievementDraft, kind_of
from lti_badges.cli.common import json_option, open_engine_only, pairs, secrets_for, show
from lti_badges.errors import InvalidInput, NotFound
from lti_badges.settings import checked_url
from lti_badges.store import Achievement, Award, BackendRow
from lti_badges.values.settings import checked


@click.group()
def backends() -> None:
    """Where awards are forwarded to."""


@backends.command()
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(list(KINDS)))
@click.option("--url", help="The server's address, where the kind has one.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE")
@click.option("--secret", "secret_names", multiple=True, metavar="KEY")
@click.option("--default", "is_default", is_flag=True, help="New badges are made there.")
def add(
    name: str,
    kind: str,
    url: str | None,
    values: tuple[str, ...],
    secret_names: tuple[str, ...],
    is_default: bool,
) -> None:
    """Add a backend, or change the one of this name. Its paused awards go on."""
    vendor = kind_of(kind)
    given = pairs(values)
    if url is not None:
        try:
            given["url"] = checked_url(url.rstrip("/"), "--url")
        except ValueError as error:
            raise InvalidInput(f"{error}.") from None
    settings = checked(vendor.settings, given, secret=False)
    engine = open_engine_only()
    with engine.sessions.begin() as session:
        row = session.scalar(select(BackendRow).where(BackendRow.name == name))
        if row is not None and row.kind != kind:
            raise InvalidInput(
                f"“{name}” is a backend of kind {row.kind}; choose another name for a new one."
            )
        kept = engine.cipher.unseal(row.secrets) if row else {}
        fresh = secrets_for(secret_names)
        known = {setting.name for setting in vendor.settings if setting.secret}
        secrets = checked(
            vendor.settings,
            {key: value for key, value in kept.items() if key in known} | fresh,
            secret=True,
        )
        if row is None:
            row = BackendRow(name=name, kind=kind)
            session.add(row)
        row.settings = settings
        row.secrets = engine.cipher.seal(secrets) if secrets else None
        unpause(row)
        if is_default:
            for each in session.scalars(select(BackendRow).where(BackendRow.name != name)):
                each.is_default = False
            row.is_default = True
        session.flush()
        backend_id = row.id
    click.echo(backend_id)


@backends.command("list")
@json_option
def list_backends(as_json: bool) -> None:
    """All backends. Secrets are never shown."""
    with open_engine_only().sessions() as session:
        rows = [
            {
                "id": each.id,
                "name": each.name,
                "kind": each.kind,
                "default": each.is_default,
                "settings": each.settings,
                "has_secrets": each.secrets is not None,
                "paused_until": each.paused_until,
                "error": each.error,
            }
            for each in session.scalars(select(BackendRow).order_by(BackendRow.created_at))
        ]
        show(rows, ["id", "name", "kind", "default", "paused_until", "error"], as_json=as_json)


@backends.command()
@click.argument("name")
def test(name: str) -> None:
    """Prove that a backend can be reached and lets us in; changes nothing there."""
    engine = open_engine_only()
    with engine.sessions() as session:
        row = _backend(session, name)
    click.echo(backend_of(engine, row).check())


@backends.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a backend that no badge uses."""
    with open_engine_only().sessions.begin() as session:
        row = _backend(session, name)
        for model, what in ((Award, "awards"), (Achievement, "badges")):
            if session.scalar(select(model.id).where(model.backend_id == row.id).limit(1)):
                raise InvalidInput(f"“{name}” has {what}; it can't be removed.")
        session.delete(row)
    click.echo("Removed.")


@click.group()
def achievements() -> None:
    """Badges that can be earned."""


@achievements.command("list")
@click.option("--backend", help="Only this backend's; its own list is read anew.")
@json_option
def list_achievements(backend: str | None, as_json: bool) -> None:
    """All badges."""
    engine = open_engine_only()
    with engine.sessions() as session:
        backend_id = _backend(session, backend).id if backend else None
    if backend_id:
        refresh_achievements(engine, backend_id)
    with engine.sessions() as session:
        query = select(Achievement).order_by(Achievement.name)
        if backend_id:
            query = query.where(Achievement.backend_id == backend_id)
        rows = [
            {
                "id": each.id,
                "backend": each.backend.name,
                "name": each.name,
                "description": each.description,
                "criteria": each.criteria,
                "ref": each.ref,
                "archived": each.archived,
                "url": each.url or engine.settings.url(f"/achievements/{each.id}"),
            }
            for each in session.scalars(query)
        ]
        show(rows, ["id", "backend", "name", "archived"], as_json=as_json)


@achievements.command("add")
@click.option("--backend", required=True)
@click.option("--name", required=True)
@click.option("--description", required=True)
@click.option("--criteria", required=True, help="How it is earned; Markdown.")
@click.option("--image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def add_achievement(
    backend: str, name: str, description: str, criteria: str, image: Path | None
) -> None:
    """Create a badge at its backend."""
    engine = open_engine_only()
    with engine.sessions() as session:
        backend_id = _backend(session, backend).id
    draft = AchievementDraft(name, description, criteria, image.read_bytes() if image else None)
    click.echo(create_achievement(engine, backend_id, draft))


def _backend(session: Any, name: str) -> BackendRow:
    row = session.scalar(
        select(BackendRow).where((BackendRow.name == name) | (BackendRow.id == name))
    )
    if row is None:
        raise NotFound(f"There is no backend “{name}”; see: lti-badges backends list")
    return row  # type: ignore[no-any-return]
