"""The audit trail: one event for each change, written in the same transaction."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from sqlalchemy.orm import Session

from lti_badges.store import AuditEvent

SYSTEM = "lti-badges"
ADDRESS: ContextVar[str | None] = ContextVar("address", default=None)
"""Where the request comes from that something is done for; None in commands and background work."""


def record(
    session: Session,
    kind: str,
    *,
    actor: str = SYSTEM,
    course_id: str | None = None,
    member_id: str | None = None,
    rule_id: str | None = None,
    award_id: str | None = None,
    institution_id: str | None = None,
    **detail: Any,
) -> None:
    """Add one event; `detail` holds what a person needs to understand it, no secrets."""
    session.add(
        AuditEvent(
            kind=kind,
            actor=actor,
            course_id=course_id,
            member_id=member_id,
            rule_id=rule_id,
            award_id=award_id,
            institution_id=institution_id,
            address=ADDRESS.get(),
            detail=detail,
        )
    )
