"""Moodle's gradebook: its items and the learners' grades.

Source: Moodle 4.5, grade/report/user/classes/external/user.php, grade/classes/external/
get_gradeitems.php. The report of a whole course is built learner by learner on the server (23 s and
30,363 queries for 300 learners on a running 4.5.6): only small classes are asked for at once. An
item that a learner may not see is missing from that learner's report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from html import unescape
from itertools import chain, islice
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import Gone, NoRight, PlatformDown
from lti_badges.core.text import as_text
from lti_badges.lms.moodle.rights import GRADES, ITEMS
from lti_badges.lms.moodle.values import ITEM_PREFIX, is_worded, item_key, maximum_of, result_of
from lti_badges.lms.moodle.web_service import WebService
from lti_badges.lms.reader_dispatch import Learners
from lti_badges.lms.rest import key_of, rows
from lti_badges.values.course import COURSE_GRADE_KEY, Gradable, Kind, Result

SOURCE = "Moodle gradebook"
AT_ONCE = 20
"""Learners whose grades are asked for in one call: more in one take longer than a call may."""
SAMPLE = 5
"""Learners whose reports tell the items' maxima and scales."""
LATE_IN_A_ROW = 3


class Gradebook:
    """One course's. `learners` are those whose reports may tell the items."""

    def __init__(self, service: WebService, learners: Callable[[], Iterator[str]]) -> None:
        self._service = service
        self._learners = learners

    def gradables(self, own: frozenset[str]) -> Iterator[Gradable]:
        """All items and the course total. What no report shows is hidden, not deleted. `own` are
        the names of columns that this tool made."""
        named = self._named()
        seen = self._sampled(named)
        if COURSE_GRADE_KEY in seen:
            total = seen[COURSE_GRADE_KEY]
            yield Gradable(
                Kind.COURSE_GRADE,
                COURSE_GRADE_KEY,
                "Course grade",
                maximum_of(total),
                SOURCE,
                in_words=is_worded(total),
            )
        listed = (key for key in seen if key != COURSE_GRADE_KEY)
        for key in named if named is not None else listed:
            item = seen.get(key, {})
            label = unescape(str((named or {}).get(key) or item.get("itemname") or "")).strip()
            yield Gradable(
                Kind.ITEM,
                key,
                label or "Untitled grade item",
                maximum_of(item),
                SOURCE,
                is_own=label in own,
                in_words=is_worded(item),
                is_hidden=key not in seen and bool(seen),
            )

    def grades(self, graded: Sequence[Gradable], learners: Learners) -> Iterator[Result]:
        """Everybody's grades: a small class in one call, a large one learner by learner. A learner
        whose report does not come keeps the last values; the others are read."""
        wanted = {gradable.key for gradable in graded}
        if learners.one is not None:
            with suppress(Gone):  # no longer enrolled, or the account is suspended
                yield from self._of(learners.one, wanted)
            return
        subs = learners.subs()
        first = list(islice(subs, AT_ONCE + 1))
        told: set[str] = set()
        if len(first) <= AT_ONCE:
            for result in self._at_once(wanted):
                told.add(result.sub)
                yield result
        # In separate groups the report of the course may leave out the other groups' learners.
        yield from self._one_by_one((sub for sub in chain(first, subs) if sub not in told), wanted)

    def _at_once(self, wanted: set[str]) -> list[Result]:
        try:
            answer = self._service.call(GRADES, userid="0")
        except PlatformDown:  # too slow, or too large: learner by learner it is quick
            return []
        read_at = clock.now()
        return [
            result_of(item_key(item), str(report.get("userid")), item, read_at)
            for report in rows(answer, "usergrades")
            for item in rows(report, "gradeitems")
            if item_key(item) in wanted
        ]

    def _one_by_one(self, subs: Iterator[str], wanted: set[str]) -> Iterator[Result]:
        late, in_a_row = 0, 0
        last: PlatformDown | None = None
        for sub in subs:
            try:
                yield from self._of(sub, wanted)
            except Gone:
                continue
            except PlatformDown as error:
                late, in_a_row, last = late + 1, in_a_row + 1, error
                if in_a_row >= LATE_IN_A_ROW or error.retry_after is not None:
                    raise
                continue
            in_a_row = 0
        if last is not None:
            raise PlatformDown(
                f"{late} learners' grades did not come in time; their last values stay. "
                f"{last.message}",
                code="late",
            )

    def _of(self, sub: str, wanted: set[str]) -> Iterator[Result]:
        report, read_at = self._report(sub), clock.now()
        return (
            result_of(item_key(item), sub, item, read_at)
            for item in report
            if item_key(item) in wanted
        )

    def _named(self) -> dict[str, str] | None:
        """The items' names by key; None on a Moodle before 4.2, or where the function is missing
        from the service."""
        try:
            answer = self._service.call(ITEMS)
        except NoRight:
            return None
        return {
            key_of(ITEM_PREFIX, row): str(row.get("itemname") or "")
            for row in rows(answer, "gradeItems")
        }

    def _sampled(self, named: dict[str, str] | None) -> dict[str, dict[str, Any]]:
        """Items as some learners' reports show them, graded ones first."""
        seen: dict[str, dict[str, Any]] = {}
        asked = 0
        for sub in self._learners():
            if asked == SAMPLE:
                break
            with suppress(Gone):
                report = self._report(sub)
                asked += 1
                for item in report:
                    if as_text(item.get("itemtype")) in {"course", "mod", "manual"} and item.get(
                        "id"
                    ):
                        key = item_key(item)
                        if key not in seen or (is_worded(item) and not is_worded(seen[key])):
                            seen[key] = item
            if named is not None and {*named, COURSE_GRADE_KEY} <= set(seen):
                break
        return seen

    def _report(self, sub: str) -> list[dict[str, Any]]:
        answer = self._service.call(GRADES, userid=sub)
        return next((rows(report, "gradeitems") for report in rows(answer, "usergrades")), [])
