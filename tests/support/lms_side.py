"""An adapter and its vendor's loopback server, without the tool between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, jsonify

from lti_badges import lms
from lti_badges.core.http import Http
from lti_badges.lms import LMS, CourseHandle
from lti_badges.lti.service import Service
from lti_badges.lti.tokens import PlatformEndpoint, ServiceTokens
from lti_badges.sandbox import Tool, World, create_sandbox, demo_world
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.store import SigningKeys
from lti_badges.values.course import Completion, Gradable, ReadInFull, Reading, Result, Unread
from tests.support.keys import keys_at
from tests.support.platform import rsa_key
from tests.support.serving import free_port, served

CLIENT = "contract"


@dataclass
class Side:
    """A vendor's world, and its demo course opened by our adapter."""

    world: World
    keys: SigningKeys
    http: Http = field(default_factory=lambda: Http(allow_loopback=True))
    known: dict[str, dict[str, str]] = field(default_factory=dict)

    def opened(self, connection: Mapping[str, str] | None = None) -> LMS:
        """As an admin connected it, or with other credentials; {} is LTI alone."""
        found = self.world.vendor.connection(self.world) if connection is None else connection
        stored = dict(found)

        def update(change: Any) -> Mapping[str, str]:
            fresh = dict(change(dict(stored)))
            stored.clear()
            stored.update(fresh)
            return fresh

        vendor, base = lms.of(self.world.vendor.key), self.world.base_url
        endpoint = PlatformEndpoint(
            "p", self.world.issuer, CLIENT, f"{base}/lti/token", vendor.audience(None)
        )
        return vendor(
            CourseHandle(
                issuer=self.world.issuer,
                context_id=COURSE,
                lineitems_url=f"{base}/api/{COURSE}/lineitems{self.world.vendor.service_query}",
                memberships_url=f"{base}/api/{COURSE}/memberships",
                scopes=frozenset(self.world.scopes),
                custom={},
                service=Service(self.http, ServiceTokens(self.http, self.keys), endpoint),
                http=self.http,
                connection=dict(stored),
                update_connection=update,
                known_members=lambda: iter(self.known.items()),
            )
        )

    def subs(self) -> list[str]:
        """LTI ids of all learners who are enrolled now."""
        return [
            self.world.user_id(person.sub)
            for person in self.world.learners_of(COURSE)
            if person.active and not person.is_test
        ]


@contextmanager
def side_of(kind: str, keys_folder: Path) -> Iterator[Side]:
    """Both, running."""
    keys = keys_at(keys_folder)
    keys.open()
    own = Flask("tool")
    own.add_url_rule("/jwks.json", view_func=lambda: jsonify(keys.jwks()))
    port = free_port()
    world = demo_world(f"http://127.0.0.1:{port}", kind, rsa_key("sandbox"))
    with served(own) as tool, served(create_sandbox(world), port):
        world.register_tool(
            Tool(
                CLIENT,
                "Badges",
                f"{tool}/login",
                (f"{tool}/launch",),
                f"{tool}/jwks.json",
                f"{tool}/launch",
                scopes=frozenset(world.scopes),
                custom=dict(lms.of(kind).custom_parameters),
            )
        )
        yield Side(world, keys)


def values(readings: Iterator[Reading] | list[Reading]) -> dict[str, Result | Completion]:
    """By learner."""
    return {each.sub: each for each in readings if isinstance(each, (Result, Completion))}


def read(course: LMS, gradable: Gradable, subs: list[str]) -> dict[str, Result | Completion]:
    """Of everybody; it must have been read in full."""
    found = list(course.readings([gradable], lambda: iter(subs)))
    failed = [each for each in found if isinstance(each, Unread)]
    assert not failed, failed
    assert isinstance(found[-1], ReadInFull)
    return values(found)
