"""Is everything in order? One line each, status 1 if anything fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import click
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from lti_badges import clock
from lti_badges.awards.engine import Engine
from lti_badges.awards.orders import backend_of
from lti_badges.awards.reading import platform_endpoint
from lti_badges.errors import LtiBadgesError
from lti_badges.jobs import Queue, open_queue
from lti_badges.lti import ags
from lti_badges.settings import Settings
from lti_badges.store import BackendRow, Deployment, Platform, is_current, upgrade

Check = tuple[str, Callable[[], str]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check settings, database, keys, queue, platforms and backends."""
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
    engine = Engine.build(settings)
    yield "database", lambda: _database(engine)
    yield "keys", lambda: f"signing with {engine.keys.signing_key().kid} in {engine.keys.path}"
    queue = open_queue(engine)
    yield "queue", lambda: _queue(queue)
    try:
        with engine.sessions() as session:
            platforms = list(session.scalars(select(Platform)))
            backends = list(session.scalars(select(BackendRow)))
            deployments = {
                each.platform_id: each.deployment_id for each in session.scalars(select(Deployment))
            }
    except SQLAlchemyError:
        return
    for platform in platforms:
        name = f"platform {platform.name or platform.issuer}"
        yield f"{name}, key set", _key_set(engine, platform)
        yield f"{name}, access token", _token(engine, platform, deployments.get(platform.id))
        yield f"{name}, launches", _launched(platform)
    for row in backends:
        yield f"backend {row.name}", _backend(engine, row)


def _database(engine: Engine) -> str:
    with engine.database.connect() as connection:
        connection.execute(text("SELECT 1"))
    if engine.database.dialect.name == "sqlite":
        upgrade(engine.database)  # as every other command does
    if not is_current(engine.database):
        raise LtiBadgesError("The schema is not up to date; run: lti-badges db upgrade")
    return f"{engine.database.dialect.name}, up to date"


def _queue(queue: Queue) -> str:
    return f"{queue.waiting()} tasks waiting"


def _key_set(engine: Engine, platform: Platform) -> Callable[[], str]:
    def check() -> str:
        count = engine.key_sets.check(platform.key_set_url)
        if not count:
            raise LtiBadgesError(f"{platform.key_set_url} holds no usable key.")
        return f"{count} keys"

    return check


def _token(engine: Engine, platform: Platform, deployment_id: str | None) -> Callable[[], str]:
    def check() -> str:
        endpoint = platform_endpoint(platform, deployment_id)
        engine.tokens.get(endpoint, frozenset({ags.RESULT_READONLY}))
        return "granted"

    return check


def _launched(platform: Platform) -> Callable[[], str]:
    def check() -> str:
        if platform.last_launch_at is None:
            return "none yet; open the tool once from a course to prove the connection"
        return f"last seen {clock.iso(platform.last_launch_at)}"

    return check


def _backend(engine: Engine, row: BackendRow) -> Callable[[], str]:
    return lambda: backend_of(engine, row).check()
