"""The day's quota of a REST application: all its customers and all its tools share it.

Source: docs.anthology.com, “Rate limit migration” (June 2024): X-Rate-Limit-Limit and -Remaining
with each answer, 429 with Retry-After when it is used up; 10,000 calls in 24 hours of a developer
group. What is left is known to this process from the last answer of any site.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from threading import Lock

from lti_badges.core import clock
from lti_badges.core.errors import PlatformDown
from lti_badges.core.http import Reply
from lti_badges.lms.calls import Calls

WAITED_FOR, ACTIVE, DORMANT = Fraction(1, 20), Fraction(1, 5), Fraction(1, 2)
"""Shares that are left alone: always for other tools; by background readings for learners who are
waiting; by courses that nobody enters for those with people in them."""
LOOK_AGAIN = timedelta(hours=1)
USUAL = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    left: int
    limit: int
    until: datetime


_KNOWN: dict[str, _Known] = {}
_LOCK = Lock()


class DailyQuota:
    """That of one application, as one site tells it and as one reading may use it: down to the
    share `reserve`."""

    def __init__(self, application: str, calls: Calls, reserve: Fraction) -> None:
        self._application = application
        self._calls = calls
        self._reserve = reserve

    def ask(self) -> None:
        """Raises PlatformDown, with the time to come back, where the rest is reserved."""
        with _LOCK:
            known = _KNOWN.get(self._application)
        now = clock.now()
        if known is None or known.until <= now or known.left > known.limit * self._reserve:
            return
        raise PlatformDown(
            f"{known.left} of the {known.limit} calls that Blackboard allows in a day are left; "
            "they are kept for learners who are waiting and for other tools.",
            retry_after=(known.until - now).total_seconds(),
            code="quota",
        )

    def note(self, reply: Reply) -> None:
        """What is left; where that is nothing, until the time the answer names."""
        limit = _whole(reply, "x-rate-limit-limit") or USUAL
        left, wait = _whole(reply, "x-rate-limit-remaining"), LOOK_AGAIN
        if left == 0 and reply.retry_after:
            wait = timedelta(seconds=reply.retry_after)
        if left is None:
            return
        self._calls.limit, self._calls.left = limit, left
        with _LOCK:
            _KNOWN[self._application] = _Known(left, limit, clock.now() + wait)


def _whole(reply: Reply, name: str) -> int | None:
    value = reply.headers.get(name, "").strip()
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else None
