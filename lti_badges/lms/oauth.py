"""OAuth 2 tokens of the LMSes' own APIs: asking for them, and how they are stored."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import HttpError, NoRight, PlatformDown
from lti_badges.core.http import Http, Reply, host_of

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
) -> Mapping[str, Any]:
    """An OAuth 2 token answer. Raises NoRight (refused) or PlatformDown."""
    headers = {"Accept": "application/json"}
    if basic:
        packed = base64.b64encode(f"{basic[0]}:{basic[1]}".encode()).decode()
        headers["Authorization"] = f"Basic {packed}"
    try:
        reply = http.post(url, form=form, headers=headers)
    except HttpError as error:
        raise PlatformDown(error.message, code=error.code) from error
    if reply.status in {400, 401, 403}:
        raise NoRight(
            f"{host_of(url)} refuses the connection's credentials; connect it anew.",
            code="token_refused",
        )
    answer = parsed(reply) if reply.ok else None
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        raise PlatformDown(f"{host_of(url)} gave no access token (answer {reply.status}).")
    return answer


def is_fresh(values: Mapping[str, str]) -> bool:
    """Whether the access token still counts."""
    try:
        return bool(values.get(TOKEN)) and clock.parse_iso(values[UNTIL]) > clock.now()
    except (KeyError, ValueError):
        return False


def kept(answer: Mapping[str, Any]) -> dict[str, str]:
    """What to store of a token answer."""
    life = answer.get("expires_in")
    seconds = timedelta(seconds=life if isinstance(life, int | float) and life > 0 else 3600)
    until = clock.now() + max(seconds - RENEW_BEFORE, timedelta(seconds=30))
    stored = {TOKEN: str(answer["access_token"]), UNTIL: clock.iso(until)}
    if isinstance(answer.get("refresh_token"), str):
        stored["refresh_token"] = str(answer["refresh_token"])
    return stored
