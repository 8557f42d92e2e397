"""Token buckets that all processes share: in Redis where the queue is, else in the database.

One statement or script for each call, and the server's own clock: machines whose clocks differ
count alike.
"""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from typing import Protocol

from redis import Redis
from sqlalchemy import Engine, Float, String, text
from sqlalchemy.orm import Mapped, mapped_column

from lti_badges.store.base import Base
from lti_badges.store.session import for_writing

FORGET = timedelta(hours=1)
"""A bucket that nobody asked for so long is full again."""
REDIS_WAIT_S = 0.25


class LimitBucket(Base):
    """The tokens that were left at a moment (seconds since 1970). `key` tells nobody's address."""

    __tablename__ = "limit_buckets"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    tokens: Mapped[float] = mapped_column(Float)
    at: Mapped[float] = mapped_column(Float)


class SharedBuckets(Protocol):
    """Where the buckets are kept."""

    def take(self, name: str, rate: float, size: float) -> bool:
        """Whether a token was left in the bucket of this name, which takes it: `rate` flow in each
        second, up to `size`. Raises SQLAlchemyError or RedisError."""
        ...


def open_buckets(engine: Engine, queue_url: str) -> SharedBuckets:
    """Those of an installation."""
    if queue_url.partition("://")[0] in {"redis", "rediss", "unix"}:
        return RedisBuckets(queue_url)
    return StoredBuckets(engine)


class StoredBuckets:
    """In the database: one upsert, in a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = for_writing(engine)
        own_clock = engine.dialect.name == "postgresql"
        self._now = "extract(epoch FROM clock_timestamp())" if own_clock else ":now"
        least, most = ("LEAST", "GREATEST") if own_clock else ("min", "max")
        flowed = f"{most}(0, {self._now} - limit_buckets.at) * :rate"
        left = f"{least}(:size, limit_buckets.tokens + {flowed})"
        self._take = text(
            "INSERT INTO limit_buckets (key, tokens, at) "  # noqa: S608 - our own words
            f"VALUES (:key, :size - 1, {self._now}) "
            f"ON CONFLICT (key) DO UPDATE SET tokens = {left} - 1, at = {self._now} "
            f"WHERE {left} >= 1 RETURNING key"
        )

    def take(self, name: str, rate: float, size: float) -> bool:
        """See `SharedBuckets`."""
        given = {"key": _key(name), "rate": rate, "size": size, "now": time.time()}
        with self._engine.begin() as connection:
            return connection.execute(self._take, given).first() is not None

    def forget_full(self) -> int:
        """Drop the buckets that are full again. Returns how many."""
        until = f"{self._now} - {FORGET.total_seconds()}"
        with self._engine.begin() as connection:
            gone = connection.execute(
                text(f"DELETE FROM limit_buckets WHERE at < {until}"),  # noqa: S608 - our own words
                {"now": time.time()},
            )
        return gone.rowcount


_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local rate, size = tonumber(ARGV[1]), tonumber(ARGV[2])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(held[1]) or size
local left = math.min(size, tokens + math.max(0, now - (tonumber(held[2]) or now)) * rate)
if left < 1 then return 0 end
redis.call('HSET', KEYS[1], 'tokens', tostring(left - 1), 'at', tostring(now))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


class RedisBuckets:
    """In Redis: one script."""

    def __init__(self, url: str) -> None:
        client: Redis = Redis.from_url(
            url, socket_timeout=REDIS_WAIT_S, socket_connect_timeout=REDIS_WAIT_S
        )
        self._script = client.register_script(_SCRIPT)

    def take(self, name: str, rate: float, size: float) -> bool:
        """See `SharedBuckets`."""
        key, forget = f"lti-badges:limit:{_key(name)}", int(FORGET.total_seconds())
        return bool(self._script(keys=[key], args=[rate, size, forget]))


def _key(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
