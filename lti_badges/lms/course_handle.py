"""A course as an adapter gets it: where its LMS answers, by what credentials, what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lti_badges.core.http import Http
from lti_badges.lms.calls import Calls
from lti_badges.lti.service import Service


@dataclass(slots=True)
class CourseHandle:
    """A course as its LMS knows it: LTI service addresses from launches, REST credentials.

    `custom` are the launch's resolved custom parameters; `connection` the unsealed settings and
    secrets of the LMS's own REST API, empty when nobody has connected it.
    """

    issuer: str
    context_id: str
    lineitems_url: str | None
    memberships_url: str | None
    scopes: frozenset[str]
    custom: Mapping[str, str]
    service: Service
    http: Http
    links: Mapping[str, str] = field(default_factory=dict)
    """Titles of the tool's placed links, by resource link id."""
    coupled: Mapping[str, str] = field(default_factory=dict)
    """Titles of those links that have a line item, by its address."""
    connection: Mapping[str, str] = field(default_factory=dict)
    update_connection: Callable[
        [Callable[[Mapping[str, str]], Mapping[str, str]]], Mapping[str, str]
    ] = field(default=lambda change: change({}))
    """Changes the stored credentials, as their only writer, in one transaction."""
    known_members: Callable[[], Iterator[tuple[str, Mapping[str, str]]]] = lambda: iter(())
    """Everybody whom we have met in this course: LTI id and custom parameters, gone or not."""
    calls: Calls = field(default_factory=Calls)
    """How often the LMS's own API was called through this handle."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What the adapter remembers of the course from one reading to the next (JSON); kept once all
    values of the reading are stored."""
    is_active: bool = True
    """Whether somebody entered the course lately."""
    is_signed_in: bool = False
    """Whether an instructor gave credentials for this very course."""
