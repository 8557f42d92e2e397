"""Single sign-on for the console: OpenID Connect, authorization code with PKCE.

The provider is the operator's (`LTI_BADGES_SSO_ISSUER`); whom it vouches for is let in only if an
admin of that address is known. Source: OpenID Connect core 1.0 §3.1, discovery 1.0.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lti_badges.context import ToolContext
from lti_badges.core import clock, text
from lti_badges.core.errors import HttpError, LaunchError, SettingsError
from lti_badges.core.http import host_of
from lti_badges.core.links import with_query
from lti_badges.core.oauth import (
    TokenRefused,
    TokenUnavailable,
    consent_url,
    new_verifier,
    request_token,
)
from lti_badges.lti.id_token import verified_claims
from lti_badges.settings import checked_url

SCOPE = "openid email profile"
LIFE_S = 600
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the provider names: its own id for them, and an address only if it verified it."""

    subject: str
    email: str | None


def begin(tool: ToolContext, back: str) -> tuple[str, str]:
    """(where the browser is sent, what its cookie keeps meanwhile, sealed). Raises LaunchError."""
    provider = _discovered(tool)
    kept = {
        "state": secrets.token_urlsafe(32),
        "nonce": secrets.token_urlsafe(32),
        "verifier": new_verifier(),
        "until": str(clock.now().timestamp() + LIFE_S),
    }
    url = consent_url(
        provider["authorization_endpoint"],
        client_id=tool.settings.sso_client_id,
        redirect_uri=back,
        scope=SCOPE,
        state=kept["state"],
        verifier=kept["verifier"],
    )
    return with_query(url, nonce=kept["nonce"]), tool.cipher.seal(kept)


def finish(tool: ToolContext, answer: Mapping[str, str], cookie: str, back: str) -> Vouched:
    """Whom the answer vouches for: ours, for this browser, just now. Raises LaunchError."""
    kept = _kept(tool, cookie)
    if not kept or not _same(kept["state"], answer.get("state", "")):
        raise _refused("it took too long, or was begun in another browser; begin anew", "state")
    if not answer.get("code"):
        said = text.line(answer.get("error_description") or answer.get("error"), 200) or "no code"
        raise _refused(f"the provider says: {said}", "provider")
    provider, settings = _discovered(tool), tool.settings
    client = (settings.sso_client_id, settings.sso_client_secret.get_secret_value())
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": back,
        "code_verifier": kept["verifier"],
        "client_id": client[0],
    }
    try:
        token = request_token(tool.http, provider["token_endpoint"], form, basic=client).id_token
    except (TokenRefused, TokenUnavailable) as error:
        raise _refused(error.message, error.code) from error
    try:
        claims = verified_claims(
            token or "",
            issuer=settings.sso_issuer,
            client_id=client[0],
            key_set_url=provider["jwks_uri"],
            key_sets=tool.key_sets,
        )
    except LaunchError as error:
        raise _refused("what the provider signed can’t be taken", error.code) from error
    if not _same(kept["nonce"], str(claims["nonce"])):
        raise _refused("the provider answers another sign-in", "nonce")
    subject = text.optional_identifier(claims.get("sub"))
    if subject is None:
        raise _refused("the provider does not say who it is", "sub")
    verified = claims.get("email_verified") is True
    email = text.email(claims.get("email")) if verified else None
    return Vouched(f"{settings.sso_issuer}#{subject}", email.lower() if email else None)


def _kept(tool: ToolContext, cookie: str) -> Mapping[str, str]:
    try:
        kept = tool.cipher.unseal(cookie)
    except SettingsError:  # anybody may send any cookie
        return {}
    whole = kept.keys() >= {"state", "nonce", "verifier", "until"}
    return kept if whole and float(kept["until"]) > clock.now().timestamp() else {}


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _discovered(tool: ToolContext) -> dict[str, str]:
    """The provider's endpoints, by discovery at its issuer address."""
    issuer = tool.settings.sso_issuer
    if not issuer:
        raise LaunchError("Single sign-on is not set up here.", code="sso", status=404)
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        reply = tool.http.get(url, headers={"Accept": "application/json"}, max_bytes=300_000)
        found: Any = reply.json() if reply.ok else None
    except HttpError as error:
        raise _refused(error.message, error.code) from error
    if not isinstance(found, dict) or found.get("issuer") != issuer:
        raise _refused(f"{host_of(url)} does not describe a provider of that name", "discovery")
    endpoints = {}
    for name in ENDPOINTS:
        try:
            endpoints[name] = checked_url(str(found.get(name, "")), name)
        except ValueError as error:
            raise _refused(str(error), "discovery") from None
    return endpoints


def _refused(why: str, code: str) -> LaunchError:
    return LaunchError(f"The sign-in did not work: {why.rstrip('.')}.", code=code, status=401)
