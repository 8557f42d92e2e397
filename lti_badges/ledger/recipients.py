"""Who an award is for."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.ledger.states import change_state
from lti_badges.store import Award, CourseMember, State


def recipient_of(member: CourseMember) -> dict[str, object]:
    """Who an award is for, as kept with it for ever."""
    return {
        "email": member.email,
        "name": member.name,
        "lti_user_id": member.sub,
        "sourcedid": member.sourcedid,
        "custom": dict(member.custom or {}),
    }


def recipient_key(member: CourseMember) -> str:
    """What tells recipients apart at a backend: the e-mail, else the platform's own id."""
    return (member.email or f"{member.course_id}:{member.sub}").lower()[:320]


def release_waiting(session: Session, member: CourseMember) -> None:
    """Awards that waited for something of this member (e-mail, name, id) go on with it."""
    waiting = session.scalars(
        select(Award).where(
            Award.member_id == member.id, Award.state == State.NEEDS_RECIPIENT.value
        )
    )
    for award in waiting:
        award.recipient = recipient_of(member)
        award.recipient_key = recipient_key(member)
        award.next_attempt_at = clock.now()
        award.error = None
        change_state(session, award, State.PENDING, why="More is known of the learner now.")
