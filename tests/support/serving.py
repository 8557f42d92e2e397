"""WSGI applications on real sockets of this machine."""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

PATIENCE_S = 300.0
"""How long a test waits for what must come. Only a machine that stands still takes so long, and
only a failing test waits to the end."""
SHARES = 16
POLL_S = 0.02
"""How soon a server notices that it is to stop; the default of half a second is most of a test."""


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Tests print their own stories."""


def free_port() -> int:
    """A port nobody uses now, and that no connection will be given by the system: between this
    answer and its use, those are taken by whoever calls somebody."""
    return next(port for port in _PORTS if _is_free(port))


def free_pair() -> int:
    """A port that is free together with the next one."""
    return next(port for port in _PORTS if _is_free(port) and _is_free(port + 1))


def _ports() -> Iterator[int]:
    """Below those that the system gives by itself (Linux: from 32768 on), each once a round. The
    processes of one run have shares of their own; several runs at once start anywhere."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    shares = range(SHARES // 2) if worker else range(SHARES // 2, SHARES)
    share = (
        shares[int(worker.removeprefix("gw")) % len(shares)] if worker else random.choice(shares)
    )
    ports = list(range(10_000 + 2 * share, 32_000, 2 * SHARES))
    random.Random().shuffle(ports)
    yield from itertools.cycle(ports)


def _listener(host: str, port: int) -> socket.socket:
    """A socket on the port, listening; whoever only looks whether it is free is gone at once."""
    for _ in range(20):
        try:
            return socket.create_server((host, port), backlog=128)
        except OSError:
            time.sleep(0.05)
    return socket.create_server((host, port), backlog=128)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_PORTS = _ports()


def until(holds: Callable[[], bool], what: str = "") -> None:
    """Wait for a condition. Raises AssertionError when it does not come."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, what or "what the test waits for did not come"
        time.sleep(0.02)


@contextmanager
def served(app: Any, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """The address at which `app` answers until the end of the block."""
    port = port or free_port()
    listener = _listener(host, port)
    server = make_server(
        host, port, app, threaded=True, request_handler=_Quiet, fd=listener.fileno()
    )
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()
        listener.close()
