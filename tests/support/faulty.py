"""What all servers of backends share: faults on order, and running on a real socket."""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from flask import Flask, Response, request

from tests.support.serving import served


@dataclass
class FaultyServer:
    """`faults` are taken one by one: `before-…` and `after-…` by sends, `find-…` by look-ups."""

    base: str = ""
    faults: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    logins: int = 0
    refuse_login: bool = False
    trouble: str = ""
    """What answers in the place of the API: a maintenance page by redirect (302), a web page or
    the API's own error of a status (html-404, json-404), or its login alone refused (throttled)."""
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def app(self) -> Flask:
        """The application; each server has its own."""
        raise NotImplementedError

    def live(self) -> Counter[str]:
        """How many live awards each recipient has."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Answers until the end of the block."""
        app = self.app()

        @app.before_request
        def note() -> None:
            self.calls[f"{request.method} {request.path.rpartition('/')[2]}"] += 1
            self.seen.append((request.method, request.path, dict(request.headers)))

        @app.before_request
        def answer() -> Response | None:
            return self.in_trouble()

        with served(app) as base:
            self.base = base
            yield self

    def in_trouble(self) -> Response | None:
        """The answer of a server that is not at its work."""
        kind, _, status = self.trouble.partition("-")
        if kind == "302" and request.path != "/maintenance":
            return Response("", 302, headers={"Location": f"{self.base}/maintenance"})
        if request.path == "/maintenance":
            return Response("<html>Back soon</html>", mimetype="text/html")
        if not status or "token" in request.path:
            return None
        if kind == "html":
            return Response("<html>nginx</html>", int(status), mimetype="text/html")
        said = {"status": {"success": False, "description": "entity not found"}, "result": []}
        return Response(json.dumps(said), int(status), mimetype="application/json")

    def new_token(self) -> str:
        """A fresh access token."""
        token = secrets.token_hex(8)
        self.tokens.add(token)
        return token

    def knows_token(self) -> bool:
        """Whether the request carries one of ours."""
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens

    def fault(self, stage: str) -> Response | None:
        """The answer of the fault that is next, if it belongs to this stage."""
        with self.lock:
            if not self.faults or not self.faults[0].startswith(stage):
                return None
            kind = self.faults.pop(0).removeprefix(stage)
        if kind == "drop":
            request.environ["werkzeug.socket"].shutdown(2)
            return Response(status=500)
        if kind == "429":
            return Response("slow down", 429, headers={"Retry-After": "7"})
        if kind == "garbage":
            return Response(b"\xff\x00{", 200)
        if kind == "odd":
            return Response('{"odd": 1}', 200, mimetype="application/json")
        if kind == "empty":
            return Response(b"", 201)
        if kind == "401":
            self.tokens.clear()
            return Response("", 401)
        return Response("<html>Server Error</html>", int(kind), mimetype="text/html")


Json = dict[str, Any]
