"""How fast a backend may be called: learned from its 429 answers and headers, kept by all workers.

Once a limit is known, each call takes its turn in the backend's row: evenly spaced, no bursts, so
that no window of the server's overflows. The first estimate is what was taken just before the first
refusal; for a minute it is felt out upwards, then it stays for a day just below the last refusal.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy import case, update

from lti_badges.core.errors import Unavailable
from lti_badges.core.http import Http, Reply
from lti_badges.store import BackendRow, Sessions

BELOW = 0.96
"""Share of a limit that is used: clocks and networks are uneven."""
CREDIT_S = 0.04
LEAST = 1 / 60
SAME_OVERRUN_S = 1.5
GROW, GROW_EVERY_S = 1.10, 2.0
GROW_FROM_S, GROW_UNTIL_S = 15.0, 55.0
AGAIN_AFTER_S = 86_400.0
LONGEST_TURN_S = 20.0
REMEMBERED_S, REMEMBERED = 120.0, 20_000
ENOUGH = 8
"""Calls that must have gone before, to tell a limit from a whim."""

_POLICY = re.compile(r"\bq=(\d{1,9})\b.*?\bw=(\d{1,9})\b")
_LIMIT = re.compile(r"\b(\d{1,9})\s*;\s*w=(\d{1,9})\b")

_sent: dict[str, deque[float]] = {}
_guard = threading.Lock()


class Pace:
    """One backend's pace, as its row said when it was opened. `rate` is in calls a second; None as
    long as the server has refused none."""

    def __init__(self, sessions: Sessions, backend_id: str, rate: float | None) -> None:
        self._sessions = sessions
        self._id = backend_id
        self._rate = rate

    def turn(self) -> float:
        """Wait for this call's turn. Returns when it began (monotonic seconds). Raises Unavailable
        if so many wait before it that it is better to come back."""
        if self._rate is not None:
            wait = self._reserved() - time.time()
            if wait > LONGEST_TURN_S:
                raise Unavailable("Many other calls to the backend wait before this one.")
            if wait > 0:
                time.sleep(wait)
        began = time.monotonic()
        with _guard:
            sent = _sent.setdefault(self._id, deque(maxlen=REMEMBERED))
            sent.append(began)
            while sent and began - sent[0] > REMEMBERED_S:
                sent.popleft()
        return began

    def note(self, reply: Reply, began: float) -> None:
        """Learn from an answer."""
        if reply.status == 429:
            self._overrun(reply.retry_after, began)
            return
        declared = declared_rate(reply)
        if declared is not None and (self._rate is None or declared * BELOW < self._rate):
            self._rate = declared * BELOW
            self._change(lambda row: _set(row, declared * BELOW, ceiling=declared))

    def _reserved(self) -> float:
        """The moment (epoch seconds) of the next free turn, which is ours now."""
        now = time.time()
        late = now - CREDIT_S  # a turn that was missed by so little is not lost
        following = case((BackendRow.next_call > late, BackendRow.next_call), else_=late)
        with self._sessions.begin() as session:
            row = session.execute(
                update(BackendRow)
                .where(BackendRow.id == self._id, BackendRow.rate.is_not(None))
                .values(next_call=following + 1 / BackendRow.rate)
                .returning(
                    BackendRow.next_call,
                    BackendRow.rate,
                    BackendRow.rate_at,
                    BackendRow.rate_since,
                    BackendRow.rate_ceiling,
                )
                .execution_options(synchronize_session=False)
            ).first()
        if row is None:
            return now
        if _may_grow(now, row.rate_at or now, row.rate_since or now, row.rate_ceiling):
            self._change(_grown)
        return float(row.next_call) - 1 / float(row.rate)

    def _overrun(self, retry_after: float | None, began: float) -> None:
        """Refused: what was taken in the time before is the limit, as far as this process saw."""
        window = min(max(1.0, retry_after or 1.0), REMEMBERED_S)
        with _guard:
            sent = _sent.get(self._id, deque())
            if began in sent:
                sent.remove(began)
            taken = sum(began - window < each <= began for each in sent)
        if taken < ENOUGH:
            return
        measured, now = taken / window, time.time()

        def lower(row: BackendRow) -> None:
            if row.rate is None:
                _set(row, max(measured * BELOW, LEAST), ceiling=None, since=now)
            elif now - (row.rate_at or 0) > SAME_OVERRUN_S:
                rate = max(row.rate * 0.8, min(row.rate * 0.95, measured * BELOW), LEAST)
                _set(row, rate, ceiling=row.rate)

        self._change(lower)

    def _change(self, change: Callable[[BackendRow], None]) -> None:
        with self._sessions.begin() as session:
            row = session.get(BackendRow, self._id, with_for_update=True)
            if row is not None:
                change(row)
                self._rate = row.rate


class PacedHttp(Http):
    """The HTTP client of one backend: each call takes its turn, each answer is learned from."""

    def __init__(self, http: Http, pace: Pace) -> None:
        self._http = http
        self._pace = pace

    def request(self, method: str, url: str, **options: Any) -> Reply:
        """As the client underneath. Raises Unavailable too, when turns are far off."""
        began = self._pace.turn()
        reply = self._http.request(method, url, **options)
        self._pace.note(reply, began)
        return reply

    def with_certificate(self, certificate: str, private_key: str) -> Http:
        """The same pace with a client certificate."""
        return PacedHttp(self._http.with_certificate(certificate, private_key), self._pace)

    def close(self) -> None:
        """The client underneath belongs to the tool."""


def declared_rate(reply: Reply) -> float | None:
    """Calls a second by `RateLimit-Policy` (`"a";q=50;w=1`) or `RateLimit-Limit` (`50, 50;w=1`):
    the IETF draft of RateLimit headers, in its newer and older form."""
    for name, pattern in (("ratelimit-policy", _POLICY), ("ratelimit-limit", _LIMIT)):
        found = pattern.search(reply.headers.get(name, ""))
        if found and int(found[1]) and int(found[2]):
            return int(found[1]) / int(found[2])
    return None


def _set(
    row: BackendRow, rate: float, *, ceiling: float | None, since: float | None = None
) -> None:
    now = time.time()
    row.rate, row.rate_at, row.rate_ceiling = rate, now, ceiling
    row.rate_since = since or row.rate_since or now


def _may_grow(now: float, changed: float, since: float, ceiling: float | None) -> bool:
    """For a minute, until it was refused again; a day later once more."""
    if now - changed > AGAIN_AFTER_S:
        return True
    young = GROW_FROM_S < now - since < GROW_UNTIL_S
    return young and ceiling is None and now - changed >= GROW_EVERY_S


def _grown(row: BackendRow) -> None:
    now = time.time()
    if row.rate is None or now - (row.rate_at or 0) < GROW_EVERY_S:
        return  # another worker was faster
    stale = now - (row.rate_at or 0) > AGAIN_AFTER_S
    _set(row, row.rate * GROW, ceiling=None, since=now - GROW_FROM_S if stale else None)
