"""Running it: demo, serve, worker; schema and keys."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from typing import Any

import click

from lti_badges.backends import ensure_default
from lti_badges.cli.common import json_option, open_queue_and_context, show
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.crypto import PUBLISH_BEFORE_USE
from lti_badges.demo import run_demo
from lti_badges.jobs import start_background
from lti_badges.sandbox import DEMO_FLAVOUR, FLAVOURS
from lti_badges.server import serve_forever
from lti_badges.settings import Settings
from lti_badges.store import upgrade
from lti_badges.web.access import AdminTokens


@click.command()
@click.option("--port", default=5000, show_default=True, help="The tool's; the LMS takes the next.")
@click.option(
    "--lms", "flavour", default=DEMO_FLAVOUR, show_default=True, type=click.Choice(list(FLAVOURS))
)
def demo(port: int, flavour: str) -> None:
    """An LMS with a course, the tool and the built-in issuer, on this machine."""
    run_demo(port, flavour)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True)
@click.option("--threads", default=8, show_default=True, help="Requests at a time.")
def serve(host: str, port: int, threads: int) -> None:
    """The tool on a production server; with the embedded queue, the background work too."""
    serve_forever(Settings.load(), host, port, threads)


@click.command()
@click.option("--threads", default=4, show_default=True, help="Tasks at a time.")
def worker(threads: int) -> None:
    """Background work only."""
    background = start_background(open_queue_and_context(), threads)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    click.echo("Working; stop with Ctrl-C.")
    ended.wait()
    background.stop()


@click.command()
def admin() -> None:
    """Print an address that opens the admin console, good for ten minutes."""
    tool = open_queue_and_context().tool
    ticket = AdminTokens(tool.cipher).ticket()
    click.echo(f"{tool.settings.base_url}/admin/#{ticket}")


@click.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
def upgrade_schema() -> None:
    """Bring the schema up to date."""
    tool = ToolContext.build(Settings.load())
    upgrade(tool.database)
    ensure_default(tool.sessions)
    click.echo("The schema is up to date.")


@click.group()
def keys() -> None:
    """The tool's own LTI keys."""


@keys.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """All published keys; the one in use signs."""
    folder = ToolContext.build(Settings.load()).keys
    in_use = folder.signing_key().kid
    rows: list[dict[str, Any]] = [
        {
            "kid": key.kid,
            "made_at": key.made_at,
            "signs": key.kid == in_use,
            "signs_from": key.made_at + PUBLISH_BEFORE_USE,
        }
        for key in folder.lti_keys()
    ]
    show(rows, ["kid", "made_at", "signs"], as_json=as_json)


@keys.command()
def rotate() -> None:
    """Publish a new key. It signs once platforms have had a day to fetch it."""
    key = ToolContext.build(Settings.load()).keys.rotate()
    hours = int(PUBLISH_BEFORE_USE / timedelta(hours=1))
    click.echo(f"{key.kid} is published; it signs in {hours} hours ({clock.iso(clock.now())}).")
