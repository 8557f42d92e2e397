"""One writer at a time for what is stored of a course."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import NotFound
from lti_badges.store import Course, CourseMember, insert_missing


@contextmanager
def locked_course(tool: ToolContext, course_id: str) -> Iterator[tuple[Session, Course]]:
    """One transaction as the only writer of a course. Raises NotFound.

    A learner's launch, the schedule and the instructor's save may meet in one course; on SQLite
    the transaction itself is exclusive, on PostgreSQL the course's row is locked.
    """
    with tool.sessions.begin() as session:
        course = session.scalar(select(Course).where(Course.id == course_id).with_for_update())
        if course is None:
            raise NotFound("There is no such course.")
        yield session, course


def course_row(session: Session, deployment_id: str, context_id: str) -> Course:
    """The course's row, made if it is missing, and locked: first launches may come at once."""
    new = {"deployment_id": deployment_id, "context_id": context_id}
    mine = (Course.deployment_id == deployment_id, Course.context_id == context_id)
    found = session.scalar(select(Course).where(*mine).with_for_update())
    if found is None:
        insert_missing(session, Course, [new], "deployment_id", "context_id")
        found = session.scalars(select(Course).where(*mine).with_for_update()).one()
    return found


def ask_for_reading(course: Course, at: datetime | None = None) -> None:
    """Have the locked course read at this time (now) or before. While a reading is under way
    `next_sync_at` is when that one began: a later time asks for another one after it, which
    may see what the one under way has passed."""
    at, planned, began = at or clock.now(), course.next_sync_at, course.sync_started_at
    if began is not None and at <= began:  # by the clock of another machine
        at = began + timedelta(microseconds=1)
    if planned is None or planned > at or planned == began:
        course.next_sync_at = at


def judge_all_again(session: Session, course_id: str) -> None:
    """Everybody in the course is to be judged again."""
    session.execute(
        update(CourseMember).where(CourseMember.course_id == course_id).values(dirty=True)
    )
