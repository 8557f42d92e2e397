"""Is everything in order? One line each, status 1 if anything fails."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from lti_badges.catalogue.issuance import backend_of
from lti_badges.catalogue.platform_checks import Check, platform_checks
from lti_badges.cli.reached import own_address
from lti_badges.context import ToolContext
from lti_badges.core.errors import LtiBadgesError
from lti_badges.jobs import Queue, open_queue
from lti_badges.settings import Settings
from lti_badges.store import BackendRow, Deployment, Platform, is_current, upgrade


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check settings, database, keys, the own address, queue, platforms and backends."""
    results = []
    for name, check in _checks():
        try:
            results.append((name, True, check()))
        except LtiBadgesError as error:
            results.append((name, False, error.message))
        except SQLAlchemyError as error:
            results.append((name, False, str(error.__cause__ or error).strip().splitlines()[0]))
    if as_json:
        listed = [{"check": name, "ok": ok, "message": said} for name, ok, said in results]
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2))
    else:
        for name, ok, said in results:
            click.echo(f"{'ok  ' if ok else 'FAIL'} {name}: {said}")
    if not all(ok for _, ok, _ in results):
        raise SystemExit(1)


def _checks() -> Iterator[Check]:
    settings = Settings.load()
    yield "settings", lambda: f"the tool is {settings.base_url}"
    tool = ToolContext.build(settings)
    yield "database", lambda: _database(tool)
    yield "keys", lambda: _keys(tool)
    yield "address", lambda: own_address(tool)
    queue = open_queue(tool)
    yield "queue", lambda: _queue(queue)
    try:
        with tool.sessions() as session:
            platforms = list(session.scalars(select(Platform)))
            backends = list(session.scalars(select(BackendRow)))
            deployments = {
                each.platform_id: each.deployment_id for each in session.scalars(select(Deployment))
            }
    except SQLAlchemyError:
        return
    for platform in platforms:
        name = f"platform {platform.name or platform.issuer}"
        for what, check in platform_checks(tool, platform, deployments.get(platform.id)):
            yield f"{name}, {what}", check
    for row in backends:
        yield f"backend {row.name}", backend_of(tool, row).check


def _database(tool: ToolContext) -> str:
    with tool.database.connect() as connection:
        connection.execute(text("SELECT 1"))
    if tool.database.dialect.name == "sqlite":
        upgrade(tool.database)  # as every other command does
    if not is_current(tool.database):
        raise LtiBadgesError("The schema is not up to date; run: lti-badges db upgrade")
    return f"{tool.database.dialect.name}, up to date"


def _keys(tool: ToolContext) -> str:
    tool.keys.open()
    return f"in the database; LTI requests are signed with {tool.keys.signing_key().kid}"


def _queue(queue: Queue) -> str:
    return f"{queue.waiting()} tasks waiting"
