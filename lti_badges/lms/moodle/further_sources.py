"""What Moodle knows besides grades and completion: groups, cohorts and competencies.

Source: Moodle's group, competency and report_competency external functions.
Quirks: each function names the course by another parameter, or not at all; a competency that was
never rated has the proficiency null; the report is asked for learner by learner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import Gone
from lti_badges.lms.reader_dispatch import in_parts
from lti_badges.lms.rest import key_of, listed, rows
from lti_badges.values.course import Completion, Gradable, Kind

GROUP, COMPETENCY, COHORT = "moodle-group:", "moodle-competency:", "moodle-cohort:"
MEMBERSHIP, COMPETENCIES, COHORTS = "Moodle groups", "Moodle competencies", "Moodle cohorts"

Call = Callable[..., Any]
"""One web-service call: the function's name, the name of its course parameter, its arguments."""


class MoodleMore:
    """A course's further sources."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def gradables(self) -> Iterator[Gradable]:
        """All of them; one sort that may not be read never hides the others."""
        return in_parts(self._groups, self._cohorts, self._competencies)

    def members(self, key: str) -> Iterator[Completion]:
        """Who is in a group."""
        ref = key.removeprefix(GROUP)
        answer = self._call("core_group_get_group_members", None, **{"groupids[0]": ref})
        for row in rows(answer):
            for user in listed(row.get("userids")):
                yield Completion(str(user), key, True, None, clock.now(), is_group=True)

    def in_cohort(self, key: str) -> Iterator[Completion]:
        """Who is in a cohort of the site: also people who are not in this course."""
        ref = key.removeprefix(COHORT)
        answer = self._call("core_cohort_get_cohort_members", None, **{"cohortids[0]": ref})
        for row in rows(answer):
            for user in listed(row.get("userids")):
                yield Completion(str(user), key, True, None, clock.now(), is_group=True)

    def proficient(self, keys: set[str], subs: Iterator[str]) -> Iterator[Completion]:
        """Whether learners are proficient, one call each."""
        for sub in subs:
            try:
                answer = self._call("report_competency_data_for_report", userid=sub, moduleid="0")
            except Gone:  # no longer enrolled
                continue
            for row in rows(answer, "usercompetencies"):
                rated = row.get("usercompetencycourse")
                key = f"{COMPETENCY}{rated.get('competencyid')}" if isinstance(rated, dict) else ""
                if key in keys:
                    done = bool(rated and rated.get("proficiency"))
                    yield Completion(sub, key, done, None, clock.now())

    def _groups(self) -> Iterator[Gradable]:
        for row in rows(self._call("core_group_get_course_groups")):
            key, label = key_of(GROUP, row), f"Group “{unescape(str(row.get('name')))}”"
            yield Gradable(Kind.GROUP, key, label, None, MEMBERSHIP, is_rare=True)

    def _cohorts(self) -> Iterator[Gradable]:
        for row in rows(self._call("core_cohort_get_cohorts", None)):
            key, label = key_of(COHORT, row), f"Cohort “{unescape(str(row.get('name')))}”"
            yield Gradable(Kind.GROUP, key, label, None, COHORTS, is_rare=True)

    def _competencies(self) -> Iterator[Gradable]:
        for row in rows(self._call("core_competency_list_course_competencies", "id")):
            found = row.get("competency")
            if isinstance(found, dict):
                key = f"{COMPETENCY}{found.get('id')}"
                label = f"Competency “{unescape(str(found.get('shortname')))}”"
                yield Gradable(Kind.ACTIVITY, key, label, None, COMPETENCIES, is_rare=True)
