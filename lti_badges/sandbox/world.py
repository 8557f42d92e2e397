"""What the sandbox knows, behind one lock; and in what an LMS differs from plain LTI."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from threading import RLock
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Blueprint

from lti_badges.core import clock
from lti_badges.sandbox.faults import Faults
from lti_badges.sandbox.model import Course, Link, Person, Tool

SCOPES = (
    "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem",
    "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem.readonly",
    "https://purl.imsglobal.org/spec/lti-ags/scope/result.readonly",
    "https://purl.imsglobal.org/spec/lti-ags/scope/score",
    "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly",
)


class Vendor:
    """Plain LTI Advantage. An LMS overrides what it does in another way, and brings its own API.
    Each world has an instance of its own, which may keep state."""

    key: ClassVar[str] = "other"
    label: ClassVar[str] = "Plain LTI Advantage"
    family: ClassVar[str] = "sandbox"
    """The product code by which it introduces itself."""
    offers_storage: ClassVar[bool] = False
    short_roles: ClassVar[bool] = False
    escapes_names: ClassVar[bool] = False
    only_own_columns: bool = True
    lists_columns: bool = True
    """Whether launches name the list of line items; else only that of the opened link."""
    service_query: ClassVar[str] = ""
    """What its line item addresses end in."""
    bookmarks: ClassVar[bool] = False
    token_audience: ClassVar[str | None] = None
    """What service-token assertions must name, where it is not the token address."""
    refuses_staff_scores: ClassVar[int] = 400
    refuses_scope: ClassVar[int] = 403
    refuses_foreign_item: ClassVar[int] = 404
    lists_suspended: ClassVar[bool] = True
    token_life_s: int = 300
    further_scopes: ClassVar[tuple[str, ...]] = ()
    """What it offers to tools besides grades and roster."""
    excuses: ClassVar[bool] = True
    """Whether a teacher can excuse a learner from an item."""
    tells_deployment: ClassVar[bool] = False
    """Whether dynamic registration answers with the deployment."""
    skew_s: int = 0
    """How many seconds its clock is ahead of ours."""

    def __init__(self) -> None:
        self.state: Any = None
        """What its own API keeps besides the world."""

    def user_id(self, account: str) -> str:
        """How it names an account to tools: `sub`, `userId`, `user_id`."""
        return account

    def audiences(self, world: World) -> tuple[str, ...]:
        """What a service-token assertion may name as audience."""
        return (self.token_audience or f"{world.base_url}/lti/token",)

    def wrong_assertion(self, claims: dict[str, Any]) -> str | None:
        """What is wrong with a service-token assertion that is signed well; None for nothing."""
        return None

    def page_size(self, service: str, asked: str | None) -> int:
        """Rows a page of `line_items`, `results` or `members`, if `limit` asks for so many."""
        return 10

    def openid(self, world: World) -> dict[str, Any]:
        """What its OpenID configuration says in another way, or besides."""
        return {}

    def platform(self, world: World) -> dict[str, Any]:
        """The same of the LTI part of that configuration."""
        return {}

    def claims(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """What its launches say besides."""
        return {}

    def is_enrolled(self, person: Person) -> bool:
        """Whether somebody takes part in their courses now."""
        return person.active

    def variables(self, world: World, person: Person, course: Course) -> dict[str, str]:
        """What custom parameters are replaced by; others stay as they were written."""
        return {"$User.id": self.user_id(person.sub), "$Context.id": course.id}

    def link_id(self, course: Course, link: Link) -> str:
        """The resource link id of a launch."""
        return link.id

    def member(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """What the roster of a link says of each member besides."""
        return {}

    def refusal(self, status: int, message: str) -> dict[str, Any] | None:
        """The body of a service's refusal."""
        return None

    def blueprints(self) -> Sequence[Blueprint]:
        """Its own API."""
        return ()

    def connection(self, world: World) -> dict[str, str]:
        """What an admin enters so that its own API can be read; empty when it has none."""
        return {}

    def completed(self, world: World, course: Course, sub: str, done: bool) -> None:
        """What follows in its own records when somebody is said to have completed a course."""

    def prepare(self, world: World, course: Course) -> None:
        """Add to the demo's course what courses have in this LMS."""


class World:
    """All of it. `page_size` makes the services' pages smaller than the vendor's; `base_url` is
    the issuer; `key` signs until it is rotated (RSA 2048, made if none is given)."""

    def __init__(self, base_url: str, vendor: Vendor, key: rsa.RSAPrivateKey | None = None) -> None:
        self.base_url = base_url
        self.vendor = vendor
        self.guid = "sandbox"
        self.lock = RLock()
        self.people: dict[str, Person] = {}
        self.courses: dict[str, Course] = {}
        self.tools: dict[str, Tool] = {}
        self.faults = Faults()
        self.page_size: int | None = None
        self.api_token = secrets.token_hex(16)
        self.keys: list[tuple[str, rsa.RSAPrivateKey]] = []
        self.hints: dict[str, dict[str, Any]] = {}
        self.picks: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, tuple[str, frozenset[str], datetime]] = {}
        self.seen_assertions: set[str] = set()
        self.requests: list[tuple[str, str, int]] = []
        self.queries: list[tuple[str, str]] = []
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
        return self.vendor.user_id(account)

    def custom_parameters(
        self, tool: Tool, person: Person, course: Course, link: Link | None = None
    ) -> dict[str, str]:
        """The tool's and the link's, with the variables that this LMS knows filled in."""
        values = self.vendor.variables(self, person, course)
        given = {**tool.custom, **(link.custom if link else {})}
        return {name: values.get(value, value) for name, value in given.items()}

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it offers to tools."""
        return (*SCOPES, *self.vendor.further_scopes)

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
            item = self.courses[course_id].items[item_id]
            item.graded_at[sub] = clock.now()
            scores = item.scores
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
            self.vendor.completed(self, self.courses[course_id], sub, done)

    def members_of(self, course_id: str) -> list[Person]:
        """The course's people, staff first, then by name."""
        people = [self.people[sub] for sub in self.courses[course_id].members]
        return sorted(people, key=lambda p: (p.role != "Instructor", p.family, p.given))

    def learners_of(self, course_id: str) -> list[Person]:
        """Those who can be graded."""
        return [p for p in self.members_of(course_id) if p.role == "Learner"]
