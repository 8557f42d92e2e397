"""What the sandbox knows: people, courses, grades, registered tools. In memory, behind one lock."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from threading import RLock
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cryptography.hazmat.primitives.asymmetric import rsa

from lti_badges.core import clock
from lti_badges.sandbox.faults import Faults

TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"


@dataclass(frozen=True, slots=True)
class Flavour:
    """In what one LMS differs from plain LTI Advantage, as far as the sandbox plays it."""

    key: str
    label: str
    offers_storage: bool = False
    short_roles: bool = False
    only_own_columns: bool = True
    type_query: bool = False
    has_web_services: bool = False
    user_ids: str = "number"
    bookmarks: bool = False
    token_audience: str | None = None
    refuses_staff_scores: int = 400
    lists_suspended: bool = True
    token_life_s: int = 300


FLAVOURS = {
    flavour.key: flavour
    for flavour in (
        Flavour("other", "Plain LTI Advantage", only_own_columns=False),
        Flavour(
            "canvas",
            "Canvas-like",
            offers_storage=True,
            user_ids="uuid",
            bookmarks=True,
            refuses_staff_scores=422,
            token_life_s=3600,
        ),
        Flavour(
            "moodle",
            "Moodle-like",
            short_roles=True,
            type_query=True,
            has_web_services=True,
            lists_suspended=False,
            token_life_s=60,
        ),
        Flavour("blackboard", "Blackboard-like", offers_storage=True, user_ids="hex"),
        Flavour(
            "brightspace",
            "Brightspace-like",
            offers_storage=True,
            user_ids="prefixed",
            token_audience="https://api.brightspace.com/auth/token",  # noqa: S106 - an address
        ),
    )
}

DEMO_FLAVOUR = "moodle"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    sub: str
    given: str
    family: str
    email: str | None
    role: str = "Learner"
    active: bool = True
    is_test: bool = False

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"


@dataclass(slots=True)
class Item:
    """A gradebook column. `owner` is the client id of the tool that made it, None for the LMS's
    own; `scores` are points by person."""

    id: str
    label: str
    maximum: Fraction
    owner: str | None = None
    resource_link_id: str | None = None
    resource_id: str | None = None
    tag: str | None = None
    scores: dict[str, Fraction] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    scored_at: dict[str, datetime] = field(default_factory=dict)


@dataclass(slots=True)
class Link:
    """A placed resource link."""

    id: str
    title: str
    url: str
    custom: dict[str, str] = field(default_factory=dict)
    text: str = ""
    kept_from: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Course:
    """A course with its members, columns, links and completions."""

    id: str
    label: str
    title: str
    members: list[str] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    completed: dict[str, datetime] = field(default_factory=dict)
    activities: dict[str, str] = field(default_factory=dict)
    done: dict[str, set[str]] = field(default_factory=dict)
    concluded: bool = False

    def total(self, sub: str) -> tuple[Fraction | None, Fraction]:
        """Points and maximum over the LMS's own columns; None where nothing is graded."""
        own = [item for item in self.items.values() if item.owner is None]
        scored = [item.scores[sub] for item in own if sub in item.scores]
        return (
            sum(scored, Fraction(0)) if scored else None,
            sum((item.maximum for item in own), Fraction(0)),
        )


@dataclass(frozen=True, slots=True)
class Tool:
    """A registered tool."""

    client_id: str
    name: str
    login_url: str
    redirect_uris: tuple[str, ...]
    jwks_url: str
    target_link_uri: str
    deployment_ids: tuple[str, ...] = ("1",)
    scopes: frozenset[str] = frozenset()
    custom: dict[str, str] = field(default_factory=dict)


class World:
    """All of it. `page_size` pages the services; `base_url` is the issuer; `key` signs until it is
    rotated (RSA 2048, made if none is given)."""

    def __init__(
        self, base_url: str, flavour: str = DEMO_FLAVOUR, key: rsa.RSAPrivateKey | None = None
    ) -> None:
        self.base_url = base_url
        self.flavour = FLAVOURS[flavour]
        self.lock = RLock()
        self.people: dict[str, Person] = {}
        self.courses: dict[str, Course] = {}
        self.tools: dict[str, Tool] = {}
        self.faults = Faults()
        self.page_size = 10
        self.web_service_token = secrets.token_hex(16)
        self.keys: list[tuple[str, rsa.RSAPrivateKey]] = []
        self.hints: dict[str, dict[str, Any]] = {}
        self.picks: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, tuple[str, frozenset[str], datetime]] = {}
        self.seen_assertions: set[str] = set()
        self.requests: list[tuple[str, str, int]] = []
        self._next_id = 100
        self.rotate_key(key)

    @property
    def issuer(self) -> str:
        """The platform's id."""
        return self.base_url

    def rotate_key(self, key: rsa.RSAPrivateKey | None = None) -> None:
        """Sign with a new key from now on; the old one leaves the key set at once."""
        new = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.keys = [(secrets.token_hex(8), new)]

    def user_id(self, account: str) -> str:
        """How this LMS names an account to tools: `sub`, `userId`, `user_id`."""
        made = uuid5(NAMESPACE_URL, f"sandbox {account}")
        kind = self.flavour.user_ids
        if kind == "uuid":
            return str(made)
        if kind == "hex":
            return made.hex
        return f"{uuid5(NAMESPACE_URL, 'sandbox')}_{account}" if kind == "prefixed" else account

    def account(self, user_id: str) -> str | None:
        """The account that a tool names, or None."""
        return next((each for each in self.people if self.user_id(each) == user_id), None)

    def new_id(self) -> str:
        """The next number."""
        with self.lock:
            self._next_id += 1
            return str(self._next_id)

    def register_tool(self, tool: Tool) -> None:
        """Let a tool in, or bring it up to date."""
        with self.lock:
            self.tools[tool.client_id] = tool

    def set_score(self, course_id: str, item_id: str, sub: str, points: Fraction | None) -> None:
        """Grade somebody, or take the grade away."""
        with self.lock:
            scores = self.courses[course_id].items[item_id].scores
            if points is None:
                scores.pop(sub, None)
            else:
                scores[sub] = points

    def set_completion(self, course_id: str, sub: str, done: bool) -> None:
        """Say whether somebody completed the course."""
        with self.lock:
            completed = self.courses[course_id].completed
            if done:
                completed.setdefault(sub, clock.now())
            else:
                completed.pop(sub, None)

    def members_of(self, course_id: str) -> list[Person]:
        """The course's people, staff first, then by name."""
        people = [self.people[sub] for sub in self.courses[course_id].members]
        return sorted(people, key=lambda p: (p.role != "Instructor", p.family, p.given))

    def learners_of(self, course_id: str) -> list[Person]:
        """Those who can be graded."""
        return [p for p in self.members_of(course_id) if p.role == "Learner"]
