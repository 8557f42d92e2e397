"""Odd answers of a server: JSON of any shape under the names that an adapter reads."""

from __future__ import annotations

import inspect
import json
import random
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import httpx

from lti_badges.core.errors import NotSent, ReplyLost
from lti_badges.core.http import Http, Reply

SCALARS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    46,
    10**40,
    -(10**400),
    1.5,
    float("nan"),
    float("inf"),
    1e308,
    "",
    " ",
    "5",
    "46",
    "1e30000000",
    "²",
    "\x00",
    "\ud800",
    "Final quiz",
    "A" * 3000,
    "2026-05-01T10:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-13-99",
    "http://[broken",
    "https://lms.example/next?page=2",
    "complete",
    "Active",
)
STATUSES = (200, 200, 200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503)


NAME = re.compile(r"[\"']([A-Za-z_@][A-Za-z0-9_@.-]{1,40})[\"']")


def names_in(*modules: ModuleType) -> tuple[str, ...]:
    """The JSON names that the source of an adapter speaks of."""
    found: set[str] = set()
    for module in modules:
        found |= set(
            re.findall(r'["\']([A-Za-z_@][A-Za-z0-9_@.-]{1,40})["\']', inspect.getsource(module))
        )
    return tuple(sorted(found))


def odd_json(chance: random.Random, names: Sequence[str], depth: int = 4) -> Any:
    """A value of any shape."""
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return chance.choice(SCALARS)
    if kind < 0.5:
        return [odd_json(chance, names, depth - 1) for _ in range(chance.randrange(4))]
    picked = chance.sample(names, min(len(names), chance.randrange(1, 14)))
    return {name: odd_json(chance, names, depth - 1) for name in picked}


class OddHttp(Http):
    """Answers every call with something odd, of the wire's own types."""

    def __init__(self, chance: random.Random, names: Sequence[str]) -> None:
        self._chance = chance
        self._names = names

    def with_certificate(self, certificate: str, private_key: str) -> Http:
        """The same."""
        return self

    def request(self, method: str, url: str, **options: Any) -> Reply:
        """Mostly JSON of any shape; sometimes another status, no JSON, or no answer."""
        chance = self._chance
        fate = chance.random()
        if fate < 0.02:
            raise NotSent("can't be reached")
        if fate < 0.04:
            raise ReplyLost("no answer")
        body = json.dumps(odd_json(chance, self._names)).encode("utf-8", "replace")
        if "token" in url.rpartition("/")[2] and fate < 0.9:
            body = json.dumps({"access_token": "t", "expires_in": 3600}).encode()
        elif fate < 0.08:
            body = chance.choice((b"", b"{", b"\xff\xfe", b"<html>", b"[" * 5000))
        headers = {"retry-after": chance.choice(("", "7", "²", "soon", "-1", "9" * 400))}
        if chance.random() < 0.1:
            headers["link"] = chance.choice(
                ('<>; rel="next"', "<http://[x>; rel=next", f'<{url}&p=2>; rel="next"', ";;,")
            )
        raw = httpx.Headers([(k.encode(), v.encode("latin-1")) for k, v in headers.items()])
        return Reply(chance.choice(STATUSES), raw, body, url)


class SameAnswer(Http):
    """Gives one answer to every call but those for tokens: JSON, or bytes as they are."""

    def __init__(self, answer: Any) -> None:
        self._body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def with_certificate(self, certificate: str, private_key: str) -> Http:
        """The same."""
        return self

    def request(self, method: str, url: str, **options: Any) -> Reply:
        """200."""
        body = self._body
        if "token" in url.rpartition("/")[2]:
            body = json.dumps({"access_token": "t", "expires_in": 3600}).encode()
        return Reply(200, httpx.Headers(), body, url)


class SpoiltHttp(Http):
    """Asks the real server; now and then one place of its JSON is another value, or is missing."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(allow_loopback=True)
        self._chance = chance

    def with_certificate(self, certificate: str, private_key: str) -> Http:
        """The same."""
        return self

    def request(self, method: str, url: str, **options: Any) -> Reply:
        """The answer, spoilt in three of ten cases."""
        reply = super().request(method, url, **options)
        if self._chance.random() > 0.3:
            return reply
        try:
            told = json.loads(reply.body)
        except ValueError:
            return reply
        body = json.dumps(spoilt(told, self._chance)).encode("utf-8", "replace")
        return Reply(reply.status, reply.headers, body, reply.url)


def spoilt(value: Any, chance: random.Random) -> Any:
    """The value with one place changed, however deep."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        if chance.random() < 0.2:
            return {key: each for key, each in value.items() if key != name}
        return value | {name: spoilt(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], spoilt(value[at], chance), *value[at + 1 :]]
    return chance.choice((*SCALARS, [], {}, [None], {"id": None}, [[]]))
