"""States of our own that travel through another page and back: used once, in one browser."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, select

from lti_badges.core import clock
from lti_badges.core.crypto import Cipher
from lti_badges.lti.login import LIFE, hashed
from lti_badges.store import Login, Sessions


def keep_state(
    sessions: Sessions, cipher: Cipher, platform_id: str, purpose: str, kept: Mapping[str, Any]
) -> tuple[str, str]:
    """A state for the address and a secret for the browser's cookie, good for ten minutes."""
    state, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with sessions.begin() as session:
        session.add(
            Login(
                state_hash=hashed(state),
                nonce_hash=hashed(purpose),
                browser_hash=hashed(secret),
                platform_id=platform_id,
                stage=purpose,
                launch=cipher.seal(dict(kept)),
                expires_at=clock.now() + LIFE,
            )
        )
    return state, secret


def take_state(
    sessions: Sessions, cipher: Cipher, state: str, purpose: str, cookies: Collection[str]
) -> dict[str, Any] | None:
    """What was kept with a state, once, in the browser that holds its secret; else None. The state
    stays good for its own browser when another one shows it."""
    with sessions.begin() as session:
        row = session.scalar(
            select(Login).where(
                Login.state_hash == hashed(state),
                Login.stage == purpose,
                Login.expires_at > clock.now(),
            )
        )
        if row is None or not any(
            hmac.compare_digest(hashed(each), row.browser_hash) for each in cookies
        ):
            return None
        gone = session.execute(
            delete(Login).where(Login.state_hash == row.state_hash, Login.stage == purpose)
        )
        return cipher.unseal(row.launch) if getattr(gone, "rowcount", 0) else None
