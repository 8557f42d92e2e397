"""Who may deliver an award: one worker at a time, by a lease on its row and a lock per recipient.

SQLite knows no SKIP LOCKED, so rows are claimed by a conditional UPDATE on both databases. The
lease is renewed between the look-up and the send, so it is longer than either may take (each call
has a total limit), and an outcome is written only by whoever still holds the claim.

The longest wait after a worker was killed: its lease (two minutes at most, mostly the half minute
after which a silent process counts as gone), the rest, and the look-up: under four minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from lti_badges.backends import KINDS
from lti_badges.catalogue.issuance import WHOLE_ORDER, issuance_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.delivery.origin import why_it_stays
from lti_badges.ledger.audit import record
from lti_badges.ledger.backend_pauses import DUE_STATES
from lti_badges.ledger.states import change_state
from lti_badges.people.consent import must_wait
from lti_badges.store import Achievement, Award, BackendRow, Delivery, State
from lti_badges.store.leases import free, give_back, is_free, is_gone, new_claim, take
from lti_badges.values.badge import Issuance

LEASE = timedelta(minutes=2)
# A request whose answer was lost may still be on its way: look it up only after this rest.
REST = timedelta(seconds=60)
BUSY, SOON = timedelta(seconds=5), timedelta(seconds=1)
A_MINUTE = 61  # seconds: an award is counted by its whole second
SHADOW = timedelta(hours=1)
OPEN_CIRCUIT_AFTER = 5
# A worker waits so long for a backend; what is further off is left to the next tick.
SHORT_PAUSE = timedelta(seconds=2)
MOST_TURNS_S = 2.0
# Awards of a backend of known rate are queued for so many seconds ahead, and a few more.
AHEAD_S, AT_LEAST = 4.0, 8
# Longer than one call may take; its outcome ends or lengthens it.
PROBE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An award taken for delivery: the order, and the state it was in."""

    award_id: str
    claim: str
    was: State
    issuance: Issuance
    backend: BackendRow
    backend_ref: str | None
    reason: str
    attempts: int
    was_sent: bool
    """Whether an earlier send may have arrived."""
    is_probe: bool
    """Whether it is the one that tries out a backend after its pause."""
    stays: str | None
    """Why the credential is not to be revoked there, though the award ends."""
    origin: str | None


def claim(tool: ToolContext, award_id: str) -> Claimed | None:
    """Take a due award. None when it is not due, held by another, or its backend is paused."""
    token = new_claim()
    with tool.sessions.begin() as session:
        award = session.scalar(
            select(Award)
            .where(Award.id == award_id)
            .options(*WHOLE_ORDER)
            .with_for_update(of=Award, skip_locked=True)
        )
        if award is None or not is_due(award):
            return None
        backend = award.backend
        if must_wait(session, award, backend):
            return None
        if backend.paused_until and backend.paused_until > clock.now():
            return None  # the backend's pause holds it back, until whoever ends it
        if backend.next_call and backend.next_call > clock.now().timestamp() + MOST_TURNS_S:
            return None  # enough workers wait for their turn there
        is_probe = backend.failures >= OPEN_CIRCUIT_AFTER
        if backend.settings.get("shadow") == "yes":
            award.next_attempt_at, award.error = clock.now() + SHADOW, _shadowed(session, award)
            return None
        wait = _pace(session, backend)
        if wait is not None:
            award.next_attempt_at = wait
            return None
        if not take(session, _lock_key(session, award), token, LEASE, award_id=award.id):
            award.next_attempt_at = clock.now() + BUSY
            return None
        was, was_sent = State(award.state), award.sends > 0
        if is_probe:  # one tries it out, while the others wait for its outcome
            backend.paused_until = clock.now() + PROBE
        award.claim, award.lease_until = token, clock.now() + LEASE
        award.attempts += 1
        if was is not State.REVOKING:
            award.sends += 1
            change_state(session, award, State.SENDING, why=f"Attempt {award.attempts}.")
        return Claimed(
            award_id=award.id,
            claim=token,
            was=was,
            issuance=issuance_of(tool, session, award),
            backend=backend,
            backend_ref=award.backend_ref,
            reason=award.revocation_reason or "Revoked",
            attempts=award.attempts,
            was_sent=was_sent,
            is_probe=is_probe,
            stays=why_it_stays(session, award) if was is State.REVOKING else None,
            origin=award.origin,
        )


def short_pause(tool: ToolContext, award_id: str) -> timedelta | None:
    """How long to wait for an award's backend, if that is so short that a worker may; it asked for
    a second, say."""
    with tool.sessions() as session:
        until = session.scalar(
            select(BackendRow.paused_until)
            .join(Award, Award.backend_id == BackendRow.id)
            .where(Award.id == award_id)
        )
    left = (until or clock.now()) - clock.now()
    return left if timedelta(0) < left <= SHORT_PAUSE else None


def held(session: Session, taken: Claimed) -> Award | None:
    """The award's row, if this claim still holds; the claim and its lock are given back."""
    award = session.scalar(
        select(Award)
        .where(Award.id == taken.award_id, Award.claim == taken.claim)
        .with_for_update()
    )
    give_back(session, taken.claim)
    if award is not None:
        award.claim, award.lease_until = None, None
    return award


