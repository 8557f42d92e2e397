"""OAuth 2 tokens of the LMSes' own APIs: asking for them, and how they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import HttpError, NoRight, PlatformDown
from lti_badges.core.http import Http, Reply, host_of
from lti_badges.core.oauth import Grant, TokenRefused, TokenUnavailable, request_token

TOKEN, UNTIL = "access_token", "access_until"
RENEW_BEFORE = timedelta(seconds=60)


def parsed(reply: Reply) -> Any:
    """The answer's JSON. Raises PlatformDown."""
    try:
        return reply.json()
    except HttpError as error:
        raise PlatformDown(error.message, code="unreadable") from error


def token_request(
    http: Http, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
) -> dict[str, str]:
    """What to store of an OAuth 2 token answer. Raises NoRight (refused) or PlatformDown."""
    try:
        return _kept(request_token(http, url, form, basic=basic))
    except TokenRefused as error:
        raise NoRight(
            f"{host_of(url)} refuses the connection's credentials; connect it anew.",
            code="token_refused",
        ) from error
    except TokenUnavailable as error:
        raise PlatformDown(error.message, retry_after=error.retry_after, code=error.code) from error


def is_fresh(values: Mapping[str, str]) -> bool:
    """Whether the access token still counts."""
    try:
        return bool(values.get(TOKEN)) and clock.parse_iso(values[UNTIL]) > clock.now()
    except (KeyError, ValueError):
        return False


def _kept(grant: Grant) -> dict[str, str]:
    soonest = clock.now() + timedelta(seconds=30)
    stored = {
        TOKEN: grant.access_token,
        UNTIL: clock.iso(max(grant.expires_at - RENEW_BEFORE, soonest)),
    }
    if grant.refresh_token:
        stored["refresh_token"] = grant.refresh_token
    return stored
