"""The audit trail: written in the same transaction as what it tells of."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from lti_badges.store import AuditEvent, Award, State

SYSTEM = "lti-badges"


def record(
    session: Session,
    kind: str,
    *,
    actor: str = SYSTEM,
    course_id: str | None = None,
    member_id: str | None = None,
    rule_id: str | None = None,
    award_id: str | None = None,
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
            detail=detail,
        )
    )


def change_state(
    session: Session, award: Award, to: State, *, why: str, actor: str = SYSTEM
) -> None:
    """Move an award to another state, with its event."""
    was, award.state = award.state, to.value
    record(
        session,
        "award_state",
        actor=actor,
        course_id=award.course_id,
        member_id=award.member_id,
        rule_id=award.rule_id,
        award_id=award.id,
        was=was,
        now=to.value,
        why=why,
    )
