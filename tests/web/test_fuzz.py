"""Nonsense at every address, with the token of each role, on both databases: never a 5xx.

A few hundred requests each; `FUZZ=20000` asks for more.
"""

from __future__ import annotations

import os
import random
import re
from typing import Any

import httpx
from sqlalchemy import select

from lti_badges.app import create_app
from lti_badges.store import Award, AwardRule, BackendRow, CourseMember, Platform
from tests.support.campus import TEACHER, Campus
from tests.web.test_admin import Console
from tests.web.test_course_pages import Pages

COUNT = int(os.environ.get("FUZZ", "300"))
ODD: tuple[str, ...] = (
    *("", " ", "0", "-1", "x", "on", "9" * 5000, "1e999", "NaN", "٣", "0/0", "1" * 40),
    *("a\x01b", "a\x00b", "\u202e", "é" * 3000, "'; --", "{{7*7}}", "<b>", "%s%n", "../../etc"),
    *("null", "[]", "{}", "[" * 5000, '{"a":' * 900, "0001-01-01", "9999-12-31T23:59:59+14:00"),
    *("javascript:alert(1)", "http://169.254.169.254/", "https://[::1", "http://a:99999/"),
    *("eyJhbGciOiJub25lIn0.e30.", "a.b.c", "builtin", "moodle", "png", "2026-02-30"),
    "00000000-0000-0000-0000-000000000000",
)
FIELD = re.compile(r'name="([\w-]{1,40})"')


def test_nothing_that_is_sent_anywhere_breaks_the_tool(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    people = {"teacher": Pages(campus, TEACHER).headers, "learner": Pages(campus, "5").headers}
    headers = [{}, *people.values(), Console(campus).headers]
    with campus.context.sessions() as session:
        ids = [campus.course_id()] + [
            session.scalars(select(each.id)).first() or ""
            for each in (Award, AwardRule, BackendRow, CourseMember, Platform)
        ]
    app = create_app(queue=campus.queue)
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    chance = random.Random(20261124)
    fields = ["iss", "id_token", "state", "ticket", "secret", "openid_configuration", "email"]
    broken: list[Any] = []
    with httpx.Client(timeout=120) as client:
        for _ in range(COUNT):
            rule = chance.choice(rules)
            values = [*ids, *ODD] if chance.random() < 0.7 else [*ids]
            path = _filled(rule.rule, values, chance)
            method = chance.choice(sorted((rule.methods or set()) - {"HEAD"}))
            given = {chance.choice(fields): chance.choice(values) for _ in range(6)}
            body: dict[str, Any] = {"data": given} if chance.random() < 0.8 else {}
            if not body:
                body = {"content": chance.choice(ODD).encode()}
            short = {name: value[:500] for name, value in given.items()}
            answer = client.request(
                method,
                campus.tool + path,
                params=short if method == "GET" else None,
                headers=chance.choice(headers) | {"X-Forwarded-For": "203.0.113.9"},
                **({} if method == "GET" else body),
            )
            if answer.status_code >= 500 and answer.status_code != 503:
                broken.append((method, path[:200], answer.status_code, str(given)[:600]))
            fields += [each for each in FIELD.findall(answer.text) if each not in fields][:30]
    assert not broken, broken[:10]


def _filled(pattern: str, values: list[str], chance: random.Random) -> str:
    return re.sub(r"<[^>]+>", lambda _: _quoted(chance.choice(values)), pattern)


def _quoted(value: str) -> str:
    return str(httpx.QueryParams({"": value[:300]})).removeprefix("=").replace("+", "%20")
