"""Reading and judging a course, beside fetching, parsing and hashing the same answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Any

from sqlalchemy import text

from benchmarks.rows import Row, alternating
from lti_badges.core.http import Http, Reply
from lti_badges.sandbox import Person
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from tests.support.campus import Campus

LEARNERS = 300
ROUNDS = 7


def fill(campus: Campus, learners: int, points: int) -> None:
    """A course of so many learners, all with so many points of 50."""
    course = campus.world.courses[COURSE]
    for number in range(1000, 1000 + learners):
        sub = str(number)
        campus.world.people[sub] = Person(sub, "Learner", sub, f"l{sub}@example.org")
        course.members.append(sub)
        course.items[QUIZ].scores[sub] = Fraction(points)
    campus.world.page_size = 200


@contextmanager
def calls() -> Iterator[list[Callable[[], Reply]]]:
    """Every call of an LMS meanwhile, to be made again."""
    made: list[Callable[[], Reply]] = []
    asked = Http.request

    def noting(self: Http, *given: Any, **options: Any) -> Reply:
        made.append(partial(asked, self, *given, **options))
        return made[-1]()

    Http.request = noting  # type: ignore[method-assign]
    try:
        yield made
    finally:
        Http.request = asked  # type: ignore[method-assign]


def rows(campus: Campus) -> list[Row]:
    """Nothing changed, and every learner's score changed (nobody reaches the rule)."""
    campus.rule(campus.quiz_at_least(99))
    fill(campus, LEARNERS, 10)
    campus.sync()
    campus.sync()
    with calls() as made:
        campus.sync()
    scores = campus.world.courses[COURSE].items[QUIZ].scores
    points = 10

    def parse() -> None:
        for call in made:
            reply = call()
            hashlib.sha256(reply.body).digest()
            json.loads(reply.body)

    def parse_and_update() -> None:
        parse()
        with campus.context.database.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS floor (id INTEGER, x TEXT)"))
            values = [{"id": number, "x": str(points)} for number in range(LEARNERS)]
            connection.execute(text("UPDATE floor SET x = :x WHERE id = :id"), values)

    def changed() -> None:
        nonlocal points
        points += 1
        for number in range(1000, 1000 + LEARNERS):
            scores[str(number)] = Fraction(points)
        campus.sync()

    quiet = alternating(campus.sync, parse, ROUNDS)
    moved = alternating(changed, parse_and_update, ROUNDS)
    return [
        Row(
            f"reading, {LEARNERS} learners, {len(made)} calls, nothing changed",
            quiet[0],
            "make the same calls, parse and hash",
            quiet[1],
        ),
        Row(
            f"reading and judging, {LEARNERS} learners, each score changed",
            moved[0],
            f"the same, and {LEARNERS} plain updates in one commit",
            moved[1],
        ),
    ]
