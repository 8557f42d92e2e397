"""OAuth 2.0 as a client, once for all: tokens, consent pages, PKCE and registration.

Client credentials, password, refresh and authorization code (RFC 6749), PKCE (RFC 7636), dynamic
registration (RFC 7591). Servers answer in forms of their own: JSON as `text/html` (Moodle), the
life of a token as text, or none; a throttled login tells its time in the body (Badgr).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import HttpError, LtiBadgesError, NotSent
from lti_badges.core.http import Http, Reply, host_of
from lti_badges.core.links import with_query

DEFAULT_LIFE_S = 3600.0
LONGEST_LIFE_S = 10 * 365 * 86_400.0
MOST_WAIT_S = 86_400.0
REFRESH = "refresh_token"


@dataclass(frozen=True, slots=True)
class Grant:
    """A token endpoint's answer: the token, when it ends, the refresh token, the scopes (as given,
    blank-separated) and an unchecked id_token if it named any."""

    access_token: str
    expires_at: datetime
    refresh_token: str | None = None
    scope: str | None = None
    id_token: str | None = None


class TokenRefused(LtiBadgesError):
    """The server says no to client, person or code; `said` are its own words, if any, `status` its
    HTTP status, `ahead_s` how many seconds its clock is ahead of ours, if it told."""

    code = "token_refused"

    def __init__(
        self, message: str, *, said: str, status: int, ahead_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.said = said
        self.status = status
        self.ahead_s = ahead_s


class TokenUnavailable(LtiBadgesError):
    """No usable answer: down, throttled (`retry_after` seconds where it named a time), unreadable,
    or lost; a refresh token may be spent then."""

    code = "token_unavailable"

    def __init__(
        self, message: str, *, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


def request_token(
    http: Http, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
) -> Grant:
    """Ask a token endpoint; `basic` are client id and secret to be sent in the header (RFC 6749
    §2.3.1), otherwise they are in the form. Raises TokenRefused and TokenUnavailable."""
    headers = {"Accept": "application/json"}
    if basic:
        headers["Authorization"] = basic_authorization(*basic)
    host = host_of(url)
    try:
        reply = http.post(url, form=form, headers=headers)
    except NotSent as error:
        raise TokenUnavailable(error.message, code=error.code) from error
    except HttpError as error:
        raise TokenUnavailable(_lost(error.message, form), code=error.code) from error
    answer = _object(reply)
    if reply.status == 429:
        raise TokenUnavailable(
            f"{host} lets nobody log in just now, after too many attempts; it is tried again by "
            "itself. If the login was changed, correct it here.",
            code="throttled",
            retry_after=reply.retry_after or _seconds(answer.get("expires")),
        )
    if reply.status >= 500:
        message = f"{host} gives no access token (error {reply.status})."
        raise TokenUnavailable(_lost(message, form), retry_after=reply.retry_after)
    if 400 <= reply.status < 500 and reply.status not in {404, 405, 408, 425}:
        said = str(answer.get("error_description") or answer.get("error") or "")[:200]
        words = f" (“{said}”)" if said else ""
        raise TokenRefused(
            f"{host} refuses the login with error {reply.status}{words}.",
            said=said,
            status=reply.status,
            ahead_s=reply.ahead_s,
        )
    token = answer.get("access_token")
    if not reply.ok or not isinstance(token, str) or not token:
        raise TokenUnavailable(
            f"{host} gave no access token (answer {reply.status}); check the address.",
            code="no_token",
        )
    refresh, scope, signed = answer.get(REFRESH), answer.get("scope"), answer.get("id_token")
    return Grant(
        token,
        clock.now() + timedelta(seconds=_life(answer.get("expires_in"))),
        refresh if isinstance(refresh, str) and refresh else None,
        scope if isinstance(scope, str) and scope.strip() else None,
        signed if isinstance(signed, str) and signed else None,
    )


def consent_url(
    page: str,
    *,
    client_id: str,
    redirect_uri: str,
    scope: str,
    state: str,
    verifier: str | None = None,
) -> str:
    """Where a person lets the tool in (authorization code), with PKCE if there is a `verifier`."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": state,
    }
    if verifier is not None:
        digest = hashlib.sha256(verifier.encode()).digest()
        query["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query["code_challenge_method"] = "S256"
    return with_query(page, **query)


def new_verifier() -> str:
    """A PKCE verifier; it serves once."""
    return secrets.token_urlsafe(48)


def register(http: Http, url: str, wish: Mapping[str, Any]) -> tuple[str, str]:
    """Dynamic registration: (client id, secret), the secret empty where there is none. Raises
    TokenRefused and TokenUnavailable."""
    try:
        reply = http.post(url, json_body=dict(wish), headers={"Accept": "application/json"})
    except HttpError as error:
        raise TokenUnavailable(error.message, code=error.code) from error
    answer, host = _object(reply), host_of(url)
    if reply.status >= 500 or reply.status == 429:
        raise TokenUnavailable(
            f"{host} takes no registrations now (error {reply.status}).",
            retry_after=reply.retry_after,
        )
    if not reply.ok or not answer.get("client_id"):
        said = str(answer.get("error_description") or answer.get("error") or reply.status)[:200]
        raise TokenRefused(
            f"{host} did not register this tool: {said}.", said=said, status=reply.status
        )
    return str(answer["client_id"]), str(answer.get("client_secret") or "")


def basic_authorization(user: str, password: str) -> str:
    """The header's value. Not form-encoded first, whatever RFC 6749 says: servers don't decode."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _lost(message: str, form: Mapping[str, str]) -> str:
    if form.get("grant_type") != REFRESH:
        return message
    return (
        f"{message} The answer to a refresh of the login may be lost, and its refresh token spent: "
        "it is tried once more by itself; if it is refused then, sign in again."
    )


def _object(reply: Reply) -> dict[str, Any]:
    try:
        answer = reply.json()
    except HttpError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _life(told: Any) -> float:
    seconds = _seconds(told)
    return DEFAULT_LIFE_S if seconds is None else min(seconds, LONGEST_LIFE_S)


def _seconds(told: Any) -> float | None:
    """A number of seconds above 0, also where it comes as text; None for anything else."""
    if isinstance(told, str) and told.isascii() and told.isdigit():
        told = int(told[:12])
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return float(told) if 0 < told < float("inf") else None
