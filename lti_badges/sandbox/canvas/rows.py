"""How Canvas writes assignments, submissions, enrolments and progress.

Source: Canvas LMS, lib/api/v1/{assignment,submission,user,progress}.rb. `grades` of an enrolment
hold unposted and overridden scores beside those that learners see.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lti_badges.core import clock
from lti_badges.sandbox.canvas.access import api_id, state
from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.state import world

PERIODS = ((5, "First half"), (6, "Second half"))


def assignment(item: Item) -> dict[str, Any]:
    course = next(course for course in world().courses.values() if item.id in course.items)
    group = list(groups_of(course)).index(item.group or "Assignments") + 1
    return {
        "id": api_id(item.id),
        "name": item.label,
        "points_possible": plain_number(item.maximum),
        "grading_type": item.grading,
        "published": item.published,
        "assignment_group_id": api_id(group),
        "post_manually": item.posts_by_hand or bool(item.hidden),
        "omit_from_final_grade": item.owner is not None,
    }


def groups_of(course: Course) -> dict[str, None]:
    return dict.fromkeys(item.group or "Assignments" for item in course.items.values())


def submission(item: Item, person: Person) -> dict[str, Any]:
    points, mark = item.scores.get(person.sub), item.marks.get(person.sub)
    graded = points is not None or mark is not None
    excused = person.sub in item.excused
    posted = graded and person.sub not in item.hidden
    at = item.graded_at.get(person.sub) or item.scored_at.get(person.sub)
    moment = clock.iso(at) if at else "2026-05-01T10:00:00Z"
    shown = None if points is None else str(plain_number(points))
    return {
        "id": api_id(f"{item.id}{person.sub}"),
        "assignment_id": api_id(item.id),
        "user_id": api_id(person.sub),
        "score": None if points is None or excused else plain_number(points),
        "grade": None if excused else mark or shown,
        "workflow_state": "graded" if graded or excused else "unsubmitted",
        "graded_at": moment if graded or excused or at else None,
        "posted_at": moment if posted else None,
        "excused": excused,
        "late": False,
        "missing": not graded,
    }


def enrolment(course: Course, person: Person, held: str, period: str | None) -> dict[str, Any]:
    own = [item for item in course.items.values() if item.owner is None and item.published]
    if period:
        own = own[:1] if period == str(PERIODS[0][0]) else own[1:]
    override = state().overrides.get(person.sub)
    shown = {
        "html_url": f"{world().base_url}/courses/{course.id}/grades/{person.sub}",
        "current_score": _share(own, person.sub, missing=False, hidden=False),
        "final_score": _share(own, person.sub, missing=True, hidden=False),
        "unposted_current_score": _share(own, person.sub, missing=False, hidden=True),
        "unposted_final_score": _share(own, person.sub, missing=True, hidden=True),
        "override_score": override if period is None else None,
        "override_grade": None,
        "current_grade": None,
        "final_grade": None,
    }
    return {
        "id": api_id(f"9{person.sub}"),
        "course_id": api_id(course.id),
        "course_section_id": api_id(1 if int(person.sub) % 2 else 2),
        "user_id": api_id(person.sub),
        "type": "StudentEnrollment",
        "enrollment_state": held,
        "grades": shown,
    }


def _share(items: list[Item], sub: str, *, missing: bool, hidden: bool) -> float | None:
    """The percentage: what is missing counts as zero (final) or not at all (current)."""
    got, of = Fraction(0), Fraction(0)
    for item in items:
        counts = sub in item.scores and (hidden or sub not in item.hidden)
        if sub in item.excused or (not counts and not missing):
            continue
        got += item.scores[sub] if counts else 0
        of += item.maximum
    return round(float(got / of * 100), 2) if of else None


def progress_of(course: Course, person: Person) -> dict[str, Any]:
    done = len(course.done.get(person.sub, set()) & set(course.activities))
    at = course.completed.get(person.sub)
    return {
        "requirement_count": len(course.activities),
        "requirement_completed_count": len(course.activities)
        if at
        else min(done, len(course.activities) - 1),
        "next_requirement_url": None,
        "completed_at": clock.iso(at) if at else None,
    }


def not_module_based() -> dict[str, Any]:
    said = "no progress available because this course is not module based (has modules and module"
    return {"error": {"message": f"{said} completion requirements)"}}


def plain_number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
