"""What the user needs whom the REST application is bound to: an entitlement for each list.

Source: Learn OpenAPI 3900.65, the entitlement that each route's description names.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from lti_badges.core.errors import Gone, NoRight
from lti_badges.lms.blackboard.columns import API
from lti_badges.lms.rest import Rest, id_of, rows


@dataclass(frozen=True, slots=True)
class Needed:
    """A list of a course (address below the public API), and what is lost without its right."""

    path: str
    right: str
    loss: str
    is_optional: bool = False

    @property
    def sentence(self) -> str:
        """What to tell an admin where the right is missing."""
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


def missing_rights(rest: Rest, course: str) -> list[Needed]:
    """Those that a course refuses when asked for one row of each list. Raises PlatformError."""
    return [each for each in NEEDED if not _may(rest, each.path.format(course=course))]


def some_course(rest: Rest, context_id: str) -> str | None:
    """How this course is named in addresses, or any that the application sees; None for none.
    Raises PlatformError."""
    if context_id:
        return f"uuid:{quote(context_id, safe='')}"
    with suppress(NoRight, Gone):
        answer = rest.json(f"{API}/v3/courses", {"limit": "1", "fields": "id"})
        return next((quote(id_of(row), safe="") for row in rows(answer, "results")), None)
    return None


def _may(rest: Rest, path: str) -> bool:
    with suppress(Gone):  # an older Learn has no such list: nothing that a right would change
        try:
            rest.json(f"{API}/{path}", {"limit": "1"})
        except NoRight:
            return False
    return True
