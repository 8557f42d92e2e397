"""Waiting: after failures, as a server asks, and between calls."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

JITTER = 0.25
MOST_DOUBLINGS = 30


def wait_after(
    failures: int, first: timedelta, most: timedelta, *, retry_after: float | None = None
) -> timedelta:
    """How long to wait after so many failures in a row (from 1 on): doubled each time up to `most`,
    a quarter more or less so that many don't come back in step; never less than a server's
    `Retry-After` (seconds)."""
    doubled = first * (1 << min(max(failures - 1, 0), MOST_DOUBLINGS))
    wait = min(doubled, most) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return max(wait, timedelta(seconds=retry_after or 0))


def later(moment: datetime | None, other: datetime) -> datetime:
    """The later of a moment that may be missing and another."""
    return other if moment is None else max(moment, other)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: `rate` tokens flow in each second, up to `size`. `tokens` were there at `at`
    (seconds of any one clock)."""

    rate: float
    size: float
    tokens: float
    at: float

    @classmethod
    def full(cls, rate: float, size: float, at: float = 0.0) -> Bucket:
        """One that nobody took from."""
        return cls(rate, size, size, at)

    def taken(self, now: float) -> Bucket | None:
        """The bucket with one token less; None when there is none."""
        tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.rate)
        return replace(self, tokens=tokens - 1, at=now) if tokens >= 1 else None
