"""Brightspace as an LTI platform.

Source: D2L knowledge base 23661, 23662, 23752, 23756.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import Blueprint

from lti_badges.core import clock
from lti_badges.sandbox.brightspace import api as _routes  # noqa: F401 - registers them
from lti_badges.sandbox.brightspace.access import api
from lti_badges.sandbox.brightspace.state import BrightspaceState
from lti_badges.sandbox.model import Course, Person, Tool
from lti_badges.sandbox.world import Vendor, World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"


class Brightspace(Vendor):
    """The sandbox's platform, answering as Brightspace does."""

    key = "brightspace"
    label = "Brightspace-like"
    family = "desire2learn"
    offers_storage = True
    refuses_staff_scores = 422
    token_audience = "https://api.brightspace.com/auth/token"  # noqa: S105 - an address

    def __init__(self) -> None:
        super().__init__()
        self.state = BrightspaceState()

    def blueprints(self) -> Sequence[Blueprint]:
        """The Valence API."""
        return (api,)

    def connection(self, world: World) -> dict[str, str]:
        """An OAuth 2.0 application, authorised by somebody who sees all grades."""
        return {
            "url": world.base_url,
            "client_id": self.state.client_id,
            "client_secret": self.state.client_secret,
            "refresh_token": self.state.refresh_token,
            "token_url": f"{world.base_url}/core/connect/token",
        }

    def completed(self, world: World, course: Course, sub: str, done: bool) -> None:
        """A record that somebody made; without it the topics tell."""
        if done:
            self.state.records[sub] = clock.now()
            return
        self.state.records.pop(sub, None)
        course.done.get(sub, set()).clear()

    def prepare(self, world: World, course: Course) -> None:
        """Who completed all topics has completed the course; there are no records."""
        everything = set(course.activities)
        course.completed = {
            sub: at for sub, at in course.completed.items() if course.done.get(sub) == everything
        }
        for sub, done in course.done.items():
            if done == everything:
                course.completed.setdefault(sub, clock.now())

    def user_id(self, account: str) -> str:
        """The tenant, an underscore, and the id of the Valence API."""
        return f"{uuid5(NAMESPACE_URL, 'sandbox')}_{account}"

    def claims(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """Its own claim, and a sourcedid."""
        own = {
            "tenant_id": "sandbox",
            "user_id": int(person.sub),
            "username": person.given.lower(),
            "Context.id.history": ",".join(course.copied_from),
        }
        return {
            "http://www.brightspace.com": own,
            f"{CLAIM}lis": {"person_sourcedid": person.sub},
        }
