"""How often one client, and one platform, may call what anybody can call.

Token buckets that all processes share. A whole campus may come from one address: the limits let a
lecture in, and stop a machine. Where the shared buckets don't answer, nobody is refused for that:
each process counts by itself until they do.
"""

from __future__ import annotations

import math
import time
from threading import Lock

import structlog
from flask import Flask, request
from redis import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from lti_badges.core.backoff import Bucket
from lti_badges.core.errors import LtiBadgesError
from lti_badges.settings import Settings
from lti_badges.store.shared_limits import SharedBuckets, open_buckets

MOST_KEPT = 20_000
ASKED_AGAIN_S = 10.0
"""How long shared buckets that failed are left alone: no request waits for them meanwhile."""
# Endpoint: (at once, in each second), for one client.
CLIENT = {
    "launch.login": (100, 5.0),
    "launch.land": (100, 5.0),
    "launch.proof": (60, 2.0),
    "launch.window": (60, 2.0),
    "launch.confirm": (60, 2.0),
    "registration.register": (10, 0.1),
    "registration.notices": (60, 5.0),
    "events.push": (300, 30.0),
    "public.check_recipient": (20, 0.033),
    "admin.sso": (20, 0.5),
    "admin.sso_back": (20, 0.5),
    "verifying.verify": (20, 0.1),
    "sign_in.begin": (20, 0.5),
    "sign_in.back": (20, 0.5),
}
PLATFORM_FACTOR = 10
"""One platform may have ten clients' share of logins."""

log = structlog.get_logger("lti_badges.limits")


class TooMany(LtiBadgesError):
    """Too many calls in too short a time."""

    code = "too_many"
    status = 429


class Limits:
    """The shared buckets, and this process's own for when they don't answer; `factor` widens all of
    them."""

    def __init__(self, factor: int, shared: SharedBuckets) -> None:
        self._factor = factor
        self._shared = shared
        self._asked_again_at = 0.0
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._guard = Lock()

    def take(self, endpoint: str, who: str, share: int = 1) -> bool:
        """Whether there was a token left for `who` at the endpoint."""
        size, rate = CLIENT[endpoint]
        many, now = self._factor * share, time.monotonic()
        if now >= self._asked_again_at:
            try:
                return self._shared.take(f"{endpoint} {who}", rate * many, size * many)
            except (RedisError, SQLAlchemyError, OSError) as error:
                self._asked_again_at = time.monotonic() + ASKED_AGAIN_S
                log.warning("shared_limits_unavailable", error=type(error).__name__)
        return self._own(endpoint, who, rate * many, size * many, now)

    def _own(self, endpoint: str, who: str, rate: float, size: float, now: float) -> bool:
        key = (endpoint, who)
        with self._guard:
            if len(self._buckets) >= MOST_KEPT and key not in self._buckets:
                self._buckets.clear()
            held = self._buckets.get(key) or Bucket.full(rate, size, now)
            left = held.taken(now)
            self._buckets[key] = left or held
        return left is not None


def prepare(app: Flask, settings: Settings, database: Engine) -> None:
    """Count the calls; a factor of 0 counts none."""
    factor = settings.limits
    if factor <= 0:
        return
    limits = Limits(factor, open_buckets(database, settings.queue_url))

    def check() -> None:
        endpoint = request.endpoint or ""
        if endpoint not in CLIENT:
            return
        ours = limits.take(endpoint, f"client {request.remote_addr}")
        if ours and endpoint == "launch.login":
            issuer = request.values.get("iss", "")[:500]
            ours = limits.take(endpoint, f"platform {issuer}", PLATFORM_FACTOR)
        if not ours:
            _, rate = CLIENT[endpoint]
            wait = math.ceil(1 / (rate * factor))
            raise TooMany(f"Too many requests came from here at once. Try again in {wait} s.")

    app.before_request(check)
