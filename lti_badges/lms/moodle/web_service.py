"""One call of Moodle's web services, and which of its functions the token's service holds.

Source: Moodle 4.5, webservice/rest/locallib.php and core_webservice_get_site_info.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from lti_badges.core.errors import HttpError, NoRight, NotConnected, PlatformDown
from lti_badges.core.http import host_of
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.moodle.errors import refusal
from lti_badges.lms.rest import rows

SITE_INFO = "core_webservice_get_site_info"
ASKED_AGAIN_S = 600.0
_told: dict[str, tuple[float, frozenset[str]]] = {}
"""What sites told of their services, so that a page does not ask each time it is shown."""


class WebService:
    """The functions, called with the token that an admin gave."""

    def __init__(self, course: CourseHandle) -> None:
        self._course = course

    def call(self, function: str, course: str | None = "courseid", **arguments: str) -> Any:
        """The parsed answer. The token travels in the body, where no log keeps it. `course` is
        what the function calls the course's id, if it takes one. Raises PlatformError."""
        token = self._course.connection.get("token")
        if not token:
            raise NotConnected("Moodle's web services are not connected; an admin can do that.")
        url = f"{self._base}/webservice/rest/server.php"
        form = {"wsfunction": function, "moodlewsrestformat": "json", "wstoken": token, **arguments}
        if course is not None:
            form[course] = self._course.context_id
        try:
            reply = self._course.http.post(url, form=form)
            answer = reply.json() if reply.ok else None
        except HttpError as error:
            raise PlatformDown(error.message, code=error.code) from error
        if reply.status == 403:
            raise NoRight(f"{host_of(url)}: the REST protocol of the web services is switched off.")
        if not reply.ok:
            raise PlatformDown(
                f"{host_of(url)} answered with the error {reply.status}.",
                retry_after=reply.retry_after,
            )
        if isinstance(answer, dict) and "exception" in answer:
            raise refusal(answer, function)
        return answer

    def site(self) -> dict[str, Any]:
        """Whose token it is, and the service's functions."""
        answer = self.call(SITE_INFO, None)
        if not isinstance(answer, dict):
            raise PlatformDown("Moodle's site information can't be read.", code="unreadable")
        _told[self._asked] = (time.monotonic(), functions_of(answer))
        return answer

    def functions(self) -> frozenset[str]:
        """What the service holds, as told in the last ten minutes. Empty where the site does not
        say."""
        at, known = _told.get(self._asked, (float("-inf"), frozenset()))
        return known if time.monotonic() - at < ASKED_AGAIN_S else functions_of(self.site())

    @property
    def _base(self) -> str:
        return (self._course.connection.get("url") or self._course.issuer).rstrip("/")

    @property
    def _asked(self) -> str:
        token = self._course.connection.get("token", "")
        return hashlib.sha256(f"{self._base} {token}".encode()).hexdigest()


def functions_of(site: dict[str, Any]) -> frozenset[str]:
    """The names that site information lists; none where it lists nothing."""
    if "functions" not in site:
        return frozenset()
    return frozenset(str(row.get("name")) for row in rows(site, "functions"))
