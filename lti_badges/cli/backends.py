"""Badge backends and the achievements that can be earned there."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import select

from lti_badges.backends import KINDS, AchievementDraft
from lti_badges.catalogue.achievements import create_achievement, refresh_achievements
from lti_badges.catalogue.configuration import (
    backend_named,
    check_backend,
    remove_backend,
    save_backend,
)
from lti_badges.cli.common import (
    institution_option,
    json_option,
    open_context,
    pairs,
    secrets_for,
    show,
)
from lti_badges.delivery.move import move_badges
from lti_badges.delivery.reconcile import reconcile
from lti_badges.people.consent import MODES, set_consent
from lti_badges.store import Achievement, BackendRow


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
@institution_option
def add(
    name: str,
    kind: str,
    url: str | None,
    values: tuple[str, ...],
    secret_names: tuple[str, ...],
    is_default: bool,
    institution: str | None,
) -> None:
    """Add a backend, or change the one of this name. Its paused awards go on."""
    given = pairs(values) | ({"url": url} if url is not None else {})
    secrets = secrets_for(secret_names)
    tool = open_context(institution)
    click.echo(save_backend(tool, name, kind, given, secrets, is_default=is_default))


@backends.command("list")
@institution_option
@json_option
def list_backends(institution: str | None, as_json: bool) -> None:
    """All backends. Secrets are never shown."""
    with open_context(institution).sessions() as session:
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
@institution_option
def test(name: str, institution: str | None) -> None:
    """Prove that a backend can be reached and lets us in; changes nothing there. One that was
    paused goes on."""
    tool = open_context(institution)
    with tool.sessions() as session:
        backend_id = backend_named(session, name).id
    click.echo(check_backend(tool, backend_id))


@backends.command("consent")
@click.argument("name")
@click.argument("mode", type=click.Choice(MODES))
@institution_option
def consent(name: str, mode: str, institution: str | None) -> None:
    """Whether learners are told (inform), or asked (ask), before anything of them is sent there."""
    tool = open_context(institution)
    with tool.sessions() as session:
        backend_id = backend_named(session, name).id
    set_consent(tool, backend_id, mode, by="command line")
    click.echo("Saved.")


@backends.command("reconcile")
@click.argument("name")
@institution_option
def reconcile_backend(name: str, institution: str | None) -> None:
    """Compare a backend's awards with ours now; otherwise it happens once a day."""
    tool = open_context(institution)
    with tool.sessions() as session:
        backend_id = backend_named(session, name).id
    found = reconcile(tool, backend_id, force=True)
    if found.error:
        raise click.ClickException(found.error)
    click.echo(
        f"{found.checked} awards checked: {found.revoked} revoked there, {found.missing} not "
        f"found, {found.foreign} there that are none of ours."
    )


@backends.command()
@click.argument("origin", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--achievement", "names", multiple=True, help="Only these badges.")
@click.option("--again", is_flag=True, help="Issue there a second time what stands at FROM.")
@institution_option
def move(
    origin: str, target: str, names: tuple[str, ...], institution: str | None, *, again: bool
) -> None:
    """Move badges to another backend: rules stay, and nobody gets a second one unless asked for."""
    moved = move_badges(open_context(institution), origin, target, names, again=again)
    second = f", {moved.issued_again} are issued again" if again else ""
    click.echo(
        f"{moved.badges} badges moved; {moved.sent_anew} waiting awards go out there, "
        f"{moved.stayed} stay where they were issued{second}."
    )


@backends.command()
@click.argument("name")
@institution_option
def remove(name: str, institution: str | None) -> None:
    """Remove a backend that no badge uses."""
    remove_backend(open_context(institution), name, by="command line")
    click.echo("Removed.")


@click.group()
def achievements() -> None:
    """Badges that can be earned."""


@achievements.command("list")
@click.option("--backend", help="Only this backend's; its own list is read anew.")
@institution_option
@json_option
def list_achievements(backend: str | None, institution: str | None, as_json: bool) -> None:
    """All badges."""
    tool = open_context(institution)
    with tool.sessions() as session:
        backend_id = backend_named(session, backend).id if backend else None
    if backend_id:
        refresh_achievements(tool, backend_id)
    with tool.sessions() as session:
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
                "url": each.url or tool.settings.url(f"/achievements/{each.id}"),
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
@institution_option
def add_achievement(
    backend: str,
    name: str,
    description: str,
    criteria: str,
    image: Path | None,
    institution: str | None,
) -> None:
    """Create a badge at its backend."""
    tool = open_context(institution)
    with tool.sessions() as session:
        backend_id = backend_named(session, backend).id
    draft = AchievementDraft(name, description, criteria, image.read_bytes() if image else None)
    click.echo(create_achievement(tool, backend_id, draft))
