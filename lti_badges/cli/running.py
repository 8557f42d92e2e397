"""Running it: demo, serve, worker; schema and keys."""

from __future__ import annotations

import signal
import threading
import time
from datetime import timedelta
from typing import Any

import click

from lti_badges.backends import ensure_default
from lti_badges.catalogue.keys import rotate_keys
from lti_badges.cli.common import (
    institution_option,
    json_option,
    named_institution,
    open_context,
    open_installation,
    open_queue_and_context,
    open_upgraded,
    show,
)
from lti_badges.context import ToolContext
from lti_badges.core.logs import configure_logs
from lti_badges.demo import run_demo
from lti_badges.jobs import start_background
from lti_badges.jobs.background import WORKERS
from lti_badges.lms import LMSES
from lti_badges.people.admins import admin_link
from lti_badges.sandbox import DEMO_LMS
from lti_badges.server import serve_forever
from lti_badges.settings import Settings
from lti_badges.store import upgrade
from lti_badges.store.signing_key_rows import LTI
from lti_badges.store.signing_keys import PUBLISH_BEFORE_USE

AT_LEAST_ONE = click.IntRange(min=1)


@click.command()
@click.option("--port", default=5000, show_default=True, help="The tool's; the LMS takes the next.")
@click.option("--lms", "kind", default=DEMO_LMS, show_default=True, type=click.Choice(list(LMSES)))
def demo(port: int, kind: str) -> None:
    """An LMS with a course, the tool and the built-in issuer, on this machine."""
    run_demo(port, kind)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True)
@click.option(
    "--threads", default=8, show_default=True, type=AT_LEAST_ONE, help="Requests at a time."
)
@click.option(
    "--workers",
    default=WORKERS,
    show_default=True,
    type=AT_LEAST_ONE,
    help="Background tasks at a time, with the embedded queue.",
)
def serve(host: str, port: int, threads: int, workers: int) -> None:
    """The tool on a production server; with the embedded queue, the background work too."""
    serve_forever(Settings.load(), host, port, threads, workers)


@click.command()
@click.option(
    "--threads", default=WORKERS, show_default=True, type=AT_LEAST_ONE, help="Tasks at a time."
)
def worker(threads: int) -> None:
    """Background work only."""
    queue = open_queue_and_context()
    configure_logs(as_json=queue.tool.settings.json_logs)
    background = start_background(queue, threads)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    click.echo("Working; stop with Ctrl-C.")
    ended.wait()
    background.stop()


@click.command()
@click.option("--name", default="operator", show_default=True, help="As the audit log calls them.")
@click.option("--email", help="Their address at the single sign-on, by which they get in, too.")
@institution_option
def admin(name: str, email: str | None, institution: str | None) -> None:
    """Print an address that opens the admin console once, within ten minutes. Without --institution
    its holder is an operator, who sees all institutions."""
    tool = open_installation()
    owner = named_institution(tool, institution) if institution else None
    secret = admin_link(tool, name, owner, by="command line", email=email)
    click.echo(f"{tool.settings.base_url}/admin/#{secret}")


@click.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
def upgrade_schema() -> None:
    """Bring the schema up to date."""
    tool, began = ToolContext.build(Settings.load()), time.monotonic()
    upgrade(tool.database)
    ensure_default(tool.sessions)
    tool.keys.open()
    click.echo(f"The schema is up to date ({time.monotonic() - began:.1f} s).")


@click.group()
def keys() -> None:
    """The tool's signing keys: for LTI and for the credentials it issues itself."""


@keys.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """All keys, oldest first; of each kind one signs. Replaced ones stay published."""
    known = open_context().keys
    signing = {known.signing_key().kid, known.issuer_rsa().kid, known.issuer_ed25519().kid}
    rows: list[dict[str, Any]] = [
        {
            "kind": key.purpose,
            "kid": key.kid,
            "made_at": key.made_at,
            "signs": key.kid in signing,
            "signs_from": key.made_at + (PUBLISH_BEFORE_USE if key.purpose == LTI else timedelta()),
            "retired_at": key.retired_at,
        }
        for key in [*known.lti_keys(), *known.issuer_keys(fresh=True)]
    ]
    show(rows, ["kind", "kid", "made_at", "signs", "retired_at"], as_json=as_json)


@keys.command()
@click.option(
    "--secret-lost",
    is_flag=True,
    help="The secret that sealed the keys is gone: go on with new ones. Credentials issued so far "
    "still verify; other stored secrets (LMS and backend logins) must be entered anew.",
)
def rotate(secret_lost: bool) -> None:
    """Make new keys. The LTI key signs once platforms have had a day to fetch it; the issuer's sign
    at once, and what the old ones signed verifies as before."""
    tool = open_upgraded() if secret_lost else open_installation()
    hours = 0 if secret_lost else int(PUBLISH_BEFORE_USE / timedelta(hours=1))
    for key in rotate_keys(tool, by="command line", secret_lost=secret_lost):
        when = f"signs in {hours} hours" if key.purpose == LTI and hours else "signs from now on"
        click.echo(f"{key.purpose} {key.kid} is published; it {when}.")
