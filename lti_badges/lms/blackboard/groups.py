"""Blackboard's groups, and the courses that were merged into one: listed, and who is in them.

Source: Learn OpenAPI 3900.65 (groups, children, course memberships).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote

from lti_badges.core import clock
from lti_badges.core.errors import Gone, Unsupported
from lti_badges.lms.blackboard.course_api import CourseApi
from lti_badges.lms.reader_dispatch import Learners, in_parts
from lti_badges.lms.rest import id_of, key_of
from lti_badges.values.course import Completion, Gradable, Kind

GROUP_PREFIX, GROUPS = "blackboard-group:", "Blackboard groups"
CHILD_PREFIX, CHILDREN = "blackboard-child:", "Blackboard merged courses"


class Groups:
    """Those of one course."""

    def __init__(self, api: CourseApi) -> None:
        self._api = api

    def gradables(self) -> Iterator[Gradable]:
        """Groups, and merged courses; one sort that may not be read never hides the other."""
        return in_parts(self._groups, self._children)

    def members(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        """Who is in a group. Raises Unsupported where nobody's LTI id is told."""
        key = gradable.key
        if learners.one is not None:
            yield from self._membership(key, learners.one)
            return
        if not self._api.roster().subs:
            raise Unsupported("This Learn does not tell whose LTI id its course users have.")
        for row in self._api.pages(self._group(key)):
            if sub := self._api.sub_of(row):
                yield Completion(sub, key, True, None, clock.now(), is_group=True)

    def members_of_child(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        """Who came from a merged course: the roster tells; of one learner their membership."""
        child = gradable.key.removeprefix(CHILD_PREFIX)
        if learners.one is None:
            found = [sub for sub, of in self._api.roster().children.items() if of == child]
        else:
            found = []
            with suppress(Gone):
                path = f"{self._api.path('v1')}/users/uuid:{quote(learners.one, safe='')}"
                row = self._api.rest.json(path)
                told = row.get("childCourseId") if isinstance(row, dict) else None
                found = [learners.one] if told == child else []
        for sub in found:
            yield Completion(sub, gradable.key, True, None, clock.now(), is_group=True)

    def _groups(self) -> Iterator[Gradable]:
        for row in self._api.pages(f"{self._api.path('v2')}/groups"):
            label = f"Group “{row.get('name')}”"
            key = key_of(GROUP_PREFIX, row)
            yield Gradable(Kind.GROUP, key, label, None, GROUPS, is_rare=True)

    def _children(self) -> Iterator[Gradable]:
        with suppress(Gone):  # nothing was merged into it
            for row in self._api.pages(
                f"{self._api.path('v1')}/children", {"expand": "childCourse"}
            ):
                child = row.get("childCourse")
                told = child if isinstance(child, dict) else {}
                label = f"Merged course “{told.get('name') or id_of(row)}”"
                key = f"{CHILD_PREFIX}{id_of(row)}"
                yield Gradable(Kind.GROUP, key, label, None, CHILDREN, is_rare=True)

    def _group(self, key: str) -> str:
        group = quote(key.removeprefix(GROUP_PREFIX), safe="")
        return f"{self._api.path('v2')}/groups/{group}/users"

    def _membership(self, key: str, sub: str) -> Iterator[Completion]:
        with suppress(Gone):  # not in it, or the group is gone: the course's own reading tells
            self._api.rest.json(f"{self._group(key)}/uuid:{quote(sub, safe='')}")
            yield Completion(sub, key, True, None, clock.now(), is_group=True)
