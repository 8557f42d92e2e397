"""Access tokens of backends: fetched once for all threads and workers, kept sealed in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock

from lti_badges.backends.base import BackendConfig
from lti_badges.core import clock
from lti_badges.core.errors import Unavailable
from lti_badges.core.oauth import Grant
from lti_badges.store.leases import LeaseTimeout, alone

RENEW_BEFORE = timedelta(seconds=60)
NEW_FOR = timedelta(seconds=60)
LOCK_FOR = timedelta(seconds=90)
WAIT_S = 45.0

_process_locks: dict[str, Lock] = {}
_process_locks_guard = Lock()


Renew = Callable[[Mapping[str, str]], Grant]
"""Fetches a token with the secrets as they are now. Raises BackendError."""


class TokenStore:
    """Hands out one backend's access token; renews it under a lock that all workers share.

    A rotated refresh token is stored together with the access token it came with, before either
    is used, so that a crash never leaves us with a refresh token that is already spent.
    """

    def __init__(
        self, config: BackendConfig, renew: Renew, spacing: timedelta | None = None
    ) -> None:
        self._config = config
        self._renew = renew
        self._spacing = spacing
        self._known: Mapping[str, str] = config.secrets

    def token(self) -> str:
        """The current token, fetched if there is none or it is about to end."""
        return _current(self._known) or self.renewed(instead_of=None)

    def renewed(self, instead_of: str | None) -> str:
        """A token other than `instead_of`, which the server refused. Another worker's new token
        is taken when there is one already."""
        with self.alone():
            secrets = dict(self._config.load_secrets())
            held = _current(secrets)
            if held and held != instead_of:
                self._known = secrets
                return held
            self._keep_distance(secrets)
            return self._kept(secrets, self._renew(secrets))

    def is_new(self, token: str) -> bool:
        """Whether this token was fetched within the last minute: it counts, for its login did."""
        secrets = self._known
        fetched = secrets.get("access_token_from")
        same = secrets.get("access_token") == token and fetched is not None
        return same and clock.now() - clock.parse_iso(str(fetched)) < NEW_FOR

    def adopt(self, fetch: Renew) -> None:
        """Take the tokens that a person's consent was exchanged for, in the place of any others."""
        with self.alone():
            secrets = dict(self._config.load_secrets())
            self._kept(secrets, fetch(secrets))

    def _kept(self, secrets: dict[str, str], grant: Grant) -> str:
        secrets["access_token"] = grant.access_token
        secrets["access_token_until"] = grant.expires_at.isoformat()
        secrets["access_token_from"] = clock.now().isoformat()
        if grant.refresh_token:
            secrets["refresh_token"] = grant.refresh_token
        self._config.save_secrets(secrets)
        self._known = secrets
        return grant.access_token

    def _keep_distance(self, secrets: Mapping[str, str]) -> None:
        fetched = secrets.get("access_token_from")
        if not (self._spacing and fetched):
            return
        due = clock.parse_iso(fetched) + self._spacing
        if due > clock.now():
            wait = (due - clock.now()).total_seconds()
            raise Unavailable(
                "The server gives a new token only every few seconds.", retry_after=wait
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else, in any worker, changes what this backend's login has gained meanwhile."""
        key = f"token:{self._config.id}"
        with _process_locks_guard:
            lock = _process_locks.setdefault(key, Lock())
        if not lock.acquire(timeout=WAIT_S):
            raise Unavailable("Another delivery has been logging in to the backend for too long.")
        try:
            with alone(self._config.sessions, key, LOCK_FOR, WAIT_S):
                yield
        except LeaseTimeout:
            raise Unavailable(
                "Another worker has been logging in to the backend for too long."
            ) from None
        finally:
            lock.release()


def _current(secrets: Mapping[str, str]) -> str | None:
    until = secrets.get("access_token_until")
    if not until or clock.parse_iso(until) - RENEW_BEFORE <= clock.now():
        return None
    return secrets.get("access_token")
