"""What all commands share: the tool, tables and JSON, key=value options, secrets."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from lti_badges.backends import ensure_default
from lti_badges.catalogue.institutions import institution_named
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.jobs import Queue, open_queue
from lti_badges.settings import SECRET_PREFIX, Settings
from lti_badges.store import DEFAULT_INSTITUTION, is_current, upgrade

institution_option = click.option(
    "--institution", metavar="NAME", help="Of this institution; else the default one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def open_queue_and_context() -> Queue:
    """The queue and tool of the settings, with a schema that is up to date.

    SQLite is upgraded in passing; PostgreSQL is the admin's to upgrade. Raises ClickException.
    """
    queue = open_queue(open_upgraded())
    queue.tool.keys.open()
    return queue


def open_upgraded() -> ToolContext:
    """The tool of the settings on a schema that is up to date, its keys not opened yet."""
    tool = ToolContext.build(Settings.load())
    if tool.database.dialect.name == "sqlite":
        upgrade(tool.database)
    elif not is_current(tool.database):
        raise click.ClickException("The database is not up to date; run: lti-badges db upgrade")
    ensure_default(tool.sessions)
    return tool


def open_installation() -> ToolContext:
    """The same, for the operator's commands that only need rows: of every institution."""
    return open_queue_and_context().tool


def open_context(institution: str | None = None) -> ToolContext:
    """The tool of one institution, the default one unless named. Raises NotFound."""
    installation = open_installation()
    return installation.within(named_institution(installation, institution))


def named_institution(installation: ToolContext, name: str | None) -> str:
    """The id of an institution by its name or id; the default one for None. Raises NotFound."""
    if name is None:
        return DEFAULT_INSTITUTION
    with installation.sessions() as session:
        return institution_named(session, name).id


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """A list as a table for people, or as JSON with all fields for programs."""
    listed = [dict(row) for row in rows]
    if as_json:
        click.echo(json.dumps(listed, default=_plain, ensure_ascii=False, indent=2))
        return
    if not listed:
        click.echo("None.")
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, markup=False, highlight=False).print(table)


def pairs(given: Sequence[str]) -> dict[str, str]:
    """`key=value` options as a dict. Raises click.BadParameter."""
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"“{pair}” is not key=value.")
        found[name.strip()] = value
    return found


def secrets_for(names: Sequence[str]) -> dict[str, str]:
    """Secret values: from LTI_BADGES_SECRET_<KEY>, else a line each from standard input."""
    found = {}
    for name in names:
        if "=" in name:
            raise click.BadParameter(
                f"A secret's value is not given on the command line, where others can see it: use "
                f"{SECRET_PREFIX}{name.partition('=')[0].upper().replace('-', '_')} or type it in."
            )
        value = os.environ.get(f"{SECRET_PREFIX}{name.upper().replace('-', '_')}")
        if value is None:
            value = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline()
        value = value.strip()
        if not value:
            raise click.ClickException(f"The secret “{name}” is empty.")
        found[name] = value
    return found


def _plain(value: Any) -> Any:
    return clock.iso(value) if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return clock.iso(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(each) for each in value)
    return str(value)
