"""Blackboard Learn: one client id for all institutions, told apart by deployment.

Source: docs.anthology.com (LTI 1.3, AGS) and the Learn OpenAPI description.
Quirks: AGS lists only columns this tool made; comments need `<br/>` for line breaks.
"""

from __future__ import annotations

from lti_badges.lms.base import LMS, Capability
from lti_badges.values.course import Kind


class Blackboard(LMS):
    """Blackboard Learn by LTI."""

    key = "blackboard"
    label = "Blackboard"
    docs = "docs/lms/blackboard.md"

    def capabilities(self) -> tuple[Capability, ...]:
        """Over LTI, columns of this tool only."""
        rest = "Blackboard does not tell this over LTI."
        return (
            Capability(
                Kind.ITEM, True, "Over LTI, Blackboard shows this tool its own columns only."
            ),
            Capability(Kind.COURSE_GRADE, False, rest),
            Capability(Kind.COMPLETION, False, rest),
        )
