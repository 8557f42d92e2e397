"""What the user needs whom the REST application is bound to: an entitlement for each list.

Source: Learn OpenAPI 3900.65, the entitlement that each route's description names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Needed:
    """A list of a course (address below the public API), and what is lost without its right."""

    path: str
    right: str
    loss: str
    is_optional: bool = False

    @property
    def sentence(self) -> str:
        """For an admin."""
        return f"Without the entitlement {self.right} {self.loss}."


NEEDED = (
    Needed(
        "v2/courses/{course}/gradebook/columns",
        "course.gradebook.MODIFY",
        "no columns and grades are read",
    ),
    Needed("v1/courses/{course}/users", "course.user.VIEW", "nobody's grades can be told apart"),
    Needed(
        "v1/courses/{course}/performance/contentReviewStatus",
        "course.performance.dashboard.VIEW",
        "reviewed content can't stand for completion",
        is_optional=True,
    ),
    Needed(
        "v2/courses/{course}/groups",
        "course.group.VIEW",
        "groups can't be conditions",
        is_optional=True,
    ),
    Needed(
        "v1/courses/{course}/children",
        "course.children.VIEW",
        "merged courses can't be conditions",
        is_optional=True,
    ),
)
