"""What an admin has to know: what waits for a person, what can't be reached, how much is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select

from lti_badges.awarding.manual import retry
from lti_badges.catalogue.configuration import backend_named
from lti_badges.context import ToolContext
from lti_badges.ledger.backend_pauses import DUE_STATES, UNTIL_A_PERSON_ACTS
from lti_badges.lti.launches import PENDING
from lti_badges.store import Award, BackendRow, Course, Deployment, Platform, State

STUCK = (State.REJECTED, State.NEEDS_RECIPIENT, State.UNKNOWN)
"""Awards in these states wait for a person; the others too, while their backend does."""
MANY = 200


@dataclass(frozen=True, slots=True)
class Trouble:
    """Awards of one backend that wait for a person for the same reason."""

    backend_id: str
    backend: str
    state: str
    error: str
    count: int


@dataclass(frozen=True, slots=True)
class FailingCourse:
    """A course that can't be read, since when and why."""

    title: str
    platform: str
    error: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A deployment that an admin has to let in."""

    platform_id: str
    platform: str
    deployment_id: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the first page. `paused` are (backend, why, since), `ended` the connections
    to LMSes that no longer work, as (platform, why)."""

    courses: int
    counts: Mapping[str, int]
    troubles: tuple[Trouble, ...]
    failing: tuple[FailingCourse, ...]
    waiting: tuple[Waiting, ...]
    paused: tuple[tuple[str, str, datetime | None], ...]
    ended: tuple[tuple[str, str], ...]


def overview(tool: ToolContext) -> Overview:
    """The state of the whole installation, in a handful of queries."""
    why = func.coalesce(Award.error, BackendRow.error, "")
    with tool.sessions() as session:
        counts = session.execute(select(Award.state, func.count()).group_by(Award.state))
        troubles = session.execute(
            select(BackendRow.id, BackendRow.name, Award.state, why, func.count())
            .join(Award, Award.backend_id == BackendRow.id)
            .where(_waits())
            .group_by(BackendRow.id, BackendRow.name, Award.state, why)
            .order_by(func.count().desc())
            .limit(MANY)
        )
        failing = session.execute(
            select(Course, Platform)
            .join(Deployment, Deployment.id == Course.deployment_id)
            .join(Platform, Platform.id == Deployment.platform_id)
            .where(Course.sync_error.is_not(None))
            .order_by(Course.sync_error_since)
            .limit(MANY)
        )
        waiting = session.execute(
            select(Deployment, Platform)
            .join(Platform)
            .where(Deployment.state == PENDING)
            .order_by(Deployment.first_seen_at)
            .limit(MANY)
        )
        backends = session.scalars(select(BackendRow).where(BackendRow.error.is_not(None)))
        return Overview(
            courses=session.scalar(select(func.count()).select_from(Course)) or 0,
            counts={row[0]: row[1] for row in counts},
            troubles=tuple(
                Trouble(backend_id, name, state, error or "", count)
                for backend_id, name, state, error, count in troubles
            ),
            failing=tuple(
                FailingCourse(
                    course.title or course.context_id,
                    platform.name or platform.issuer,
                    course.sync_error or "",
                    course.sync_error_since,
                )
                for course, platform in failing
            ),
            waiting=tuple(
                Waiting(
                    platform.id,
                    platform.name or platform.issuer,
                    row.deployment_id,
                    row.first_seen_at,
                )
                for row, platform in waiting
            ),
            ended=tuple(
                (platform.name or platform.issuer, platform.connection_error or "")
                for platform in session.scalars(
                    select(Platform).where(Platform.connection_error.is_not(None))
                )
            ),
            paused=tuple((row.name, row.error or "", row.error_since) for row in backends),
        )


def retry_backend(tool: ToolContext, backend_id: str, *, by: str) -> int:
    """All awards that wait for a backend are tried again. Returns how many."""
    with tool.sessions() as session:
        backend_id = backend_named(session, backend_id).id
        ids = list(session.scalars(select(Award.id).where(Award.backend_id == backend_id)))
    return retry(tool, ids, by=by)


def _waits() -> ColumnElement[bool]:
    paused = BackendRow.paused_until >= UNTIL_A_PERSON_ACTS
    return or_(
        Award.state.in_([state.value for state in STUCK]),
        and_(Award.state.in_([state.value for state in DUE_STATES]), paused),
    )
