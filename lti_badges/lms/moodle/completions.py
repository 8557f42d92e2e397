"""What Moodle tells of completion: of the course, and of its activities.

Source: Moodle 4.5 completion/classes/external.php, and a running 4.5.6.
Quirks: a course without completion criteria never completes; completion is written by cron, later;
activities whose capabilities the token's user lacks are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import unescape

from lti_badges.core import clock
from lti_badges.core.errors import Gone, PlatformDown
from lti_badges.core.text import as_text
from lti_badges.lms.moodle.rights import ACTIVITIES_DONE, CONTENTS, COURSE_DONE
from lti_badges.lms.moodle.web_service import WebService
from lti_badges.lms.reader_dispatch import Learners
from lti_badges.lms.rest import key_of, rows
from lti_badges.values.course import COURSE_COMPLETION, Completion, Gradable, Kind, Tracking

COMPLETION = "Moodle completion"
COMPLETE_STATES = frozenset({"1", "2"})  # 3 is "completed, but failed"
ACTIVITY_PREFIX = "moodle-cm:"
ANY_CRITERION = 2
"""`aggregation` of a course that the first criterion completes (completion/criteria)."""


class Completions:
    """Those of one course."""

    def __init__(self, service: WebService) -> None:
        self._service = service

    def of_course(self) -> Iterator[Gradable]:
        """The completion of the course itself."""
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, "Course completion", None, COMPLETION)

    def activities(self) -> Iterator[Gradable]:
        """Activities for which completion is tracked."""
        for section in rows(self._service.call(CONTENTS)):
            for module in rows(section, "modules"):
                if module.get("completion"):
                    name = unescape(str(module.get("name") or "Activity"))
                    key = key_of(ACTIVITY_PREFIX, module)
                    yield Gradable(Kind.ACTIVITY, key, name, None, COMPLETION)

    def read_course(self, _: Gradable, learners: Learners) -> Iterator[Completion]:
        """Who completed the course, one call each. Raises PlatformDown for an odd answer."""
        for sub in learners.unfinished():
            try:
                answer = self._service.call(COURSE_DONE, userid=sub)
            except Gone:  # no longer enrolled, or a teacher: they complete nothing
                continue
            status = answer.get("completionstatus") if isinstance(answer, dict) else None
            if not isinstance(status, dict):
                raise PlatformDown("Moodle's completion status can't be read.", code="unreadable")
            done = bool(status.get("completed"))
            times = [clock.told(part.get("timecompleted")) for part in rows(status, "completions")]
            first = min if status.get("aggregation") == ANY_CRITERION else max
            at = first((time for time in times if time), default=None) if done else None
            yield Completion(sub, COURSE_COMPLETION, done, at, clock.now())

    def read_activities(
        self, activities: Sequence[Gradable], learners: Learners
    ) -> Iterator[Completion | Tracking]:
        """Who completed which of these activities, one call a learner."""
        keys = {activity.key for activity in activities}
        for sub in learners.unfinished():
            try:
                answer = self._service.call(ACTIVITIES_DONE, userid=sub)
            except Gone:
                continue
            statuses = rows(answer, "statuses")
            # The roster calls teachers without editing rights learners; completion knows better.
            tracked = not any(status.get("istrackeduser") is False for status in statuses)
            yield Tracking(sub, tracked)
            for status in statuses if tracked else ():
                key = f"{ACTIVITY_PREFIX}{status.get('cmid')}"
                if key in keys:
                    done = as_text(status.get("state")) in COMPLETE_STATES
                    at = clock.told(status.get("timecompleted")) if done else None
                    yield Completion(sub, key, done, at, clock.now())
