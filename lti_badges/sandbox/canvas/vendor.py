"""Canvas as an LTI platform.

Source: Canvas LMS, lib/lti/messages, app/controllers/lti/ims (concerns/lti_services.rb: a missing
scope is 401 “Insufficient permissions”; line_items, results: 10 rows a page, at most 100;
providers/course_memberships_provider.rb: 50), lib/canvas/security/jwt_validator.rb (exactly the
token address as audience, `iat` at most 5 minutes old and 30 seconds ahead), doc/api/pns.md,
doc/api/registration.md (`authorization_server` is a bare host).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from flask import Blueprint

from lti_badges.sandbox.canvas import api as _routes  # noqa: F401 - registers them
from lti_badges.sandbox.canvas.access import api
from lti_badges.sandbox.canvas.notices import NOTICE_SCOPE, notices, notices_claim
from lti_badges.sandbox.canvas.state import CanvasState
from lti_badges.sandbox.model import Course, Link, Person, Tool
from lti_badges.sandbox.world import Vendor, World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DEFAULT_PAGE, MOST_A_PAGE, ROSTER_PAGE = 10, 100, 50
OLDEST_S, AHEAD_S = 300, 30
TYPES = {401: "unauthorized", 404: "not_found", 412: "precondition_failed"}
PICKERS = (
    "assignment_selection",
    "course_assignments_menu",
    "editor_button",
    "link_selection",
    "module_index_menu_modal",
    "module_menu_modal",
    "submission_type_selection",
)
NOTICES = ("LtiHelloWorldNotice", "LtiContextCopyNotice", "LtiAssetProcessorSubmissionNotice")
VARIABLES = (
    "$Canvas.user.id",
    "$Canvas.course.id",
    "$Canvas.api.domain",
    "$Canvas.enrollment.enrollmentState",
    "$Context.id.history",
    "$Canvas.course.previousContextIds",
    "$Canvas.masqueradingUser.id",
)


class Canvas(Vendor):
    """The sandbox's platform, answering as Canvas does."""

    key = "canvas"
    label = "Canvas-like"
    family = "canvas"
    offers_storage = True
    bookmarks = True
    refuses_staff_scores = 422
    refuses_scope = 401
    lists_suspended = False
    further_scopes = (NOTICE_SCOPE,)
    refuses_foreign_item = 412
    token_life_s = 3600

    def __init__(self) -> None:
        super().__init__()
        self.state = CanvasState()

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
            **notices_claim(world, tool),
        }

    def wrong_assertion(self, claims: dict[str, Any]) -> str | None:
        """lib/canvas/security/jwt_validator.rb."""
        age = time.time() + self.skew_s - claims["iat"]
        if age > OLDEST_S:
            return "the 'iat' must be less than 300 seconds old"
        return "the 'iat' must not be in the future" if age < -AHEAD_S else None

    def page_size(self, service: str, asked: str | None) -> int:
        """10 unless asked, at most 100; the roster always by 50 (lib/api.rb)."""
        if service == "members":
            return min(int(asked or ROSTER_PAGE), ROSTER_PAGE)
        return min(int(asked or DEFAULT_PAGE), MOST_A_PAGE)

    def openid(self, world: World) -> dict[str, Any]:
        """A bare host where others put their audience (dynamic_registration_controller.rb)."""
        return {
            "authorization_server": urlsplit(world.base_url).netloc,
            "scopes_supported": ["openid", *world.scopes],
        }

    def platform(self, world: World) -> dict[str, Any]:
        """The placements, notices and variables that it has, and the account's name."""
        placements = {
            "LtiResourceLinkRequest": ["course_navigation"],
            "LtiDeepLinkingRequest": list(PICKERS),
        }
        return {
            "messages_supported": [
                {"type": kind, "placements": found} for kind, found in placements.items()
            ],
            "notice_types_supported": list(NOTICES),
            "variables": [name.removeprefix("$") for name in VARIABLES],
            "https://canvas.instructure.com/lti/account_name": "Sandbox campus",
        }

    def variables(self, world: World, person: Person, course: Course) -> dict[str, str]:
        """lib/lti/variable_expander.rb."""
        return {
            **super().variables(world, person, course),
            "$Canvas.user.id": person.sub,
            "$Canvas.course.id": course.id,
            "$Canvas.api.domain": urlsplit(world.base_url).netloc,
            "$Canvas.enrollment.enrollmentState": self.state.enrolment_of(person),
            "$Context.id.history": ",".join(course.copied_from),
            "$Canvas.course.previousContextIds": ",".join(course.copied_from),
            "$Canvas.masqueradingUser.id": "",
        }

    def member(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """With `rlid`: the custom parameters of each member
        (names_and_roles_serializer.rb). Of these only what is about the person is filled in."""
        told = world.custom_parameters(tool, person, course)
        return {"message": [{f"{CLAIM}custom": told}]}

    def refusal(self, status: int, message: str) -> dict[str, Any]:
        """concerns/lti_services.rb, render_error."""
        return {"errors": {"type": TYPES.get(status, "unprocessable_entity"), "message": message}}

    def blueprints(self) -> Sequence[Blueprint]:
        """Its REST API, and the notice handlers."""
        return (api, notices)

    def connection(self, world: World) -> dict[str, str]:
        """An account's access token."""
        return {"url": world.base_url, "token": world.api_token}

    def is_enrolled(self, person: Person) -> bool:
        """The roster holds active participants only (course_memberships_provider.rb)."""
        return bool(self.state.enrolment_of(person) == "active")

    def link_id(self, course: Course, link: Link) -> str:
        """A launch from the course's navigation has the course's own id."""
        return course.id if link.id == "main" else link.id

    def prepare(self, world: World, course: Course) -> None:
        """The test student of “Student view”."""
        tester = Person("99", "Test", "Student", None, is_test=True)
        world.people[tester.sub] = tester
        course.members.append(tester.sub)
