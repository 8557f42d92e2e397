"""Canvas Live Events: which of them tell of a grade or a completion, and about whom.

Source: Canvas LMS documentation, Data Services. Events repeat, come late and in any order, and a
few are lost; ids are global (shard · 10^13 + local id).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lti_badges.core.text import as_text
from lti_badges.lms.base import Push

KEY_SET = "https://8axpcl50e4.execute-api.us-east-1.amazonaws.com/main/jwks"
SHARD = 10**13
TELLING = frozenset(
    {
        "grade_change",
        "grade_override",
        "course_grade_change",
        "course_completed",
        "course_progress",
        "submission_updated",
    }
)


def read_event(event: Mapping[str, Any]) -> Push | None:
    """The institution, the course and the person of an event that is worth a look."""
    metadata, body = _part(event, "metadata"), _part(event, "body")
    if as_text(metadata.get("event_name")) not in TELLING:
        return None
    guid = metadata.get("root_account_lti_guid")
    in_course = metadata.get("context_type") == "Course"
    course = (
        _part(body, "course").get("id")
        or body.get("course_id")
        or (metadata.get("context_id") if in_course else None)
    )
    person = body.get("student_id") or _part(body, "user").get("id") or body.get("user_id")
    local = _local(course)
    if not isinstance(guid, str) or not guid or local is None:
        return None
    return Push(guid, local, _local(person))


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _local(given: Any) -> str | None:
    text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    return str(int(text) % SHARD) if text.isascii() and text.isdigit() and len(text) < 20 else None
