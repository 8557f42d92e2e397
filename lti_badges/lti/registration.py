"""Dynamic registration (LTI Dynamic Registration 1.0): the tool introduces itself to a platform.

What the platform says of itself is read in `platform_configuration`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.core.errors import HttpError, LaunchError
from lti_badges.core.http import Http, Reply, host_of
from lti_badges.lti import ags, nrps
from lti_badges.lti.login import hashed
from lti_badges.lti.offers import filled_in, offered
from lti_badges.lti.platform_configuration import (
    MAX_BYTES,
    Configuration,
    request_headers,
    unusable,
)
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    Deployment,
    Invitation,
    Platform,
    PlatformChange,
    Sessions,
)

TOOL_CONFIGURATION = "https://purl.imsglobal.org/spec/lti-tool-configuration"
INVITATION_LIFE = timedelta(days=7)
SCOPES = (ags.LINEITEM, ags.LINEITEM_READONLY, ags.RESULT_READONLY, ags.SCORE, nrps.SCOPE)
NOTICE_SCOPE = "https://purl.imsglobal.org/spec/lti/scope/noticehandlers"
"""For the Platform Notification Service; only platforms that have it know it."""
CLAIMS = ("iss", "sub", "name", "given_name", "family_name", "email", "locale")
ADDRESSES = ("lms", "auth_login_url", "auth_token_url", "key_set_url", "auth_audience")
"""What makes a registration what it is: launches are believed, and tokens sent, by these."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What the platform answered. `granted` is None when it did not name the scopes."""

    client_id: str
    deployment_id: str | None
    granted: frozenset[str] | None


def invite(
    sessions: Sessions,
    base_url: str,
    lms: str | None = None,
    institution_id: str = DEFAULT_INSTITUTION,
) -> str:
    """A one-time registration address for one platform of one institution, good for a week."""
    secret = secrets.token_urlsafe(24)
    with sessions.begin() as session:
        session.add(
            Invitation(
                secret_hash=hashed(secret),
                institution_id=institution_id,
                lms=lms,
                expires_at=clock.now() + INVITATION_LIFE,
            )
        )
    return f"{base_url}/lti/register?invitation={secret}"


def open_invitation(sessions: Sessions, secret: str) -> str | None:
    """The LMS it was made for, or None for any. Raises LaunchError when it is not good."""
    with sessions() as session:
        found = session.get(Invitation, hashed(secret))
    if found is None or found.used_at is not None or found.expires_at <= clock.now():
        raise LaunchError(
            "This registration address has been used, is older than a week, or was not copied "
            "whole. Make a new one: lti-badges platforms invite",
            code="invitation",
            status=403,
        )
    return found.lms


