"""Blackboard Learn as an LTI platform.

Source: docs.anthology.com, LTI 1.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import Blueprint

from lti_badges.core import clock
from lti_badges.sandbox.blackboard.api import api
from lti_badges.sandbox.blackboard.state import BlackboardState
from lti_badges.sandbox.model import Course, Person, Tool
from lti_badges.sandbox.world import Vendor, World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"


class Blackboard(Vendor):
    """The sandbox's platform, answering as Blackboard does."""

    key = "blackboard"
    label = "Blackboard-like"
    family = "BlackboardLearn"
    offers_storage = True

    def __init__(self) -> None:
        super().__init__()
        self.state = BlackboardState()

    def blueprints(self) -> Sequence[Blueprint]:
        """The REST API of Learn."""
        return (api,)

    def connection(self, world: World) -> dict[str, str]:
        """A REST application, bound to a user who may read the gradebook."""
        return {
            "url": world.base_url,
            "application_key": self.state.key,
            "application_secret": self.state.secret,
        }

    def user_id(self, account: str) -> str:
        """A UUID in 32 hex digits."""
        return uuid5(NAMESPACE_URL, f"sandbox {account}").hex

    def claims(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """An empty sourcedid."""
        return {"locale": "en_US", f"{CLAIM}lis": {"course_section_sourcedid": ""}}

    def variables(self, world: World, person: Person, course: Course) -> dict[str, str]:
        """Its template variables; the history is there, and empty where nothing was copied."""
        return {
            **super().variables(world, person, course),
            "@X@user.uuid@X@": self.user_id(person.sub),
            "@X@course.pk_string@X@": f"_{course.id}_1",
            "$Context.id.history": ",".join(course.copied_from),
        }

    def completed(self, world: World, course: Course, sub: str, done: bool) -> None:
        """It knows reviewed content only."""
        course.done[sub] = set(course.activities) if done else set()

    def prepare(self, world: World, course: Course) -> None:
        """Who reviewed all content has completed the course."""
        everything = set(course.activities)
        course.completed = {
            sub: clock.now() for sub, done in course.done.items() if done == everything
        }
