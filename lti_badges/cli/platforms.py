"""Registrations by hand, their REST connections, and deployments that wait for approval."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import select

from lti_badges import lms
from lti_badges.catalogue.configuration import (
    approve_deployment,
    connect_platform,
    let_in,
    platform_named,
)
from lti_badges.catalogue.institutions import institution_names
from lti_badges.catalogue.platforms import decide_change, pending_changes, remove_platform
from lti_badges.cli.common import (
    institution_option,
    json_option,
    named_institution,
    open_installation,
    pairs,
    secrets_for,
    show,
)
from lti_badges.core.errors import InvalidInput, PlatformError
from lti_badges.lti.registration import invite
from lti_badges.settings import checked_url
from lti_badges.store import Deployment, Platform

BY = "command line"


@click.group()
def platforms() -> None:
    """LMSes registered with this tool."""


@platforms.command()
@click.option("--lms", "kind", required=True, type=click.Choice(list(lms.LMSES)))
@click.option("--issuer", required=True, help="The platform's id, as it stands in its launches.")
@click.option("--client-id", required=True)
@click.option("--auth-login-url", required=True, help="OIDC authentication address.")
@click.option("--auth-token-url", required=True, help="OAuth 2 token address.")
@click.option("--key-set-url", required=True, help="Public key set (JWKS) address.")
@click.option("--auth-audience", help="Audience of token requests, if not the token address.")
@click.option("--deployment-id", "deployment_ids", multiple=True, help="Approved from the start.")
@click.option("--name", default="", help="What to call it in lists.")
@click.option(
    "--also-audience", "audiences", multiple=True, help="Another name for us in its launches."
)
@click.option("--trust-all-deployments", is_flag=True, help="Approve deployments by themselves.")
@institution_option
@click.option("--shared", is_flag=True, help="Institutions share it: each has own deployments.")
def add(
    kind: str,
    deployment_ids: tuple[str, ...],
    audiences: tuple[str, ...],
    institution: str | None,
    shared: bool,
    **given: Any,
) -> None:
    """Register a platform, or bring its registration up to date."""
    for option in ("auth_login_url", "auth_token_url", "key_set_url"):
        try:
            checked_url(given[option], f"--{option.replace('_', '-')}")
        except ValueError as error:
            raise InvalidInput(f"{error}.") from None
    tool = open_installation()
    owner = named_institution(tool, institution)
    with tool.sessions.begin() as session:
        platform = session.scalar(
            select(Platform).where(
                Platform.issuer == given["issuer"], Platform.client_id == given["client_id"]
            )
        )
        if platform is None:
            platform = Platform(issuer=given["issuer"], client_id=given["client_id"])
            platform.institution_id = None if shared else owner
            session.add(platform)
        elif institution and platform.institution_id not in {None, owner}:
            raise InvalidInput("This registration is another institution's.")
        elif shared:
            platform.institution_id = None
        platform.lms = kind
        for option in ("auth_login_url", "auth_token_url", "key_set_url", "auth_audience"):
            setattr(platform, option, given[option])
        platform.name = given["name"] or platform.name or ""
        if audiences:
            platform.product = {**(platform.product or {}), "audiences": list(audiences)}
        platform.trust_all_deployments = given["trust_all_deployments"]
        platform.archived_at = None
        session.flush()
        for deployment_id in deployment_ids:
            approve_deployment(platform, deployment_id, owner if institution else None)
        platform_id = platform.id
    click.echo(platform_id)


@platforms.command("invite")
@click.option("--lms", "kind", type=click.Choice(list(lms.LMSES)), help="Else it tells us itself.")
@institution_option
def invite_platform(kind: str | None, institution: str | None) -> None:
    """Print a one-time address for dynamic registration, good for a week."""
    tool = open_installation()
    owner = named_institution(tool, institution)
    click.echo(invite(tool.sessions, tool.settings.base_url, kind, owner))


@platforms.command("list")
@json_option
def list_platforms(as_json: bool) -> None:
    """All registrations."""
    with open_installation().sessions() as session:
        names = institution_names(session)
        rows = [
            {
                "id": each.id,
                "institution": names.get(each.institution_id or "", "(shared)"),
                "lms": each.lms,
                "name": each.name,
                "issuer": each.issuer,
                "client_id": each.client_id,
                "auth_login_url": each.auth_login_url,
                "auth_token_url": each.auth_token_url,
                "key_set_url": each.key_set_url,
                "auth_audience": each.auth_audience,
                "connected": each.connection is not None,
                "deployments": [d.deployment_id for d in each.deployments],
                "last_launch_at": each.last_launch_at,
            }
            for each in session.scalars(select(Platform).order_by(Platform.created_at))
        ]
        show(
            rows,
            ["id", "institution", "lms", "issuer", "client_id", "deployments", "connected"],
            as_json=as_json,
        )


@platforms.command()
@click.argument("platform_id", metavar="ID")
@click.option("--with-data", is_flag=True, help="Delete its courses and people, too.")
def remove(platform_id: str, *, with_data: bool) -> None:
    """Take a platform out of service at once. Where courses are known it is archived: what was
    awarded goes on to verify."""
    tool = open_installation()
    if remove_platform(tool, platform_id, with_data=with_data, by=BY):
        click.echo("Removed.")
    else:
        click.echo("Archived: nobody gets in from there any more; its awards stay.")


@platforms.command("pending")
@json_option
def list_pending(as_json: bool) -> None:
    """Registrations that would change a known platform, with old and new values."""
    rows = [
        {
            "id": each.id,
            "platform": each.platform,
            "platform_id": each.platform_id,
            "from": each.source,
            "asked_at": each.created_at,
            "changes": [{"what": what, "old": old, "new": new} for what, old, new in each.changes]
            if as_json
            else "\n".join(f"{what}: {old or '–'} → {new}" for what, old, new in each.changes),
        }
        for each in pending_changes(open_installation())
    ]
    show(rows, ["id", "platform", "from", "asked_at", "changes"], as_json=as_json)


@platforms.command("confirm")
@click.argument("change_id", metavar="CHANGE")
@click.option("--reject", is_flag=True, help="Refuse it instead.")
def confirm(change_id: str, *, reject: bool) -> None:
    """Let a pending registration change its platform."""
    decide_change(open_installation(), change_id, confirm=not reject, by=BY)
    click.echo("Rejected." if reject else "Confirmed.")


@platforms.command()
@click.argument("platform_id", metavar="ID")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE")
@click.option("--secret", "secret_names", multiple=True, metavar="KEY")
@click.option("--deployment", "deployment_id", help="Only for this deployment's institution.")
def connect(
    platform_id: str,
    values: tuple[str, ...],
    secret_names: tuple[str, ...],
    deployment_id: str | None,
) -> None:
    """Store credentials for the LMS's own REST API, sealed, and prove them."""
    given, secrets = pairs(values), secrets_for(secret_names)
    tool = open_installation()
    try:
        said = connect_platform(tool, platform_id, given, secrets, deployment_id, by=BY)
    except PlatformError as error:
        click.echo(f"Stored, but it does not work yet: {error.message}", err=True)
        return
    click.echo(f"Connected. {said}")


