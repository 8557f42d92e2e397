"""The states of an award, and the only ways from one to another; each with its audit event."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.ledger.audit import SYSTEM, record
from lti_badges.ledger.holding import HELD, note_holding
from lti_badges.store import Award, State


def change_state(
    session: Session, award: Award, to: State, *, why: str, actor: str = SYSTEM
) -> None:
    """Move an award to another state, with its event."""
    was, award.state = award.state, to.value
    if (was in HELD) is not (to in HELD):
        note_holding(session, [award])
    if to is State.REVOKED and award.passed_back in {"due", "done"}:
        # What was written to the gradebook is taken back; what was not written never is.
        award.passed_back = "withdraw" if award.passed_back == "done" else "none"
        award.pass_back_at, award.pass_back_attempts = None, 0
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


def begin_revoking(session: Session, award: Award, *, why: str, actor: str = SYSTEM) -> list[str]:
    """Order the revocation of an award, if it is issued, and of the same award as it was issued
    before at another backend. Returns the ids of those that are due at their backends."""
    earlier = session.scalars(
        select(Award).where(
            Award.achievement_id == award.achievement_id,
            Award.member_id == award.member_id,
            Award.number < award.number,
            Award.state == State.ISSUED.value,
            Award.standing_at(clock.now()),
        )
    )
    revoked = [each for each in (award, *earlier) if each.state == State.ISSUED]
    for each in revoked:
        each.revocation_reason, each.next_attempt_at = why, clock.now()
        change_state(session, each, State.REVOKING, why=why, actor=actor)
    return [each.id for each in revoked]
