"""How Canvas tells a grade, a mark and a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lti_badges.lms.rest import number
from lti_badges.values.course import ResultState


def state_of(row: Mapping[str, Any]) -> ResultState:
    """A grade counts once it is posted: before, the learner can't see it."""
    if row.get("excused"):
        return ResultState.EXCUSED
    if row.get("workflow_state") == "pending_review":
        return ResultState.PENDING
    if number(row.get("score")) is None and not mark_of(row):
        return ResultState.MISSING
    return ResultState.GRADED if row.get("posted_at") else ResultState.HIDDEN


def mark_of(row: Mapping[str, Any]) -> str | None:
    """“A-”, “complete”: what Canvas shows for assignments that are graded in words."""
    return words(row.get("grade"))


def words(grade: Any) -> str | None:
    """A grade that says something in words."""
    return grade if isinstance(grade, str) and grade.strip() else None