def renew(tool: ToolContext, taken: Claimed) -> bool:
    """Whether the claim still holds; then its lease begins anew. False for one that ran out, even
    if nobody took the award over yet: whoever does may have begun to look."""
    now = clock.now()
    with tool.sessions.begin() as session:
        renewed = session.execute(
            update(Award)
            .where(Award.id == taken.award_id, Award.claim == taken.claim, Award.lease_until >= now)
            .values(lease_until=now + LEASE)
        )
        session.execute(
            update(Delivery).where(Delivery.claim == taken.claim).values(lease_until=now + LEASE)
        )
    return bool(getattr(renewed, "rowcount", 0))


def recover(tool: ToolContext) -> int:
    """Awards whose worker vanished: `sending` becomes `unknown` and rests before its look-up; a
    revocation is simply tried again. Returns how many."""
    now, gone = clock.now(), tool.heartbeat.gone()
    with tool.sessions.begin() as session:
        leased = session.scalars(
            select(Award).where(Award.lease_until.is_not(None)).with_for_update(skip_locked=True)
        )
        lost = [award for award in leased if _is_lost(award, gone)]
        for award in lost:
            give_back(session, award.claim)
            award.claim, award.lease_until = None, None
            local = KINDS[session.get_one(BackendRow, award.backend_id).kind].traits.is_local
            award.rest_until = award.next_attempt_at = now if local else now + REST
            if award.state == State.SENDING:
                change_state(session, award, State.UNKNOWN, why="The worker that sent it is gone.")
            else:
                record(session, "lease_lost", award_id=award.id, course_id=award.course_id)
    return len(lost)


def due_awards(tool: ToolContext, limit: int = 500, course_id: str | None = None) -> list[str]:
    """Ids of awards that a worker should take now, longest waiting first. Of a backend whose rate
    is known, no more than it will take meanwhile: a slow one holds nobody else up."""
    now = clock.now()
    query = (
        select(Award.id)
        .join(BackendRow, BackendRow.id == Award.backend_id)
        .where(
            Award.state.in_([state.value for state in DUE_STATES]),
            Award.next_attempt_at <= now,
            free(Award.lease_until),
            (BackendRow.paused_until.is_(None)) | (BackendRow.paused_until <= now),
        )
        .order_by(Award.next_attempt_at)
    )
    if course_id is not None:
        query = query.where(Award.course_id == course_id)
    with tool.sessions() as session:
        found = list(session.scalars(query.where(BackendRow.rate.is_(None)).limit(limit)))
        rates = session.execute(
            select(BackendRow.id, BackendRow.rate).where(BackendRow.rate.is_not(None))
        ).all()
        for backend_id, rate in rates:
            share = min(limit, math.ceil((rate or 0) * AHEAD_S) + AT_LEAST)
            found += session.scalars(query.where(BackendRow.id == backend_id).limit(share))
    return found


def _is_lost(award: Award, gone: frozenset[str]) -> bool:
    return is_free(award.lease_until) or is_gone(award.claim, gone)


def is_due(award: Award) -> bool:
    """Whether a worker may take an award now, its backend apart."""
    now = clock.now()
    rested = award.rest_until is None or award.rest_until <= now
    waited = rested and (award.next_attempt_at is None or award.next_attempt_at <= now)
    return award.state in DUE_STATES and is_free(award.lease_until) and waited


def _shadowed(session: Session, award: Award) -> str:
    name = session.get_one(Achievement, award.achievement_id).name
    verb = "Its revocation" if award.state == State.REVOKING else f"“{name}”"
    return f"{verb} would be sent now; this backend only shows what it would do (shadow mode)."


def _pace(session: Session, backend: BackendRow) -> datetime | None:
    """When to come back, if the backend may not be sent more just now; else counts this one. The
    backend's row is locked, so that workers count together.

    `a_minute` holds for every span of a minute, but is not spaced evenly as the learned rate is
    (backends/pace.py): it counts awards, whose calls differ in number, and no worker may hold an
    award's lease while it waits for its turn.
    """
    at_once, a_minute = backend.settings.get("at_once"), backend.settings.get("a_minute")
    if not at_once and not a_minute:
        return None
    now = clock.now()
    session.refresh(backend, with_for_update=True)
    if at_once:
        busy = session.scalar(
            select(func.count()).where(Award.backend_id == backend.id, Award.lease_until > now)
        )
        if (busy or 0) >= int(at_once):
            return now + SOON
    if a_minute:
        return _sent_in_a_minute(backend, int(a_minute), now)
    return None


def _sent_in_a_minute(backend: BackendRow, most: int, now: datetime) -> datetime | None:
    """Counts one more award, by its second; or when the next may go, if the last minute is full."""
    second = int(now.timestamp())
    recent = {at: count for at, count in backend.minute_sends or () if at + A_MINUTE > second}
    left = sum(recent.values())
    if left < most:
        recent[second] = recent.get(second, 0) + 1
        backend.minute_sends = sorted(recent.items())
        return None
    free_at = second
    for at, count in sorted(recent.items()):
        if left < most:
            break
        free_at, left = at + A_MINUTE, left - count
    return clock.from_epoch(free_at)


def _lock_key(session: Session, award: Award) -> str:
    achievement = session.get_one(Achievement, award.achievement_id)
    ref = award.achievement_ref or achievement.ref
    return f"{award.backend_id}:{ref}:{award.recipient_key}"[:500]
