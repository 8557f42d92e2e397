"""An LMS's registration as an admin enters or corrects it by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from lti_badges import lms
from lti_badges.catalogue.configuration import (
    approve_deployment,
    is_theirs_alone,
    platform_named,
)
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, NotAllowed
from lti_badges.core.http import host_of
from lti_badges.core.text import OddText, identifier, line
from lti_badges.ledger.audit import record
from lti_badges.lti.platform_configuration import is_at
from lti_badges.settings import checked_url
from lti_badges.store import Platform

URLS = {
    "auth_login_url": "login address",
    "auth_token_url": "token address",
    "key_set_url": "key set address",
}
"""By these launches are believed, and tokens sent."""
MAX_NAME, MAX_ISSUER, MAX_AUDIENCE = 255, 500, 2000


def add_platform(
    installation: ToolContext, institution_id: str, given: Mapping[str, str], *, by: str
) -> str:
    """Register an LMS of an institution by hand, with its first deployment if one is named. Returns
    its id. Raises InvalidInput, also for one that is registered already, whoever has it."""
    kind = given.get("lms", "")
    if kind not in lms.LMSES:
        raise InvalidInput("Choose which LMS it is.", field="lms")
    issuer = _id(given, "issuer", "issuer", MAX_ISSUER)
    client_id = _id(given, "client_id", "client id", 255)
    values = _values(kind, issuer, given, is_operator=False)
    with installation.sessions.begin() as session:
        same = (Platform.issuer == issuer, Platform.client_id == client_id)
        if session.scalar(select(Platform.id).where(*same)):
            raise InvalidInput(
                "An LMS with this issuer and client id is registered already.", field="client_id"
            )
        platform = Platform(
            institution_id=institution_id, lms=kind, issuer=issuer, client_id=client_id, **values
        )
        session.add(platform)
        session.flush()
        if given.get("deployment", "").strip():
            deployment_id = _id(given, "deployment", "deployment id", 255)
            approve_deployment(platform, deployment_id, institution_id)
        record(
            session,
            "platform_added",
            actor=by,
            institution_id=institution_id,
            platform=platform.name or issuer,
            issuer=issuer,
            client_id=client_id,
        )
        return platform.id


def edit_platform(
    tool: ToolContext, platform_id: str, given: Mapping[str, str], *, by: str
) -> None:
    """Change a registration's name, addresses and trust; issuer and client id are what it is. One
    that institutions share is the operator's to change. Raises InvalidInput, NotAllowed and
    NotFound."""
    with tool.sessions.begin() as session:
        platform = platform_named(session, platform_id)
        if not is_theirs_alone(tool, platform):
            raise NotAllowed("Institutions share this LMS: only an operator can change it.")
        is_operator = tool.institution_id is None
        values = _values(platform.lms, platform.issuer, given, is_operator=is_operator)
        changes = {
            name: [getattr(platform, name), value]
            for name, value in values.items()
            if getattr(platform, name) != value
        }
        for name, (_, value) in changes.items():
            setattr(platform, name, value)
        if changes:
            record(
                session,
                "platform_edited",
                actor=by,
                institution_id=platform.institution_id,
                platform=platform.name or platform.issuer,
                changes=changes,
            )


def _values(
    kind: str, issuer: str, given: Mapping[str, str], *, is_operator: bool
) -> dict[str, Any]:
    values: dict[str, Any] = {"name": line(given.get("name", ""), MAX_NAME) or ""}
    vendor = lms.of(kind)
    for name, label in URLS.items():
        address = given.get(name, "").strip()
        try:
            values[name] = checked_url(address, f"The {label}")
        except ValueError as error:
            raise InvalidInput(f"{error}.", field=name) from None
        shared = issuer.rstrip("/") in vendor.shared_issuers
        if shared and not is_operator and not is_at(address, vendor.endpoint_hosts):
            raise InvalidInput(
                f"{issuer} is shared by all customers of {vendor.label}: the {label} can’t be at "
                f"{host_of(address)}, which is none of that LMS’s own hosts.",
                field=name,
            )
    audience = given.get("auth_audience", "").strip()
    if len(audience) > MAX_AUDIENCE:
        raise InvalidInput("The audience is too long.", field="auth_audience")
    values["auth_audience"] = audience or None
    values["trust_all_deployments"] = given.get("trust_all_deployments") == "on"
    return values


def _id(given: Mapping[str, str], name: str, label: str, limit: int) -> str:
    try:
        return identifier(given.get(name, "").strip(), limit)
    except OddText as error:
        raise InvalidInput(f"The {label} can’t be taken: {error}.", field=name) from None
