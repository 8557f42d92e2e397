"""Faults on order: the next calls of an address fail in a chosen way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock

from flask import Request, Response

ACTIONS = ("500", "404", "403", "429", "slow", "drop", "lost", "garbage", "html")


@dataclass(slots=True)
class _Ordered:
    prefix: str
    action: str
    left: int


@dataclass
class Faults:
    """`next("/api/2/lineitems", "429:3", times=2)`: the action, a colon, and its number."""

    _ordered: list[_Ordered] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def next(self, path_prefix: str, action: str, times: int = 1) -> None:
        """Order a fault. Raises ValueError for an action nobody knows."""
        if action.partition(":")[0] not in ACTIONS:
            raise ValueError(f"“{action}” is none of {', '.join(ACTIONS)}")
        with self._lock:
            self._ordered.append(_Ordered(path_prefix, action, times))

    def clear(self) -> None:
        """No fault is left for any coming request."""
        with self._lock:
            self._ordered.clear()

    def take(self, path: str) -> str | None:
        """The action for this call, if one is ordered."""
        with self._lock:
            for fault in self._ordered:
                if path.startswith(fault.prefix) and fault.left > 0:
                    fault.left -= 1
                    return fault.action
        return None


def before(action: str) -> Response | None:
    """What replaces the answer, or None to go on (perhaps later)."""
    kind, _, number = action.partition(":")
    if kind == "slow":
        time.sleep(float(number or 1))
        return None
    if kind in {"500", "404", "403"}:
        return Response("ordered fault", int(kind))
    if kind == "429":
        return Response("slow down", 429, headers={"Retry-After": number or "1"})
    if kind == "garbage":
        return Response(b"{\xff\x00 not json", 200, mimetype="application/json")
    if kind == "html":
        return Response("<html><body>Please log in</body></html>", 200, mimetype="text/html")
    return None


def drop_connection(request: Request) -> None:
    """End the connection without an answer; the server's own attempt to answer then fails."""
    socket = request.environ.get("werkzeug.socket")
    if socket is not None:
        socket.shutdown(2)
