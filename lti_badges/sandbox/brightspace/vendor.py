"""Brightspace as an LTI platform.

Source: D2L knowledge base 23661, 23662, 23752, 23756.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from lti_badges.sandbox.model import Course, Person, Tool
from lti_badges.sandbox.world import Vendor, World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"


class Brightspace(Vendor):
    """Brightspace-like."""

    key = "brightspace"
    label = "Brightspace-like"
    family = "desire2learn"
    offers_storage = True
    token_audience = "https://api.brightspace.com/auth/token"  # noqa: S105 - an address

    def user_id(self, account: str) -> str:
        """The tenant, an underscore, and the id of the Valence API."""
        return f"{uuid5(NAMESPACE_URL, 'sandbox')}_{account}"

    def claims(self, world: World, tool: Tool, person: Person, course: Course) -> dict[str, Any]:
        """Its own claim, and a sourcedid."""
        return {
            "http://www.brightspace.com": {"tenant_id": "sandbox", "org_id": int(course.id)},
            f"{CLAIM}lis": {"person_sourcedid": person.sub},
        }
