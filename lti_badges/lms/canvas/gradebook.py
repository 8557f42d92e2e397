"""Canvas's gradebook: submissions, assignment groups, and the several course grades.

Source: Canvas LMS, submissions_api_, enrollments_api_ and assignment_groups_controller.rb.
Quirks: `final_score` counts what is missing as zero, `current_score` leaves it out, neither counts
what is not posted; an override wins over both on the learner's page, but has no period; enrolments
of the past are `completed` and must be asked for; whoever is in two sections is listed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode

from lti_badges.core import clock
from lti_badges.core.errors import Gone, Unsupported
from lti_badges.lms.canvas.values import mark_of, state_of, words
from lti_badges.lms.rest import Rest, id_of, key_of, number, rows
from lti_badges.values.course import (
    COURSE_GRADE_KEY,
    Gradable,
    Kind,
    Result,
    ResultState,
)

GRADES = "Canvas gradebook"
ITEM_PREFIX, ASSIGNMENT_GROUP = "canvas-assignment:", "canvas-assignment-group:"
GRADE, PERIOD = "canvas-grade:", "canvas-period:"
CURRENT, OVERRIDE = "current", "override"
MOST = ("per_page", "100")
"""Canvas's maximum (lib/api.rb)."""
STATES = (("state[]", "active"), ("state[]", "completed"))
"""Those who learn, and those who did: without the second nobody has a grade after the term."""
DROPS = ("drop_lowest", "drop_highest")
NO_VALUE = frozenset({ResultState.MISSING, ResultState.EXCUSED})


def course_grades() -> Iterator[Gradable]:
    """The course grade as learners see it, and its other readings."""
    hundred = Fraction(100)
    yield Gradable(Kind.COURSE_GRADE, COURSE_GRADE_KEY, "Course grade", hundred, GRADES)
    for ref, label in (
        (CURRENT, "Course grade so far (ungraded work left out)"),
        (OVERRIDE, "Course grade set by hand (override)"),
    ):
        yield Gradable(Kind.ITEM, f"{GRADE}{ref}", label, hundred, GRADES)


