"""Canvas: what its LTI services do differently.

Source: Canvas LMS source (app/controllers/lti/ims) and its API documentation.
Quirks: AGS lists only assignments of this tool, and a result exists only after a score of ours;
a score makes a new submission unless told not to; concluded courses answer 404.
"""

from __future__ import annotations

from typing import Any

from lti_badges.lms.base import LMS, Capability
from lti_badges.values.course import Kind

SUBMISSION = "https://canvas.instructure.com/lti/submission"


class Canvas(LMS):
    """Canvas by LTI."""

    key = "canvas"
    label = "Canvas"
    docs = "docs/lms/canvas.md"

    def capabilities(self) -> tuple[Capability, ...]:
        """Over LTI, assignments of this tool only."""
        rest = "Canvas does not tell this over LTI."
        return (
            Capability(
                Kind.ITEM, True, "Over LTI, Canvas shows this tool its own assignments only."
            ),
            Capability(Kind.COURSE_GRADE, False, rest),
            Capability(Kind.COMPLETION, False, rest),
        )

    def score_extensions(self) -> dict[str, Any]:
        """No new submission (it would re-date the learner's), and a teacher's grade stays."""
        return {
            SUBMISSION: {
                "new_submission": False,
                "preserve_score": True,
                "prioritize_non_tool_grade": True,
            }
        }
