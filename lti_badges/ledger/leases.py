"""Whose claim is it: a claim names host and process, so that a dead process's work is taken over
at once instead of when its lease runs out."""

from __future__ import annotations

import os
import socket
from uuid import uuid4

_HOST = socket.gethostname()[:40]


def new_claim() -> str:
    """A token that nobody else has, with the name of this process in front."""
    return f"{_HOST}|{os.getpid()}|{uuid4().hex[:16]}"


def is_gone(claim: str | None) -> bool:
    """Whether the claim's process ran on this host and is no more. A number that another process
    got since reads as alive: then the lease decides."""
    host, _, rest = (claim or "").partition("|")
    pid = rest.partition("|")[0]
    if host != _HOST or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
