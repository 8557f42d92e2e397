"""What the background has to do, is doing, and waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.ledger.backend_pauses import DUE_STATES
from lti_badges.store import Award, BackendRow, Course, CourseMember, Process, State

LATE_S = 300
"""What has been due for longer waits for workers that don't come."""
STUCK = (State.REJECTED, State.NEEDS_RECIPIENT, State.NEEDS_CONSENT)
MANY = 50


@dataclass(frozen=True, slots=True)
class Waiting:
    """One kind of work: how much, and when the first of it was due, or will be."""

    what: str
    count: int
    first: datetime | None = None
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A course that is being read."""

    course: str
    progress: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Work:
    """All of it. `processes` are the last signs of life of background processes."""

    waiting: tuple[Waiting, ...]
    readings: tuple[Reading, ...]
    paused: tuple[tuple[str, str, datetime | None], ...]
    processes: tuple[datetime, ...]

    @property
    def is_late(self) -> bool:
        """Whether something waits longer than it should."""
        return any(each.is_late for each in self.waiting)


def work(tool: ToolContext) -> Work:
    """The work of whoever the tool is bound to; processes serve all institutions."""
    now = clock.now()
    due = Award.state.in_([state.value for state in DUE_STATES])
    with tool.sessions() as session:
        waiting = (
            _due(session, "Awards to be sent or revoked now", Award.next_attempt_at, due, now),
            _count(session, "Awards that are being sent", Award.id, Award.lease_until > now),
            _later(session, "Awards that are tried again later", Award.next_attempt_at, due, now),
            _count(
                session,
                "Awards that wait for a person",
                Award.id,
                Award.state.in_([state.value for state in STUCK]),
            ),
            _due(session, "Courses to be read now", Course.next_sync_at, None, now),
            _later(session, "Courses to be read later", Course.next_sync_at, None, now),
            _count(session, "Learners to be judged", CourseMember.id, CourseMember.dirty.is_(True)),
            _count(
                session,
                "Scores to be written to gradebooks",
                Award.id,
                Award.passed_back.in_(["due", "withdraw"]),
            ),
        )
        readings = session.execute(
            select(Course.title, Course.label, Course.sync_progress, Course.sync_started_at)
            .where(Course.sync_lease_until > now)
            .order_by(Course.sync_started_at)
            .limit(MANY)
        )
        paused = session.execute(
            select(BackendRow.name, BackendRow.error, BackendRow.paused_until)
            .where(BackendRow.paused_until > now)
            .order_by(BackendRow.name)
        )
        processes = session.scalars(
            select(Process.alive_until).where(Process.alive_until > now).limit(MANY)
        )
        return Work(
            waiting,
            tuple(
                Reading(title or label or "A course", progress or "", since)
                for title, label, progress, since in readings
            ),
            tuple((name, error or "", until) for name, error, until in paused),
            tuple(processes),
        )


def _due(
    session: Session, what: str, column: Any, condition: ColumnElement[bool] | None, now: datetime
) -> Waiting:
    count, first = _counted(session, column, _all(condition, column <= now))
    late = first is not None and (now - first).total_seconds() > LATE_S
    return Waiting(what, count, first, late)


def _later(
    session: Session, what: str, column: Any, condition: ColumnElement[bool] | None, now: datetime
) -> Waiting:
    count, first = _counted(session, column, _all(condition, column > now))
    return Waiting(what, count, first)


def _count(session: Session, what: str, column: Any, condition: ColumnElement[bool]) -> Waiting:
    return Waiting(what, session.scalar(select(func.count(column)).where(condition)) or 0)


def _counted(
    session: Session, column: Any, conditions: Sequence[ColumnElement[bool]]
) -> tuple[int, datetime | None]:
    row = session.execute(select(func.count(column), func.min(column)).where(*conditions)).one()
    return row[0], row[1]


def _all(
    condition: ColumnElement[bool] | None, other: ColumnElement[bool]
) -> list[ColumnElement[bool]]:
    return [other] if condition is None else [condition, other]
