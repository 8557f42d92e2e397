"""Rows of the sandbox's Blackboard gradebook, in the shapes of its API description."""

from __future__ import annotations

from typing import Any

from lti_badges.sandbox.blackboard.state import BlackboardState
from lti_badges.sandbox.model import Course, Item, Person

FINAL = "finalGrade"
OVERALL = "_1_1"


def column_row(item: Item) -> dict[str, Any]:
    """A column of the list."""
    return {
        "id": f"_{item.id}_1",
        "name": item.label,
        "externalGrade": False,
        "score": {"possible": float(item.maximum)},
        "availability": {"available": "Yes" if item.published else "No"},
        "grading": {"type": "Attempt" if item.owner is None else "Manual"},
    }


def final_row(course: Course) -> dict[str, Any]:
    """The overall grade's."""
    possible = sum(float(item.maximum) for item in course.items.values() if item.owner is None)
    return {
        "id": OVERALL,
        "name": "Overall Grade",
        "externalGrade": True,
        "score": {"possible": possible},
        "availability": {"available": "Yes"},
        "grading": {"type": "Calculated"},
    }


def grade_row(
    held: BlackboardState, course: Course, column: str, person: Person
) -> dict[str, Any] | None:
    """A learner's grade; None where nobody ever recorded or posted one."""
    sub = person.sub
    if column == FINAL:
        return _overall(held, course, person)
    item = course.items[column]
    excused, mark = sub in item.excused, item.marks.get(sub)
    points = None if sub in item.hidden else item.scores.get(sub)
    value = None if points is None and not mark and not excused else (points, mark, excused)
    index = held.changed(course.id, column, sub, value)
    if index is None:
        return None
    row: dict[str, Any] = {
        "userId": f"_{sub}_1",
        "columnId": f"_{column}_1",
        "status": "Graded" if points is not None or mark else None,
        "exempt": excused,
        "corrupt": False,
        "changeIndex": index,
    }
    if mark:
        row["displayGrade"] = {"scaleType": "Tabular", "text": mark, "score": 0}
    elif points is not None:
        shown = {"scaleType": "Score", "score": float(points), "possible": float(item.maximum)}
        row["displayGrade"] = shown
    return row


def _overall(held: BlackboardState, course: Course, person: Person) -> dict[str, Any] | None:
    points, maximum = course.total(person.sub)
    if points is None or not maximum:
        return None
    percent = float(points / maximum * 100)
    shown = {
        "scaleType": "Percent",
        "score": percent if held.percent_of_total else float(points),
        "possible": float(maximum),
        "text": f"{percent:.2f}%",
    }
    return {
        "userId": f"_{person.sub}_1",
        "columnId": OVERALL,
        "status": "Graded",
        "displayGrade": shown,
        "exempt": False,
        "corrupt": False,
        "changeIndex": 0,
    }
