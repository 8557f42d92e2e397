"""Institutions of this installation, and what two of them share."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import BinaryIO

import click
from sqlalchemy import select

from lti_badges.catalogue.branding import save_colour, save_logo
from lti_badges.catalogue.institutions import (
    PROFILE,
    add_institution,
    belongings,
    institution_named,
    remove_institution,
    rename_institution,
    save_profile,
    share,
)
from lti_badges.cli.common import json_option, open_context, open_installation, pairs, show
from lti_badges.core.errors import InvalidInput
from lti_badges.openbadges.picture import MAX_BYTES
from lti_badges.people.permissions import set_table, table
from lti_badges.store import Institution
from lti_badges.values.permission import OF_A_COURSE, Permission

BY = "command line"


@click.group()
def institutions() -> None:
    """Who runs courses and issues badges here; nothing crosses between two."""


@institutions.command("add")
@click.argument("name")
def add(name: str) -> None:
    """Add an institution; it begins with a built-in issuer of its own."""
    click.echo(add_institution(open_installation(), name, by=BY))


@institutions.command("list")
@json_option
def list_institutions(as_json: bool) -> None:
    """All institutions, and how much belongs to each."""
    with open_installation().sessions() as session:
        rows = [
            {"id": each.id, "name": each.name, "default": each.is_default}
            | belongings(session, each.id)
            for each in session.scalars(select(Institution).order_by(Institution.created_at))
        ]
    show(rows, ["id", "name", "default", "courses", "people", "backends"], as_json=as_json)


@institutions.command("show")
@click.argument("name")
def show_institution(name: str) -> None:
    """Everything about one, as JSON."""
    with open_installation().sessions() as session:
        row = institution_named(session, name)
        told = {
            "id": row.id,
            "name": row.name,
            "default": row.is_default,
            "profile": row.profile,
            "branding": row.branding,
            "settings": row.settings,
        } | belongings(session, row.id)
    click.echo(json.dumps(told, ensure_ascii=False, indent=2))


@institutions.command("rename")
@click.argument("name")
@click.argument("to", metavar="NEW_NAME")
def rename(name: str, to: str) -> None:
    """Give an institution another name."""
    rename_institution(open_installation(), name, to, by=BY)
    click.echo("Renamed.")


@institutions.command("profile")
@click.argument("name")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help=", ".join(PROFILE))
def profile(name: str, values: tuple[str, ...]) -> None:
    """What its issuer says of itself; a value left empty is taken away."""
    given = pairs(values)
    if unknown := [key for key in given if key not in PROFILE]:
        raise InvalidInput(f"“{unknown[0]}” is not in a profile; there are: {', '.join(PROFILE)}.")
    tool = open_context(name)
    with tool.sessions() as session:
        kept = dict(institution_named(session, tool.institution_id or "").profile)
    save_profile(tool, kept | given, by=BY)
    click.echo("Saved.")


@institutions.command("branding")
@click.argument("name")
@click.option("--colour", help="Accent colour of its pages, as #2f54c8; empty for none.")
@click.option("--logo", type=click.File("rb"), help="A PNG, SVG or JPEG file.")
@click.option("--no-logo", is_flag=True, help="Take the logo away.")
def branding(name: str, colour: str | None, logo: BinaryIO | None, *, no_logo: bool) -> None:
    """What its public and course pages look like; the colour must be readable."""
    tool = open_context(name)
    if colour is not None:
        save_colour(tool, colour, by=BY)
    if logo is not None or no_logo:
        save_logo(tool, logo.read(MAX_BYTES + 1) if logo else None, by=BY)
    click.echo("Saved.")


@institutions.command("permissions")
@click.argument("name")
@click.option(
    "--set", "changes", multiple=True, metavar="ROLE:PERMISSION=on|off", help="From now on."
)
@json_option
def permissions(name: str, changes: tuple[str, ...], as_json: bool) -> None:
    """What each course role may do there, from the next launch on."""
    tool = open_context(name)
    wanted: dict[str, set[str]] = {}
    known = table(tool)
    for change, switch in pairs(changes).items():
        role, colon, permission = change.rpartition(":")
        if not colon or switch not in {"on", "off"}:
            raise InvalidInput(f"“{change}={switch}” is not ROLE:PERMISSION=on or off.")
        held = wanted.setdefault(role, {each.value for each in _of(known, role)})
        if permission not in OF_A_COURSE:
            raise InvalidInput(
                f"“{permission}” is not a permission; there are: {', '.join(sorted(OF_A_COURSE))}."
            )
        (held.add if switch == "on" else held.discard)(permission)
    set_table(tool, wanted, by=BY)
    rows = [
        {"role": role, "permissions": sorted(held)} for role, held in sorted(table(tool).items())
    ]
    show(rows, ["role", "permissions"], as_json=as_json)


def _of(known: Mapping[str, Collection[Permission]], role: str) -> Collection[Permission]:
    """A sub-role that the table does not have begins as its principal."""
    return known.get(role, known.get(role.partition("#")[0], ()))


@institutions.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove an institution that nothing belongs to any more."""
    remove_institution(open_installation(), name, by=BY)
    click.echo("Removed.")


@institutions.command("share")
@click.argument("kind", type=click.Choice(["backend", "achievement"]))
@click.argument("item", metavar="ID")
@click.argument("institution", metavar="INSTITUTION")
@click.option("--stop", is_flag=True, help="No longer.")
def share_item(kind: str, item: str, institution: str, *, stop: bool) -> None:
    """Let another institution use a backend, with its general badges, or one badge."""
    share(open_installation(), kind, item, institution, stop=stop, by=BY)
    click.echo("No longer shared." if stop else "Shared.")
