"""A row of Blackboard's list of gradebook columns.

Source: Learn OpenAPI 3900.65, docs.anthology.com (gradebook).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lti_badges.lms.rest import key_of, number
from lti_badges.values.course import COURSE_GRADE_KEY, Gradable, Kind

API = "/learn/api/public"
GRADES = "Blackboard gradebook"
ITEM_PREFIX = "blackboard-column:"


def column_of(row: Mapping[str, Any], own: frozenset[str]) -> Gradable:
    """A column, or the overall grade. `own` are names of columns that this tool wrote. Raises
    PlatformDown for a row without an id."""
    name = str(row.get("displayName") or row.get("name") or "Untitled column")
    is_total = bool(row.get("externalGrade"))
    return Gradable(
        Kind.COURSE_GRADE if is_total else Kind.ITEM,
        COURSE_GRADE_KEY if is_total else key_of(ITEM_PREFIX, row),
        name,
        _possible(row.get("score")),
        GRADES,
        is_own=name in own and not is_total,
        is_hidden=_is_hidden(row),
    )


def is_calculated(row: Mapping[str, Any]) -> bool:
    """Totals and averages, which have no change index, and columns whose kind is not told."""
    grading = row.get("grading")
    kind = grading.get("type") if isinstance(grading, dict) else None
    return kind not in {"Attempt", "Manual"}


def _is_hidden(row: Mapping[str, Any]) -> bool:
    """Whether students don't see the column at all."""
    availability = row.get("availability")
    return isinstance(availability, dict) and availability.get("available") == "No"


def _possible(score: object) -> Fraction | None:
    return number(score.get("possible")) if isinstance(score, dict) else None
