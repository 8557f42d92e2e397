"""Platforms' key sets: fetched once, fetched again for an unknown key, but not at anybody's will.

Anyone can send a token with a made-up `kid`; so refetching is rationed per key set (a few at once,
then one every ten seconds), while a rotated key is still picked up on the next launch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock

import jwt

from lti_badges.core.backoff import Bucket
from lti_badges.core.errors import LaunchError
from lti_badges.core.http import Http, host_of
from lti_badges.core.jwk import read_key_set

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512"})
KEEP_S = 3600.0
BURST = 5
REFILL_S = 10.0


@dataclass(slots=True)
class _Cached:
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    fetched_at: float = float("-inf")
    fetches: Bucket = field(default_factory=lambda: Bucket.full(1 / REFILL_S, BURST))
    lock: Lock = field(default_factory=Lock)


class KeySets:
    """The key sets of one process, shared by its threads."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._sets: dict[str, _Cached] = {}
        self._guard = Lock()

    def key(self, url: str, kid: str) -> jwt.PyJWK:
        """The platform's key. Raises LaunchError when there is none or the set can't be read."""
        with self._guard:
            cached = self._sets.setdefault(url, _Cached())
        with cached.lock:
            stale = time.monotonic() - cached.fetched_at > KEEP_S
            if (stale or kid not in cached.keys) and _may_fetch(cached):
                self._refresh(url, cached)
            if kid in cached.keys:
                return cached.keys[kid]
        raise LaunchError(
            "The launch is signed with a key that the LMS does not publish. Open the link in your "
            "course again; if it goes on, tell your LMS admin.",
            code="unknown_key",
        )

    def check(self, url: str) -> int:
        """How many usable keys the set holds, read now. Raises LaunchError."""
        return len(self._fetch(url))

    def _refresh(self, url: str, cached: _Cached) -> None:
        try:
            cached.keys = self._fetch(url)
        except LaunchError:
            if not cached.keys:  # an old set is better than none while the LMS is away
                raise
        cached.fetched_at = time.monotonic()

    def _fetch(self, url: str) -> dict[str, jwt.PyJWK]:
        keys = read_key_set(self._http, url)
        if keys is None:
            raise LaunchError(
                f"The keys of your LMS can't be read from {host_of(url)} just now, so the launch "
                "can't be checked. Try again in a minute.",
                code="key_set_unreadable",
            )
        return keys


def _may_fetch(cached: _Cached) -> bool:
    left = cached.fetches.taken(time.monotonic())
    cached.fetches = left or cached.fetches
    return left is not None