@click.group()
def deployments() -> None:
    """Places within platforms that may use this tool."""


@deployments.command("list")
@json_option
def list_deployments(as_json: bool) -> None:
    """All deployments; pending ones wait for approval."""
    with open_installation().sessions() as session:
        names = institution_names(session)
        rows = [
            {
                "platform": each.platform_id,
                "deployment": each.deployment_id,
                "institution": names.get(each.institution_id or ""),
                "state": each.state,
                "issuer": each.platform.issuer,
                "guid": each.guid,
                "first_seen_at": each.first_seen_at,
            }
            for each in session.scalars(select(Deployment).order_by(Deployment.first_seen_at))
        ]
        columns = ["platform", "deployment", "institution", "state", "issuer", "first_seen_at"]
        show(rows, columns, as_json=as_json)


@deployments.command()
@click.argument("platform_id", metavar="PLATFORM")
@click.argument("deployment_id", metavar="DEPLOYMENT")
@institution_option
def approve(platform_id: str, deployment_id: str, institution: str | None) -> None:
    """Let a deployment's launches in, as an institution's."""
    tool = open_installation()
    owner = named_institution(tool, institution) if institution else None
    with tool.sessions.begin() as session:
        let_in(session, platform_named(session, platform_id), deployment_id, owner, by=BY)
    click.echo("Approved.")
