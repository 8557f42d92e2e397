"""A course in Blackboard's REST API: its addresses, its pages, and whose rows are whose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from lti_badges.lms.blackboard.columns import API
from lti_badges.lms.blackboard.roster import PARAMETERS, Roster, roster
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.rest import Rest, rows

PAGE_SIZE = "200"


class CourseApi:
    """One course, read through `rest`."""

    def __init__(self, rest: Rest, course: CourseHandle) -> None:
        self.rest = rest
        self._course = course

    def path(self, version: str) -> str:
        """The course by its LTI id, in a version of the API (v1, v2)."""
        return f"{API}/{version}/courses/uuid:{quote(self._course.context_id, safe='')}"

    def pages(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """All rows, by `paging.nextPage`."""
        query = {"limit": PAGE_SIZE, **(params or {})}
        for answer in self.rest.addressed(path, query, _next_page):
            yield from rows(answer, "results")

    def roster(self, unknown: str | None = None) -> Roster:
        """Whose LTI ids its users' are; read anew for a user id that is `unknown` so far."""
        held = self._course.connection
        course = (held.get("url", ""), held.get("application_key", ""), self._course.context_id)
        path = f"{self.path('v1')}/users"
        return roster(course, lambda: self.pages(path, PARAMETERS), unknown=unknown)

    def sub_of(self, row: Mapping[str, Any]) -> str | None:
        """The LTI id of whose row it is; the roster is read anew for somebody it does not name."""
        user = str(row.get("userId"))
        return self.roster().subs.get(user) or self.roster(user).subs.get(user)


def _next_page(answer: Mapping[str, Any]) -> Any:
    paging = answer.get("paging")
    return paging.get("nextPage") if isinstance(paging, dict) else None
