"""Service access tokens: client credentials with a signed assertion (LTI security 1.0 §4)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from uuid import uuid4

import jwt

from lti_badges.core import clock
from lti_badges.core.errors import NoRight, PlatformDown
from lti_badges.core.http import Http, host_of
from lti_badges.core.oauth import Grant, TokenRefused, TokenUnavailable, request_token
from lti_badges.store.signing_keys import SigningKeys

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEPLOYMENT_CLAIM = "https://purl.imsglobal.org/spec/lti/claim/deployment_id"
ASSERTION_LIFE_S = 240
# Moodle checks `iat` without leeway: a clock a little ahead of its own must not matter.
BACKDATED_S = 10
# A platform whose clock is further off than this is asked again, by its own clock.
NOTICED_S, MOST_AHEAD_S = 5.0, 900.0
RENEW_BEFORE_S = 60


@dataclass(frozen=True, slots=True)
class PlatformEndpoint:
    """Where and as whom a platform's services are used. `audience` is what the assertion names;
    the token address, unless the platform says otherwise (LTI security 1.0 §4.1.1)."""

    platform_id: str
    issuer: str
    client_id: str
    token_url: str
    audience: str | None = None
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    until: float


class ServiceTokens:
    """Tokens of one process, per platform and scope set, shared by its threads.

    Kept until shortly before they end; while one thread fetches, the others of the same key wait.
    """

    def __init__(self, http: Http, keys: SigningKeys) -> None:
        self._http = http
        self._keys = keys
        self._held: dict[tuple[str, ...], _Held] = {}
        self._locks: dict[tuple[str, ...], Lock] = {}
        self._ahead: dict[str, float] = {}
        self._guard = Lock()

    def get(self, endpoint: PlatformEndpoint, scopes: frozenset[str]) -> str:
        """A token for the scopes. Raises NoRight (refused) or PlatformDown (no usable answer)."""
        key = _key(endpoint, scopes)
        with self._guard:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            held = self._held.get(key)
            if held is None or held.until <= time.monotonic():
                held = self._held[key] = self._fetch(endpoint, scopes)
            return held.token

    def forget(self, endpoint: PlatformEndpoint, scopes: frozenset[str], token: str) -> None:
        """Drop a token that the platform refused; another thread's newer one stays."""
        key = _key(endpoint, scopes)
        held = self._held.get(key)
        if held is not None and held.token == token:
            self._held.pop(key, None)

    def _fetch(self, endpoint: PlatformEndpoint, scopes: frozenset[str]) -> _Held:
        url = endpoint.token_url
        try:
            try:
                grant = self._asked(endpoint, scopes)
            except TokenRefused as error:
                if not self._learned_clock(url, error.ahead_s):
                    raise
                grant = self._asked(endpoint, scopes)
            return _held(grant, scopes, host_of(url))
        except TokenRefused as error:
            raise NoRight(
                f"{error.message} Check that it can reach the tool's key set and that its services "
                "are switched on for the tool.",
                code=error.code,
            ) from error
        except TokenUnavailable as error:
            raise PlatformDown(
                error.message, retry_after=error.retry_after, code=error.code
            ) from error

    def _asked(self, endpoint: PlatformEndpoint, scopes: frozenset[str]) -> Grant:
        assertion = self.assertion(
            endpoint.client_id,
            endpoint.audience or endpoint.token_url,
            endpoint.deployment_id,
            ahead_s=self._ahead.get(endpoint.token_url, 0.0),
        )
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": " ".join(sorted(scopes)),
        }
        return request_token(self._http, endpoint.token_url, form)

    def _learned_clock(self, token_url: str, ahead_s: float | None) -> bool:
        """Whether a platform that refused us has another clock than we thought, which may be why:
        its assertions must be dated neither in the future nor long ago."""
        known = self._ahead.get(token_url, 0.0)
        if ahead_s is None or abs(ahead_s) > MOST_AHEAD_S or abs(ahead_s - known) <= NOTICED_S:
            return False
        self._ahead[token_url] = ahead_s
        return True

    def assertion(
        self,
        client_id: str,
        audience: str,
        deployment_id: str | None = None,
        *,
        ahead_s: float = 0.0,
    ) -> str:
        """A client assertion signed with our key (RFC 7523): who we are there, and for whom; dated
        by a clock that is so many seconds ahead of ours."""
        key = self._keys.signing_key()
        now = int(time.time() + ahead_s)
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now - BACKDATED_S,
            "exp": now + ASSERTION_LIFE_S,
            "jti": str(uuid4()),
        }
        if deployment_id:
            claims[DEPLOYMENT_CLAIM] = deployment_id
        return jwt.encode(claims, key.private, "RS256", headers={"kid": key.kid})


def _key(endpoint: PlatformEndpoint, scopes: frozenset[str]) -> tuple[str, ...]:
    return (endpoint.platform_id, endpoint.deployment_id or "", *sorted(scopes))


def _held(grant: Grant, scopes: frozenset[str], host: str) -> _Held:
    if grant.scope and not scopes & set(grant.scope.split()):
        raise NoRight(
            f"{host} granted none of the rights we asked for; the tool's services must be "
            "switched on in its registration.",
            code="scope",
        )
    life = (grant.expires_at - clock.now()).total_seconds()
    return _Held(grant.access_token, time.monotonic() + max(5.0, life - RENEW_BEFORE_S))
