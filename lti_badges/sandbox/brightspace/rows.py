"""Rows of the sandbox's Brightspace, in the shapes of its API description."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lti_badges.sandbox.brightspace.access import state
from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.state import world

FINAL = "final"


def learners(course: Course) -> list[Person]:
    """Whoever learns in the course and is not suspended."""
    return [person for person in world().learners_of(course.id) if person.active]


def has_completed(course: Course, topic: str, sub: str) -> bool:
    """Whether the learner completed a topic."""
    return topic in course.done.get(sub, set())


def item_row(item: Item) -> dict[str, Any]:
    """A grade item."""
    return {
        "Id": int(item.id),
        "Name": item.label,
        "ShortName": item.label[:20],
        "GradeType": "Numeric" if item.grading == "points" else "SelectBox",
        "MaxPoints": float(item.maximum),
        "IsHidden": not item.published,
        "IsBonus": False,
        "ExcludeFromFinalGradeCalculation": item.owner is not None,
    }


def value_row(course: Course, item: str, person: Person) -> dict[str, Any] | None:
    """A learner's grade in an item, or the final one; None where nobody gave any."""
    held = state()
    released = None
    if item == FINAL:
        points, maximum = _final(course, person.sub)
        shown = held.symbols.get(person.sub)
        released = None if person.sub in held.unreleased else "2026-05-01T10:00:00.000Z"
    else:
        column = course.items[item]
        if person.sub in column.hidden:
            return None  # kept as a draft: nobody but the teacher has it
        points, maximum = column.scores.get(person.sub), column.maximum
        shown = column.marks.get(person.sub)
        if shown:
            points = None
    if points is None and shown is None:
        return None
    return {
        "DisplayedGrade": shown or f"{float(points or 0):g} / {float(maximum):g}",
        "GradeObjectIdentifier": item,
        "GradeObjectType": 7 if item == FINAL else 1,
        "PointsNumerator": None if points is None else float(points),
        "PointsDenominator": float(maximum),
        "WeightedNumerator": None,
        "WeightedDenominator": None,
        "ReleasedDate": released,
    }


def completion_row(course: Course, topic: str, sub: str) -> dict[str, Any]:
    """A learner's completion of a topic."""
    return {
        "UserId": int(sub),
        "OrgUnitId": int(course.id),
        "TopicId": int(topic),
        "CompletionType": 0,
        "CompletionDate": "2026-05-01T10:00:00.000Z",
    }


def section_row(course: Course) -> dict[str, Any]:
    """The one section, with up to nine learners."""
    people = [int(person.sub) for person in learners(course)[:9]]
    return {"SectionId": 1, "Name": "Day", "Enrollments": people}


def group_row(course: Course) -> dict[str, Any]:
    """The one group, with up to five learners."""
    people = [int(person.sub) for person in learners(course)[:5]]
    return {"GroupId": 7, "Name": "Red", "Enrollments": people}


def _final(course: Course, sub: str) -> tuple[Fraction | None, Fraction]:
    counted = [
        item for item in course.items.values() if item.owner is None and sub not in item.excused
    ]
    graded = [item for item in counted if sub in item.scores]
    if not graded:
        return None, Fraction(0)
    over = counted if state().null_is_zero else graded
    got = sum((item.scores[sub] for item in graded), Fraction(0))
    return got, sum((item.maximum for item in over), Fraction(0))
