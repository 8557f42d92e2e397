"""A large course by Canvas's own API: all values come, page by page, and memory stays flat.
`SOAK=10000x20` runs it large. The server is a process of its own, so that only ours is measured."""

from __future__ import annotations

import multiprocessing
import os
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest
from flask import Flask, jsonify
from werkzeug.serving import make_server

from lti_badges.core.http import Http
from lti_badges.lms.canvas.adapter import Canvas
from lti_badges.sandbox import Item, Person, Tool, World, create_sandbox, vendor_of
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.sandbox.model import Course, Link
from lti_badges.values.course import ReadInFull, Result
from tests.support.keys import keys_at
from tests.support.lms_side import CLIENT, Side
from tests.support.platform import rsa_key
from tests.support.serving import free_port, served

LEARNERS, ITEMS = (int(each) for each in os.environ.get("SOAK", "150x6").split("x"))
GROWTH = 2_000_000
"""Bytes by which the peak may differ between the first items and the last."""


def world_of(base_url: str, jwks_url: str) -> World:
    """One course with everybody graded in everything."""
    world = World(base_url, vendor_of("canvas"), rsa_key("sandbox"))
    course = world.courses[COURSE] = Course(COURSE, "BIG101", "A large course")
    course.links["main"] = Link("main", "Badges", "")
    chance = random.Random(5)
    for number in range(LEARNERS):
        sub = str(5000 + number)
        world.people[sub] = Person(sub, "Learner", sub, f"l{sub}@example.org")
        course.members.append(sub)
    for number in range(ITEMS):
        item = course.items[str(100 + number)] = Item(
            str(100 + number), f"Item {number}", Fraction(30)
        )
        item.scores = {sub: Fraction(chance.randint(0, 90), 3) for sub in course.members}
    scopes, custom = frozenset(world.scopes), dict(Canvas.custom_parameters)
    uris = (f"{base_url}/launch",)
    world.register_tool(
        Tool(CLIENT, "Badges", "", uris, jwks_url, uris[0], scopes=scopes, custom=custom)
    )
    world.api_token = "soak"
    # The accounts of ids are looked up one by one in the sandbox; here they are too many.
    known = {world.user_id(sub): sub for sub in course.members}
    world.account = known.get  # type: ignore[method-assign,assignment]
    return world


def serve(port: int, jwks_url: str) -> None:
    world = world_of(f"http://127.0.0.1:{port}", jwks_url)
    make_server("127.0.0.1", port, create_sandbox(world), threaded=True).serve_forever()


@contextmanager
def large(keys_folder: Path) -> Iterator[Side]:
    keys = keys_at(keys_folder)
    keys.open()
    own = Flask("tool")
    own.add_url_rule("/jwks.json", view_func=lambda: jsonify(keys.jwks()))
    port = free_port()
    with served(own) as tool:
        jwks_url = f"{tool}/jwks.json"
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(port, jwks_url), daemon=True
        )
        server.start()
        try:
            with Http(allow_loopback=True) as http:
                while True:
                    try:
                        http.get(f"http://127.0.0.1:{port}/lti/jwks.json")
                        break
                    except Exception:  # noqa: BLE001 - it starts
                        assert server.is_alive()
            shadow = World(f"http://127.0.0.1:{port}", vendor_of("canvas"), rsa_key("sandbox"))
            shadow.api_token = "soak"
            yield Side(shadow, keys)
        finally:
            server.terminate()
            server.join()


@pytest.mark.slow
def test_a_large_course_is_read_to_its_end_in_flat_memory(keys_folder: Path) -> None:
    with large(keys_folder) as side:
        course = side.opened()
        subs = [member.sub for member in course.members()]
        assert len(subs) == len(set(subs)) == LEARNERS
        items = [each for each in course.gradables() if each.key.startswith("canvas-assignment:")]
        assert len(items) == ITEMS
        tracemalloc.start()
        peaks, read, full = [], 0, 0
        try:
            for item in items:
                tracemalloc.reset_peak()
                for reading in course.readings([item], lambda: iter(subs)):
                    read += isinstance(reading, Result)
                    full += isinstance(reading, ReadInFull)
                peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert (read, full) == (LEARNERS * ITEMS, ITEMS)
        assert max(peaks[1:]) - min(peaks[1:]) < GROWTH
        assert max(peaks) < 20_000_000
