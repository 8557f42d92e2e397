"""The command group, and what every failure looks like."""

from __future__ import annotations

import sys

import click
from sqlalchemy.exc import OperationalError

from lti_badges.cli.awarding import awards, courses, sync
from lti_badges.cli.backends import achievements, backends
from lti_badges.cli.backup import backup, restore
from lti_badges.cli.credentials import credentials
from lti_badges.cli.doctor import doctor
from lti_badges.cli.institutions import institutions
from lti_badges.cli.people import people
from lti_badges.cli.platforms import deployments, platforms
from lti_badges.cli.rules import rules
from lti_badges.cli.running import admin, db, demo, keys, serve, worker
from lti_badges.core.errors import LtiBadgesError
from lti_badges.core.logs import configure_logs


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lti-badges")
def cli() -> None:
    """LTI 1.3 tool that awards Open Badges from inside any LMS."""
    configure_logs()


for command in (
    demo,
    serve,
    worker,
    admin,
    db,
    institutions,
    platforms,
    deployments,
    backends,
    achievements,
    rules,
    courses,
    sync,
    awards,
    people,
    credentials,
    keys,
    backup,
    restore,
    doctor,
):
    cli.add_command(command)


def main() -> None:
    """Run; turn our errors into one line and status 1."""
    try:
        cli()
    except LtiBadgesError as error:
        click.echo(f"lti-badges: {error.message}", err=True)
        sys.exit(1)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        click.echo(f"lti-badges: the database does not answer: {reason}", err=True)
        sys.exit(1)
