"""Canvas's module requirements: the only completion of a course that it knows.

Source: Canvas LMS, its API documentation (Courses, `bulk_user_progress`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import Unsupported
from lti_badges.lms.canvas.gradebook import MOST
from lti_badges.lms.rest import Rest, rows
from lti_badges.values.course import COURSE_COMPLETION, Completion


def progress(
    rest: Rest, path: str, sub: str | None, who: Mapping[str, str]
) -> Iterator[Completion]:
    """Of everybody in `who`, or of the one learner `sub`, who is in it alone. Raises Unsupported
    for a course without requirements."""
    if sub:
        user = next(iter(who), "0")
        found = rest.json(f"{path}/users/{user}/progress")
        yield from _completion_of(sub, found)
        return
    for page in rest.linked(f"{path}/bulk_user_progress", dict([MOST])):
        _refuse_without_modules(page)
        for row in rows(page):
            if owner := who.get(str(row.get("id"))):
                yield from _completion_of(owner, row.get("progress"))


def _completion_of(sub: str, progress: Any) -> Iterator[Completion]:
    """Completed when all requirements are, and there is at least one."""
    _refuse_without_modules(progress)
    if not isinstance(progress, dict):
        return
    at, count = progress.get("completed_at"), progress.get("requirement_count")
    done = bool(at) and (not count or progress.get("requirement_completed_count") == count)
    yield Completion(sub, COURSE_COMPLETION, done, clock.told(at) if done else None, clock.now())


def _refuse_without_modules(answer: Any) -> None:
    """Raises Unsupported for the answer of a course that can't be completed."""
    if isinstance(answer, dict) and "error" in answer:
        raise Unsupported(
            "This course has no module requirements, so Canvas never completes it; set them in "
            "its modules."
        )
