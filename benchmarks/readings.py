"""Readings of one class beside the floor: parse the same JSON and insert the same rows in bulk."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.cpu import Figure, of_thread
from lti_badges.rules import ScoreAtLeast
from lti_badges.sandbox import Item, Person, World
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.settings import Settings
from tests.support.campus import campus
from tests.support.databases import SECRET, new_sqlite
from tests.support.serving import free_port

TABLES = ("members", "results", "standings", "awards", "audit_events")
FIRST, EARN_OF_TEN = 10_000, 6


def fill(world: World, learners: int) -> None:
    """Learners and an item in which six of ten have full marks."""
    course = world.courses[COURSE]
    world.page_size = 500
    item = Item("900", "Bench", Fraction(10))
    course.items["900"] = item
    for number in range(learners):
        sub = str(FIRST + number)
        world.people[sub] = Person(sub, "Learner", sub, f"l{sub}@example.org")
        course.members.append(sub)
        item.scores[sub] = Fraction(10 if number % 10 < EARN_OF_TEN else 5)


def read_class(folder: Path, learners: int, rounds: int) -> dict[str, Figure]:
    """The first reading with judging and granting, the unchanged one, and the floors of both."""
    name = f"read-{learners}.db"
    settings = Settings(
        base_url=f"http://127.0.0.1:{free_port()}",
        database_url=new_sqlite(folder, name),
        keys_dir=folder / f"keys-{learners}",
    )
    settings.keys_dir.mkdir()
    (settings.keys_dir / "secret.key").write_text(SECRET)
    with campus(settings, "other") as here:
        fill(here.world, 0)
        here.course_id()
        here.sync()
        here.rule(ScoreAtLeast(here.item_key("Bench"), "Bench", Fraction(8, 10)))
        here.sync()
        before = len(here.awards())
        fill(here.world, learners)
        first = of_thread(here.sync)
        assert len(here.awards()) - before == learners * EARN_OF_TEN // 10
        unchanged = [of_thread(here.sync) for _ in range(rounds)]
    rows = _rows(folder / name)
    pages = _pages(rows)
    bulk = [of_thread(lambda n=n: _floor(folder, n, pages, rows)) for n in range(rounds)]
    parse = [of_thread(lambda: _parse(pages)) for _ in range(rounds)]
    return {
        "first": Figure.of([first]),
        "unchanged": Figure.of(unchanged),
        "parse and bulk insert": Figure.of(bulk),
        "parse and hash": Figure.of(parse),
    }


def _rows(database: Path) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    with sqlite3.connect(database) as connection:
        found = {}
        for table in TABLES:
            cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - names from here
            found[table] = [each[0] for each in cursor.description], cursor.fetchall()
        return found


def _pages(rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]]) -> list[bytes]:
    """The class as NRPS and AGS tell it, 500 to a page."""
    columns, members = rows["members"]
    at = {name: place for place, name in enumerate(columns)}
    told = [
        {
            "status": "Active",
            "name": row[at["name"]],
            "email": row[at["email"]],
            "user_id": row[at["sub"]],
            "roles": json.loads(row[at["roles"]]),
        }
        for row in members
    ]
    results = [
        {
            "id": f"https://lms.example/api/1/lineitems/bench/results/{each['user_id']}",
            "scoreOf": "https://lms.example/api/1/lineitems/bench",
            "userId": each["user_id"],
            "resultScore": 10,
            "resultMaximum": 10,
        }
        for each in told
    ]
    return [json.dumps(page).encode() for page in (*_by_500(told), *_by_500(results))]


def _by_500(values: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(values), 500):
        yield values[start : start + 500]


def _floor(
    folder: Path,
    number: int,
    pages: list[bytes],
    rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]],
) -> None:
    for page in pages:
        json.loads(page)
    path = new_sqlite(folder, f"floor-{len(pages)}-{number}.db").removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        for table, (columns, values) in rows.items():
            marks = ", ".join("?" * len(columns))
            connection.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                values,
            )


def _parse(pages: list[bytes]) -> None:
    for page in pages:
        json.loads(page)
        hashlib.sha256(page).digest()
