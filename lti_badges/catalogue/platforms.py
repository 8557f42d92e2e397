"""Registrations: changes that wait for an admin, and taking a platform out of service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from lti_badges.catalogue.configuration import (
    approve_deployment,
    is_theirs_alone,
    platform_named,
)
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotAllowed, NotFound
from lti_badges.ledger.audit import record
from lti_badges.store import (
    Award,
    Course,
    CourseMember,
    Deployment,
    IssuedCredential,
    Login,
    Person,
    PlatformChange,
)

LABELS = {
    "lms": "LMS",
    "auth_login_url": "Login address",
    "auth_token_url": "Token address",
    "key_set_url": "Key set address",
    "auth_audience": "Audience of token requests",
    "deployment": "Deployment",
}


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A registration that would change a platform. `changes` are (what, old, new); `source` is the
    host that it came from."""

    id: str
    platform_id: str
    platform: str
    source: str
    created_at: datetime
    changes: tuple[tuple[str, str, str], ...]


def pending_changes(tool: ToolContext) -> list[PendingChange]:
    """All that wait, oldest first."""
    with tool.sessions() as session:
        rows = session.scalars(
            select(PlatformChange)
            .where(PlatformChange.decided_at.is_(None))
            .order_by(PlatformChange.created_at)
        )
        return [
            PendingChange(
                row.id,
                row.platform_id,
                row.platform.name or row.platform.issuer,
                row.source,
                row.created_at,
                _told(row),
            )
            for row in rows
        ]


def decide_change(tool: ToolContext, change_id: str, *, confirm: bool, by: str) -> None:
    """Let a registration change its platform, or not. Older changes of the same platform that still
    wait are refused with a confirmation. Raises NotFound, and NotAllowed for one that institutions
    share."""
    with tool.sessions.begin() as session:
        row = session.get(PlatformChange, change_id)
        if row is None or row.decided_at is not None:
            raise NotFound(f"No change {change_id[:40]} waits; see: lti-badges platforms pending")
        if confirm and not is_theirs_alone(tool, row.platform):
            raise NotAllowed("Institutions share this LMS: only an operator can change it.")
        _decided(row, "confirmed" if confirm else "rejected", by)
        told = {what: [old, new] for what, old, new in _told(row)}
        if confirm:
            _apply(row)
            waiting = session.scalars(
                select(PlatformChange).where(
                    PlatformChange.platform_id == row.platform_id,
                    PlatformChange.decided_at.is_(None),
                    PlatformChange.id != row.id,
                )
            )
            for other in waiting:
                _decided(other, "rejected", by)
        record(
            session,
            "platform_change_confirmed" if confirm else "platform_change_rejected",
            actor=by,
            institution_id=row.institution_id,
            platform=row.platform.name or row.platform.issuer,
            changes=told,
        )


def remove_platform(tool: ToolContext, platform_id: str, *, with_data: bool, by: str) -> bool:
    """Take a platform out of service: its page tokens and logins end at once, nothing of it is read
    any more. Returns whether it was deleted; with courses it is archived, and what was awarded goes
    on to verify, unless `with_data`. Raises InvalidInput and NotFound."""
    with tool.sessions.begin() as session:
        platform = platform_named(session, platform_id)
        courses = select(Course.id).join(Deployment).where(Deployment.platform_id == platform.id)
        known = list(session.scalars(courses))
        record(
            session,
            "platform_removed",
            actor=by,
            institution_id=platform.institution_id,
            platform=platform.name or platform.issuer,
            issuer=platform.issuer,
            client_id=platform.client_id,
            courses=len(known),
            with_data=with_data,
        )
        session.execute(delete(Login).where(Login.platform_id == platform.id))
        if known and with_data:
            _delete_courses(session, known)
        if known and not with_data:
            platform.archived_at = clock.now()
            platform.connection = platform.connection_error = None
            session.execute(
                update(Course)
                .where(Course.id.in_(known))
                .values(next_sync_at=None, concluded=True, connection=None)
            )
            return False
        session.flush()
        session.execute(delete(Person).where(Person.platform_id == platform.id))
        session.expire(platform)
        session.delete(platform)
    return True


def _delete_courses(session: Session, course_ids: list[str]) -> None:
    """Courses with everybody and everything in them, if nothing of theirs stands at a backend."""
    mine = Award.course_id.in_(course_ids)
    standing = session.scalar(
        select(Award.id).where(mine, Award.standing_at(clock.now()), Award.issued_at.is_not(None))
    )
    if standing is not None:
        raise InvalidInput(
            "Badges that were issued in its courses still stand; revoke them first, or remove the "
            "platform and keep its data."
        )
    awards = select(Award.id).where(mine)
    session.execute(
        delete(IssuedCredential).where(IssuedCredential.award_id.in_(awards)),
        execution_options={"synchronize_session": False},
    )
    session.execute(delete(Award).where(mine), execution_options={"synchronize_session": False})
    for model, column in ((CourseMember, CourseMember.course_id), (Course, Course.id)):
        session.execute(
            delete(model).where(column.in_(course_ids)),
            execution_options={"synchronize_session": False},
        )


def _apply(row: PlatformChange) -> None:
    platform = row.platform
    for name, value in row.proposed.items():
        setattr(platform, name, value)
    platform.archived_at = None
    if row.deployment_id:
        approve_deployment(platform, row.deployment_id, row.institution_id)


def _decided(row: PlatformChange, decision: str, by: str) -> None:
    row.decided_at, row.decided_by, row.decision = clock.now(), by, decision


def _told(row: PlatformChange) -> tuple[tuple[str, str, str], ...]:
    proposed: Mapping[str, object] = row.proposed
    changes = [
        (LABELS[name], str(getattr(row.platform, name) or ""), str(value or ""))
        for name, value in proposed.items()
    ]
    if row.deployment_id:
        changes.append((LABELS["deployment"], "", row.deployment_id))
    return tuple(changes)
