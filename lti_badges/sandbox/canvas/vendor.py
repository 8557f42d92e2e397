"""Canvas as an LTI platform.

Source: Canvas LMS, lib/lti/messages, app/controllers/lti/ims, lib/canvas/security/jwt_validator.rb.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from lti_badges.sandbox.model import Course, Link, Person, Tool
from lti_badges.sandbox.world import Vendor, World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"


class Canvas(Vendor):
    """Canvas-like."""

    key = "canvas"
    label = "Canvas-like"
    family = "canvas"
    offers_storage = True
    bookmarks = True
    refuses_staff_scores = 422
    token_life_s = 3600

    def user_id(self, account: str) -> str:
        """A UUID that says nothing of the REST API's id."""
        return str(uuid5(NAMESPACE_URL, f"sandbox {account}"))

    def claims(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """With the junk that real ones carry."""
        return {
            "azp": tool.client_id,
            "locale": "en",
            "https://www.instructure.com/placement": "course_navigation",
            f"{CLAIM}lti11_legacy_user_id": person.sub * 8,
            f"{CLAIM}lti1p1": {"user_id": person.sub * 8, "validation_context": None},
            "errors": {"errors": {}},
        }

    def link_id(self, course: Course, link: Link) -> str:
        """A launch from the course's navigation has the course's own id."""
        return course.id if link.id == "main" else link.id

    def prepare(self, world: World, course: Course) -> None:
        """The test student of “Student view”."""
        tester = Person("99", "Test", "Student", None, is_test=True)
        world.people[tester.sub] = tester
        course.members.append(tester.sub)
