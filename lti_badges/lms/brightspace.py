"""D2L Brightspace: registered per institution.

Source: D2L knowledge base 23662, 23752, 23756.
Quirks: service tokens are for one fixed audience, not the token address; the roster may hold only
learners who opened the tool, unless the deployment allows more.
"""

from __future__ import annotations

from lti_badges.lms.base import LMS, Capability
from lti_badges.values.course import Kind


class Brightspace(LMS):
    """Brightspace by LTI."""

    key = "brightspace"
    label = "Brightspace"
    docs = "docs/lms/brightspace.md"
    default_audience = "https://api.brightspace.com/auth/token"

    def capabilities(self) -> tuple[Capability, ...]:
        """Over LTI, grade items of this tool only."""
        rest = "Brightspace does not tell this over LTI."
        return (
            Capability(
                Kind.ITEM, True, "Over LTI, Brightspace shows this tool its own grade items only."
            ),
            Capability(Kind.COURSE_GRADE, False, rest),
            Capability(Kind.COMPLETION, False, rest),
        )
