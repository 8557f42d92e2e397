"""Moodle as an LTI platform.

Source: Moodle 4.5, mod/lti.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint

from lti_badges.sandbox.model import Course, Person, Tool
from lti_badges.sandbox.moodle.state import MoodleState
from lti_badges.sandbox.moodle.web_services import web_services
from lti_badges.sandbox.world import Vendor, World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"


class Moodle(Vendor):
    """The sandbox's platform, answering as Moodle does."""

    key = "moodle"
    label = "Moodle-like"
    family = "moodle"
    short_roles = True
    escapes_names = True
    service_query = "?type_id=1"
    lists_suspended = False
    token_life_s = 60
    excuses = False
    tells_deployment = True

    def __init__(self) -> None:
        super().__init__()
        self.state = MoodleState()

    def claims(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """Empty sourcedids, and who logged in."""
        return {
            f"{CLAIM}lis": {"person_sourcedid": "", "course_section_sourcedid": ""},
            f"{CLAIM}ext": {"user_username": person.given.lower(), "lms": "moodle-2"},
        }

    def blueprints(self) -> Sequence[Blueprint]:
        """The web services."""
        return (web_services,)

    def connection(self, world: World) -> dict[str, str]:
        """A service user's token."""
        return {"url": world.base_url, "token": world.api_token}
