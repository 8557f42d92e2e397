"""From when on a course's values are enough, between the daily readings of everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.store import Course, CourseMember, LineItem
from lti_badges.store.courses import item_read_at
from lti_badges.values.course import Gradable

VALUES_AT = "values_read_at"
"""When a course's last reading of values that failed nowhere began."""
OVERLAP = timedelta(minutes=10)


def changed_since(session: Session, course_id: str, wanted: Sequence[Gradable]) -> datetime | None:
    """When all of these were last read, with time for clocks that differ; None when one of them was
    not, or for somebody who came later: their grades may be old."""
    course = session.get_one(Course, course_id)
    at = course.settings.get(VALUES_AT)
    if at is None:
        return None
    moment = clock.parse_iso(at)
    newcomer = select(CourseMember.id).where(
        CourseMember.course_id == course_id,
        CourseMember.can_earn.is_(True),
        CourseMember.changed_at >= moment,
    )
    if session.scalar(newcomer.limit(1)) is not None:
        return None
    items = session.scalars(select(LineItem).where(LineItem.course_id == course_id))
    read = {(item.kind, item.key): item_read_at(course, item) for item in items}
    times = [read.get((item.kind.value, item.key)) for item in wanted]
    return None if any(time is None or time < moment for time in times) else moment - OVERLAP
