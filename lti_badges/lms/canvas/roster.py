"""The members of a Canvas course, and whose Canvas id is which LTI id.

Source: Canvas LMS, app/controllers/lti/ims (memberships_provider.rb) and its REST API.
Quirks: the roster names Canvas ids only when it is asked with a link id; it leaves out whose
enrolment is completed, which is everybody after the term.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from itertools import chain
from urllib.parse import quote, urlencode

from lti_badges.core import clock
from lti_badges.core.errors import Gone, PlatformDown
from lti_badges.lms.canvas.gradebook import MOST
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.rest import Rest, rows
from lti_badges.lti import nrps
from lti_badges.values.course import CONCLUDED, Member

MEMBERS_A_PAGE = 50  # providers/memberships_provider.rb
LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
NO_LINK = frozenset({Gone.code, "http_400", "http_422"})
MOST_IDS = 200_000

_IDS: dict[tuple[str, str, date], str] = {}
"""Canvas ids by institution, LTI id and day, of this process."""


class Roster:
    """Those of one connected course. `path` is its address in the REST API; `plain` lists its
    members without Canvas ids."""

    def __init__(
        self,
        course: CourseHandle,
        rest: Rest,
        path: str,
        plain: Callable[[], Iterator[Member]],
    ) -> None:
        self._course = course
        self._rest = rest
        self._path = path
        self._plain = plain
        self._subs: dict[str, str] | None = None
        self._unmapped: list[str] = []

    def members(self) -> Iterator[Member]:
        """By NRPS with the course's own link id: each member then carries the Canvas user id that
        tells whose a submission is."""
        url = self._course.memberships_url
        if not url:
            yield from self._plain()
            return
        self._subs, self._unmapped = {}, []
        listed = nrps.members(
            self._course.service, url, rlid=self._course.context_id, limit=MEMBERS_A_PAGE
        )
        try:
            first = next(listed, None)
        except (Gone, PlatformDown) as error:
            # A key that was installed without course navigation has no such link.
            if error.code not in NO_LINK:
                raise
            first = None
        for member in chain([first], listed) if first else self._plain():
            if user_id := member.custom.get("canvas_user_id"):
                self._subs[user_id] = member.sub
            elif member.can_earn:
                self._unmapped.append(member.sub)
            yield member
        yield from self._concluded(self._subs)

    def who(self, sub: str | None) -> dict[str, str]:
        """LTI ids by Canvas user ids: of everybody, or of the one learner who is waiting."""
        if sub is None:
            if self._subs is None:
                for _ in self.members():
                    pass
            while self._unmapped:  # whom the roster named without the Canvas id
                learner = self._unmapped.pop()
                with suppress(Gone):
                    self._subs = {**(self._subs or {}), self._id_of(learner): learner}
            return self._subs or {}
        return {self._id_of(sub): sub}

    def _concluded(self, subs: dict[str, str]) -> Iterator[Member]:
        """Learners whose enrolment is completed: the roster leaves them out from the end of the
        term on, when their grades are final. Whom we never met has no LTI id that we know."""
        met = {
            custom["canvas_user_id"]: sub
            for sub, custom in self._course.known_members()
            if custom.get("canvas_user_id")
        }
        gone = {user: sub for user, sub in met.items() if user not in subs}
        if not gone:
            return
        query = [("type[]", "StudentEnrollment"), ("state[]", "completed"), MOST]
        for page in self._rest.linked(f"{self._path}/enrollments?{urlencode(query)}"):
            for row in rows(page):
                user = str(row.get("user_id"))
                if sub := gone.pop(user, None):
                    subs[user] = sub
                    yield Member(
                        sub,
                        frozenset({LEARNER}),
                        status=CONCLUDED,
                        custom={"canvas_user_id": user},
                    )

    def _id_of(self, sub: str) -> str:
        """The Canvas id of an LTI id; it changes only when users are merged: asked once a day."""
        key = (self._course.connection.get("url", ""), sub, clock.now().date())
        if key not in _IDS:
            found = self._rest.json(f"{self._path}/users/lti_1_3_id:{quote(sub, safe='')}")
            if not isinstance(found, dict) or found.get("id") is None:
                raise PlatformDown("Canvas's answer names no user.", code="unreadable")
            if len(_IDS) >= MOST_IDS:
                _IDS.clear()
            _IDS[key] = str(found["id"])
        return _IDS[key]
