"""Blackboard Learn as an LTI platform.

Source: docs.anthology.com, LTI 1.3.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from lti_badges.sandbox.model import Course, Person, Tool
from lti_badges.sandbox.world import Vendor, World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"


class Blackboard(Vendor):
    """Blackboard-like."""

    key = "blackboard"
    label = "Blackboard-like"
    family = "BlackboardLearn"
    offers_storage = True

    def user_id(self, account: str) -> str:
        """A UUID in 32 hex digits."""
        return uuid5(NAMESPACE_URL, f"sandbox {account}").hex

    def claims(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """An empty sourcedid."""
        return {"locale": "en_US", f"{CLAIM}lis": {"course_section_sourcedid": ""}}
