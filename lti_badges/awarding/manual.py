"""What a person decides: award by hand, revoke with a reason, retry, settle a flag."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lti_badges.catalogue.achievements import is_at_hand
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.ledger.audit import record
from lti_badges.ledger.backend_pauses import resume_backend
from lti_badges.ledger.course_lock import locked_course
from lti_badges.ledger.holding import note_holding
from lti_badges.ledger.recipients import recipient_key, recipient_of
from lti_badges.ledger.states import begin_revoking, change_state
from lti_badges.store import (
    Achievement,
    Award,
    AwardRule,
    BackendRow,
    CourseMember,
    Standing,
    State,
)
from lti_badges.values.permission import Permission

RETRIED = (State.REJECTED, State.NEEDS_RECIPIENT, State.PENDING, State.UNKNOWN, State.REVOKING)
MAX_REASON = 500
DECLINED = "The learner declined it."


def award_by_hand(
    tool: ToolContext, course_id: str, member_id: str, achievement_id: str, *, by: str, reason: str
) -> str:
    """Award a badge outside any rule. Returns the award's id. Raises InvalidInput, NotFound."""
    tool.require(Permission.AWARD)
    reason = _reason(reason)
    with locked_course(tool, course_id) as (session, course):
        member = session.get(CourseMember, member_id)
        achievement = session.get(Achievement, achievement_id)
        if (
            member is None
            or member.course_id != course_id
            or achievement is None
            or not is_at_hand(session, course_id, achievement)
        ):
            raise NotFound("There is no such learner or badge in this course.")
        if not member.can_earn:
            raise InvalidInput(
                f"{member.name or 'This person'} is not an active learner in this course."
            )
        number = _next_number(session, member_id, achievement_id)
        award = Award(
            course_id=course.id,
            member_id=member.id,
            achievement_id=achievement.id,
            backend_id=achievement.backend_id,
            number=number,
            state=State.PENDING.value,
            recipient_key=recipient_key(member),
            recipient=recipient_of(member),
            explanation=f"Awarded by hand: {reason}",
            granted_by=by,
            achieved_at=clock.now(),
        )
        session.add(award)
        session.flush()
        note_holding(session, [award])
        record(
            session,
            "granted_by_hand",
            actor=by,
            course_id=course.id,
            member_id=member.id,
            award_id=award.id,
            reason=reason,
        )
    tool.enqueue("deliver", award.id)
    return award.id


def revoke(
    tool: ToolContext, award_id: str, *, reason: str, by: str, adopted: bool = False
) -> State:
    """Revoke an award. Returns the state it is in now. A credential that was there before us stays
    at its backend unless `adopted` is the person's word to end it too. Raises InvalidInput,
    NotFound."""
    tool.require(Permission.REVOKE)
    reason = _reason(reason)
    with tool.sessions.begin() as session:
        award = _award(session, award_id)
        due = _taken_back(session, award, reason, by, adopted=adopted)
        state = State(award.state)
    for each in due:
        tool.enqueue("deliver", each)
    return state


def decline(tool: ToolContext, award_id: str, member_id: str, *, by: str) -> State:
    """The learner does not want a badge of theirs: what we gave is revoked, and no rule gives it
    again; a person may. A credential that was there before us stays. Returns the state it is in
    now. Raises InvalidInput, NotFound."""
    with tool.sessions.begin() as session:
        award = _award(session, award_id)
        if award.member_id != member_id:
            raise NotFound("This is not one of your badges.")
        if award.state not in {State.REVOKED, State.REVOKING}:
            award.declined_at = clock.now()
        due = _taken_back(session, award, DECLINED, by, adopted=False)
        state = State(award.state)
    for each in due:
        tool.enqueue("deliver", each)
    return state


def _taken_back(
    session: Session, award: Award, reason: str, by: str, *, adopted: bool
) -> list[str]:
    """Ids of what is due at the backend. Nothing happens to what is revoked already."""
    if award.state in {State.REVOKED, State.REVOKING}:
        return []
    if award.state in {State.SENDING, State.UNKNOWN}:
        raise InvalidInput(
            "This award is just being delivered, and whether it arrived is not known yet. "
            "Try again in a minute."
        )
    award.revoke_adopted = adopted
    due = begin_revoking(session, award, why=reason, actor=by)
    if award.id not in due:  # it never reached the backend
        award.revocation_reason = reason
        award.revoked_at, award.next_attempt_at = clock.now(), None
        change_state(session, award, State.REVOKED, why=reason, actor=by)
    return list(due)


def retry(tool: ToolContext, award_ids: Sequence[str] | None = None, *, by: str = "admin") -> int:
    """Try again at once: the named awards, or all that wait for a person or a time. Their backends
    are tried again too. Returns how many awards."""
    tool.require(Permission.AWARD)
    with tool.sessions.begin() as session:
        query = select(Award).where(Award.state.in_([state.value for state in RETRIED]))
        if award_ids is not None:
            query = query.where(Award.id.in_(award_ids))
        awards = list(session.scalars(query))
        for award in awards:
            _again(session, award, by)
        ids = [award.id for award in awards]
        for backend_id in sorted({award.backend_id for award in awards}):
            resume_backend(session, session.get_one(BackendRow, backend_id, with_for_update=True))
    for award_id in ids:
        tool.enqueue("deliver", award_id)
    return len(ids)


def keep_after_flag(
    tool: ToolContext, course_id: str, rule_id: str, member_id: str, *, by: str
) -> None:
    """The instructor lets a flagged badge stand. Raises NotFound."""
    tool.require(Permission.REVOKE)
    with locked_course(tool, course_id) as (session, _):
        rule, standing = (
            session.get(AwardRule, rule_id),
            session.get(Standing, (rule_id, member_id)),
        )
        if rule is None or rule.course_id != course_id or standing is None or not standing.flagged:
            raise NotFound("There is nothing to review here any more.")
        standing.flagged, standing.kept = False, True
        record(
            session,
            "flag_kept",
            actor=by,
            course_id=course_id,
            member_id=member_id,
            rule_id=rule_id,
        )


def _again(session: Session, award: Award, by: str) -> None:
    now = clock.now()
    # A send whose answer was lost may still be on its way: a person's wish doesn't end its rest.
    award.next_attempt_at, award.error = max(now, award.rest_until or now), None
    if award.state in {State.REJECTED, State.NEEDS_RECIPIENT}:
        member = session.get_one(CourseMember, award.member_id)
        award.recipient, award.recipient_key = recipient_of(member), recipient_key(member)
        change_state(session, award, State.PENDING, why="Tried again.", actor=by)


def _next_number(session: Session, member_id: str, achievement_id: str) -> int:
    mine = (Award.member_id == member_id) & (Award.achievement_id == achievement_id)
    standing = session.scalar(select(func.count()).where(mine, Award.standing_at(clock.now())))
    if standing:
        raise InvalidInput("This learner has that badge already, or it is on its way.")
    return (session.scalar(select(func.max(Award.number)).where(mine)) or 0) + 1


def _award(session: Session, award_id: str) -> Award:
    award = session.scalar(select(Award).where(Award.id == award_id).with_for_update())
    if award is None:
        raise NotFound("There is no such award.")
    return award


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise InvalidInput("Give a reason: it is kept with the award.", field="reason")
    return reason[:MAX_REASON]
