"""Credentials of anybody: are they genuine?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from lti_badges.cli.common import json_option, open_installation
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.presented import MAX_BYTES, address_in
from lti_badges.queries.verification import VALID, Report, verify_presented


@click.group()
def credentials() -> None:
    """Badges as they were issued, here or elsewhere."""


@credentials.command()
@click.argument("source", metavar="FILE|URL")
@click.option("--email", default="", help="Also check whether it was issued to this address.")
@json_option
def verify(source: str, email: str, as_json: bool) -> None:
    """Check a badge of anybody, of Open Badges 3.0 or 2.0: a baked PNG or SVG, a JSON or JWT file
    (- for standard input), or an address. Exits with 0 only if it is valid."""
    try:
        content = source.encode() if address_in(source) else _content(source)
        report = verify_presented(open_installation(), content, email)
    except CredentialError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        _tell(report)
    if report.verdict != VALID:
        failing = [each.name for each in report.checks if not each.passed]
        raise click.ClickException(f"The badge is not proved to be valid: {', '.join(failing)}.")


def _content(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with Path(source).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise click.ClickException(f"{source} can't be read: {error.strerror}.") from None


def _tell(report: Report) -> None:
    click.echo(f"{report.name}, issued by {report.issuer} ({report.version})")
    for check in report.checks:
        result = "passed" if check.passed else "not checked" if check.is_open else "FAILED"
        click.echo(f"  {check.name + ':':<11}{result:<12}{check.sentence}")
