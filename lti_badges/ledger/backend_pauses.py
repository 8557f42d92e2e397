"""Backends that are paused, and resuming them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, case, or_, update
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.store import Award, BackendRow, State

UNTIL_A_PERSON_ACTS = datetime(9999, 1, 1, tzinfo=UTC)
DUE_STATES = (State.PENDING, State.UNKNOWN, State.REVOKING)
"""Awards in these states are delivered when their time comes."""


def resume_backend(session: Session, backend: BackendRow) -> int:
    """A person says that the backend works again: all its awards that wait are due now, whatever
    was wrong. Returns how many."""
    backend.paused_until, backend.failures = None, 0
    backend.error, backend.error_since = None, None
    session.flush()
    released = session.execute(
        update(Award)
        .where(
            Award.backend_id == backend.id,
            Award.state.in_([state.value for state in DUE_STATES]),
            or_(Award.next_attempt_at.is_(None), Award.next_attempt_at > clock.now()),
        )
        .values(next_attempt_at=due_again(), attempts=0)
    )
    return int(getattr(released, "rowcount", 0))


def due_again() -> ColumnElement[datetime]:
    """When an award may be tried again at a person's wish: now, but a send whose answer was lost
    is looked up only after its rest, because it may still be on its way."""
    now = clock.now()
    return case((Award.rest_until > now, Award.rest_until), else_=now)
