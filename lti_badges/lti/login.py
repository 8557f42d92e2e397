"""The third-party-initiated login (LTI security 1.0 §5.1.1): from the platform to its own login."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.core.errors import LaunchError
from lti_badges.core.links import web_origin, with_query
from lti_badges.core.text import is_clean
from lti_badges.lti.claims import is_own
from lti_badges.store import Login, Platform, Sessions

LIFE = timedelta(minutes=10)
MAX_HINT = 100_000


@dataclass(frozen=True, slots=True)
class Started:
    """A login under way. The browser keeps `secret` (cookie or platform storage) to prove itself
    at the launch; `storage_target` is the frame that offers platform storage, if one does."""

    redirect_url: str
    state: str
    secret: str
    storage_target: str | None
    storage_origin: str


def begin_login(sessions: Sessions, base_url: str, given: Mapping[str, str]) -> Started:
    """Check a login request and remember it for ten minutes. Raises LaunchError; then nothing is
    stored."""
    issuer, login_hint = _needed(given, "iss"), _needed(given, "login_hint")
    if not is_own(_needed(given, "target_link_uri"), base_url):
        raise LaunchError(
            "The LMS wants to open a link of another site with this tool; its link address must "
            f"begin with {base_url}.",
            code="foreign_target",
        )
    state, nonce, secret = (secrets.token_urlsafe(32) for _ in range(3))
    storage_target = given.get("lti_storage_target") or None
    with sessions.begin() as session:
        platform = _platform(session, issuer, given.get("client_id") or None)
        session.add(
            Login(
                state_hash=hashed(state),
                nonce_hash=hashed(nonce),
                browser_hash=hashed(secret),
                platform_id=platform.id,
                storage_target=storage_target[:255] if storage_target else None,
                expires_at=clock.now() + LIFE,
            )
        )
    asked = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": platform.client_id,
        "redirect_uri": f"{base_url}/lti/launch",
        "login_hint": login_hint,
        "state": state,
        "nonce": nonce,
    }
    if given.get("lti_message_hint"):
        asked["lti_message_hint"] = _needed(given, "lti_message_hint")
    return Started(
        redirect_url=with_query(platform.auth_login_url, **asked),
        state=state,
        secret=secret,
        storage_target=storage_target,
        storage_origin=web_origin(platform.auth_login_url) or "",
    )


def forget_expired(sessions: Sessions) -> int:
    """Drop logins that nobody finished. Returns how many."""
    with sessions.begin() as session:
        gone = session.execute(delete(Login).where(Login.expires_at < clock.now()))
    return int(getattr(gone, "rowcount", 0))


def hashed(secret: str) -> str:
    """What is kept of a secret: who reads the table can't continue a login."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _platform(session: Session, issuer: str, client_id: str | None) -> Platform:
    """By issuer and client id: issuers are shared by institutions (Canvas, Blackboard)."""
    query = select(Platform).where(Platform.issuer == issuer, Platform.archived_at.is_(None))
    if client_id is not None:
        query = query.where(Platform.client_id == client_id)
    found = list(session.scalars(query.limit(2)))
    if len(found) == 1:
        return found[0]
    if found:
        raise LaunchError(
            "Several registrations share this LMS's name, and the LMS did not say which one is "
            "meant (client_id).",
            code="ambiguous_platform",
        )
    raise LaunchError(
        "This LMS is not registered with this tool. Your LMS admin can register it; the issuer "
        f"it sent is “{issuer[:200]}”.",
        code="unknown_platform",
        status=403,
    )


def _needed(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if len(value) > MAX_HINT:
        raise LaunchError(f"The LMS sent a {name} that is far too long.", code=f"no_{name}")
    if not value or not is_clean(value):
        raise LaunchError(
            f"This address is opened by an LMS, not by hand: “{name}” is missing. Open the tool "
            "from your course.",
            code=f"no_{name}",
        )
    return value
