"""The sandbox's people, courses, columns, links and tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"


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
    own; `scores` are points by person, `marks` grades in words; `hidden` are those who can't see
    their grade yet, `excused` those who need none. Places where LMSes put a column, if anywhere:
    `group` (its category), `module`."""

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
    graded_at: dict[str, datetime] = field(default_factory=dict)
    submitted_at: dict[str, datetime] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    posts_by_hand: bool = False
    hidden: set[str] = field(default_factory=set)
    excused: set[str] = field(default_factory=set)
    published: bool = True
    grading: str = "points"
    group: str = ""
    module: str = ""


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
    untracked: set[str] = field(default_factory=set)
    concluded: bool = False
    copied_from: list[str] = field(default_factory=list)

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