def tool_registration(
    base_url: str,
    configuration: Configuration,
    *,
    messages: Sequence[Mapping[str, Any]],
    custom_parameters: Mapping[str, str],
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    """What the tool says of itself (LTI-DR §3.6): asks for the scopes, variables, messages and
    placements that the platform offers, or for all of ours where it does not name any."""
    scopes = [scope for scope in (*SCOPES, NOTICE_SCOPE) if scope in configuration.scopes]
    return {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["implicit", "client_credentials"],
        "initiate_login_uri": f"{base_url}/lti/login",
        "redirect_uris": [f"{base_url}/lti/launch"],
        "client_name": "Badges",
        "client_uri": base_url,
        "logo_uri": f"{base_url}/static/medal.svg",
        "jwks_uri": f"{base_url}/lti/jwks.json",
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": " ".join(scopes or SCOPES),
        TOOL_CONFIGURATION: {
            "domain": urlsplit(base_url).netloc,
            "description": "Awards Open Badges for grades and completion.",
            "target_link_uri": f"{base_url}/lti/launch",
            "custom_parameters": filled_in(custom_parameters, configuration.variables),
            "claims": list(CLAIMS),
            "messages": offered(messages, configuration.placements),
            **extras,
        },
    }


def send_registration(
    http: Http,
    configuration: Configuration,
    body: Mapping[str, Any],
    token: str | None,
    *,
    public_only: bool,
) -> Registered:
    """Register. Raises LaunchError with what the platform said."""
    try:
        reply = http.post(
            configuration.registration_endpoint,
            json_body=dict(body),
            headers=request_headers(token),
            public_only=public_only,
            max_bytes=MAX_BYTES,
        )
        answer = reply.json() if reply.ok else None
    except HttpError as error:
        raise unusable(f"{error.message}") from error
    if not isinstance(answer, dict) or not answer.get("client_id"):
        raise unusable(_said(reply))
    tool = answer.get(TOOL_CONFIGURATION)
    deployment = tool.get("deployment_id") if isinstance(tool, dict) else None
    scope = answer.get("scope")
    return Registered(
        client_id=str(answer["client_id"])[:255],
        deployment_id=str(deployment)[:255] if deployment else None,
        granted=frozenset(scope.split()) if isinstance(scope, str) else None,
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a registration: a platform, or, where one of this name is known with other
    addresses, a change (`change_id`) that waits for an admin."""

    platform_id: str
    change_id: str | None = None


def store_registration(
    sessions: Sessions,
    secret: str,
    configuration: Configuration,
    registered: Registered,
    *,
    lms: str,
    trust_all_deployments: bool,
    takes_audience: bool = True,
) -> Stored:
    """A new platform of the invitation's institution, and the invitation used up: in one
    transaction. A platform that is known is never changed by a registration: whoever holds an
    invitation could take another's launches over."""
    with sessions.begin() as session:
        invitation = _used_up(session, secret)
        told = {
            "lms": lms,
            "name": configuration.account or "",
            "auth_login_url": configuration.authorization_endpoint,
            "auth_token_url": configuration.token_endpoint,
            "key_set_url": configuration.jwks_uri,
            "auth_audience": configuration.audience if takes_audience else None,
            "trust_all_deployments": trust_all_deployments,
        }
        platform = session.scalar(
            select(Platform).where(
                Platform.issuer == configuration.issuer,
                Platform.client_id == registered.client_id,
            )
        )
        if platform is None:
            platform = Platform(
                institution_id=invitation.institution_id,
                issuer=configuration.issuer,
                client_id=registered.client_id,
                product={"family": configuration.family},
                **told,
            )
            session.add(platform)
            session.flush()
            if registered.deployment_id:
                _approve(session, platform, registered.deployment_id, invitation.institution_id)
            invitation.platform_id = platform.id
            return Stored(platform.id)
        invitation.platform_id = platform.id
        change = _waiting(session, platform, told, configuration, registered, invitation)
        return Stored(platform.id, change.id if change else None)


def _used_up(session: Session, secret: str) -> Invitation:
    invitation = session.get_one(Invitation, hashed(secret), with_for_update=True)
    if invitation.used_at is not None:
        raise LaunchError(
            "This registration address has just been used by another registration.",
            code="invitation",
            status=403,
        )
    invitation.used_at = clock.now()
    return invitation


def _waiting(
    session: Session,
    platform: Platform,
    told: Mapping[str, Any],
    configuration: Configuration,
    registered: Registered,
    invitation: Invitation,
) -> PlatformChange | None:
    """What would change, noted for an admin of the platform; None when nothing would."""
    own = platform.institution_id == invitation.institution_id and platform.archived_at is None
    changed = {
        name: value
        for name, value in told.items()
        if name in ADDRESSES and getattr(platform, name) != value
    }
    deployments = {each.deployment_id for each in platform.deployments}
    if own and not changed and registered.deployment_id in {None, *deployments}:
        return None
    change = PlatformChange(
        platform_id=platform.id,
        institution_id=platform.institution_id or invitation.institution_id,
        proposed=changed,
        deployment_id=registered.deployment_id,
        source=host_of(configuration.registration_endpoint)[:500],
    )
    session.add(change)
    session.flush()
    return change


def _approve(session: Session, platform: Platform, deployment_id: str, institution_id: str) -> None:
    session.add(
        Deployment(
            platform_id=platform.id,
            institution_id=institution_id,
            deployment_id=deployment_id,
            state="approved",
            approved_at=clock.now(),
        )
    )


def _said(reply: Reply) -> str:
    text = " ".join(reply.text.split())[:300]
    return f"{host_of(reply.url)} did not take the registration (answer {reply.status}): {text}"