def submissions(
    rest: Rest,
    path: str,
    items: Sequence[str],
    sub: str | None,
    who: Mapping[str, str],
    since: datetime | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows of these assignments, of everybody or of the one learner in `who`; `since` only those
    that were graded after it."""
    students = next(iter(who), "0") if sub else "all"
    query = [("student_ids[]", students), *(("assignment_ids[]", item) for item in items), MOST]
    if since is not None:
        query.append(("graded_since", clock.iso(since)))
    for page in rest.linked(f"{path}/students/submissions?{urlencode(query)}"):
        yield from rows(page)


def result_of(gradable: Gradable, owner: str, row: Mapping[str, Any]) -> Result:
    """A submission as a learner's result."""
    return Result(
        gradable.key,
        owner,
        state_of(row),
        number(row.get("score")),
        gradable.maximum,
        clock.now(),
        mark_of(row) if gradable.in_words else None,
        graded_at=clock.told(row.get("graded_at")),
        submitted_at=clock.told(row.get("submitted_at")),
        posted_at=clock.told(row.get("posted_at")),
    )


def grades(
    rest: Rest, path: str, key: str, sub: str | None, who: Mapping[str, str]
) -> Iterator[Result]:
    """One of the course grades, in percent."""
    query = [("type[]", "StudentEnrollment"), *STATES, MOST]
    if sub:
        query.append(("user_id", next(iter(who), "0")))
    ref, _, which = key.removeprefix(PERIOD).partition(":")
    if key.startswith(PERIOD):
        query.append(("grading_period_id", ref))
    elif key.startswith(GRADE):
        which = key.removeprefix(GRADE)
    seen: set[str] = set()
    for page in rest.linked(f"{path}/enrollments?{urlencode(query)}"):
        for row in rows(page):
            owner, told = who.get(str(row.get("user_id"))), row.get("grades")
            if owner is None or owner in seen or not isinstance(told, dict):
                continue
            seen.add(owner)
            yield _grade(key, owner, which, told)


def group_scores(
    rest: Rest, path: str, group: Gradable, sub: str | None, who: Mapping[str, str]
) -> Iterator[Result]:
    """The share of an assignment group's points, as Canvas adds them up for the final score: what
    is missing is zero, what is excused is left out. Canvas tells no such number itself; groups that
    drop scores are refused, because which one is dropped is Canvas's own affair."""
    ref = group.key.removeprefix(ASSIGNMENT_GROUP)
    _refuse_rules(rest, path, ref)
    points = _points_of(rest, path, ref)
    if not points:
        raise Unsupported(f"{group.label}: no published assignment has points.")
    got: dict[str, Fraction] = {}
    of: dict[str, Fraction] = {}
    hidden: set[str] = set()
    for row in submissions(rest, path, list(points), sub, who):
        owner, worth = who.get(str(row.get("user_id"))), points.get(str(row.get("assignment_id")))
        state = state_of(row)
        if owner is None or worth is None or state is ResultState.EXCUSED:
            continue
        of[owner] = of.get(owner, Fraction(0)) + worth
        if state in {ResultState.HIDDEN, ResultState.PENDING}:
            hidden.add(owner)
        elif state not in NO_VALUE:
            got[owner] = got.get(owner, Fraction(0)) + (number(row.get("score")) or Fraction(0))
    for owner, most in of.items():
        state = ResultState.GRADED if owner in got else ResultState.MISSING
        if owner in hidden:
            state = ResultState.HIDDEN
        score = got.get(owner) if state is ResultState.GRADED else None
        yield Result(group.key, owner, state, score, most, clock.now())


def assignment_groups(rest: Rest, path: str) -> Iterator[Gradable]:
    """All groups; with one only it is the course."""
    pages = rest.linked(f"{path}/assignment_groups", dict([MOST]))
    found = [row for page in pages for row in rows(page)]
    for row in found if len(found) > 1 else ():
        label = f"Assignment group “{row.get('name')}”"
        key = key_of(ASSIGNMENT_GROUP, row)
        yield Gradable(Kind.ITEM, key, label, None, GRADES, is_rare=True)


def _refuse_rules(rest: Rest, path: str, ref: str) -> None:
    pages = rest.linked(f"{path}/assignment_groups", dict([MOST]))
    group = next((row for page in pages for row in rows(page) if str(row.get("id")) == ref), None)
    if group is None:
        raise Gone("This assignment group is no longer there.")
    rules = group.get("rules")
    if isinstance(rules, dict) and any(rules.get(name) for name in DROPS):
        raise Unsupported(
            f"“{group.get('name')}” drops scores, and Canvas does not tell which: use its "
            "assignments one by one, or the course grade."
        )


def _points_of(rest: Rest, path: str, ref: str) -> dict[str, Fraction]:
    points = {}
    for page in rest.linked(f"{path}/assignments", dict([MOST])):
        for row in rows(page):
            worth = number(row.get("points_possible"))
            counts = row.get("published") is not False and not row.get("omit_from_final_grade")
            if str(row.get("assignment_group_id")) == ref and worth and counts:
                points[id_of(row)] = worth
    return points


def _grade(key: str, owner: str, which: str, told: Mapping[str, Any]) -> Result:
    override, letter = number(told.get("override_score")), told.get("override_grade")
    name = "current" if which == CURRENT else "final"
    score, mark = number(told.get(f"{name}_score")), told.get(f"{name}_grade")
    if which == OVERRIDE:
        score, mark = override, letter
    elif not which and override is not None:
        score, mark = override, letter or mark
    state = ResultState.MISSING if score is None else ResultState.GRADED
    if score is None and f"{name}_score" not in told:
        state = ResultState.HIDDEN
    return Result(key, owner, state, score, Fraction(100), clock.now(), words(mark))
