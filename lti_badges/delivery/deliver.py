"""Forwarding awards, exactly once: claim, look up, send, settle.

The call to the backend stands between two short transactions. Whoever dies in it leaves the row
at `sending`; recovery makes that `unknown`, and an `unknown` award comes through here again. No
backend takes an idempotency key, so each delivery looks before it sends, unless nothing was ever
sent and the backend itself makes no second one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from lti_badges.backends import Backend
from lti_badges.catalogue.issuance import backend_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.backoff import wait_after
from lti_badges.core.errors import (
    LtiBadgesError,
    NeedsRecipient,
    OutcomeUnknown,
    Refused,
    SettingsError,
    Unauthorized,
    Unavailable,
)
from lti_badges.core.http import TOTAL_S
from lti_badges.core.links import web_address
from lti_badges.core.paging import no_page_after
from lti_badges.delivery.backend_health import note_outcome
from lti_badges.delivery.claims import (
    LEASE,
    REST,
    Claimed,
    claim,
    due_awards,
    held,
    recover,
    renew,
    short_pause,
)
from lti_badges.delivery.grade_passback import DUE, WITHDRAW
from lti_badges.delivery.local import deliver_local, with_others_due
from lti_badges.delivery.origin import NOT_OURS, note_origin
from lti_badges.ledger.audit import record
from lti_badges.ledger.states import change_state
from lti_badges.store import Award, BackendRow, State
from lti_badges.values.badge import Receipt

log = structlog.get_logger("lti_badges.delivery")

FIRST_WAIT, LAST_WAIT = timedelta(seconds=5), timedelta(hours=1)
# A lost answer is cleared up within minutes, however often its worker was killed.
LAST_WAIT_UNKNOWN = timedelta(minutes=5)
# A look-up that pages asks for its last page so early that the answer comes within the lease.
LOOK_FOR = LEASE - timedelta(seconds=TOTAL_S)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of a delivery: the state to write, and the receipt or the error."""

    state: State
    receipt: Receipt | None = None
    error: LtiBadgesError | None = None
    note: str = "Done."
    is_new: bool = False
    """Whether the receipt is of a send just now, not of a look-up."""


def deliver(tool: ToolContext, award_id: str) -> State | None:
    """Send or revoke one award, or learn that it was done before.

    Returns the state reached; None when it is not due, another worker holds it, or the lease ran
    out on the way.
    """
    local = deliver_local(tool, with_others_due(tool, award_id))
    if award_id in local:
        return local[award_id]
    taken = claim(tool, award_id)
    if taken is None and (pause := short_pause(tool, award_id)):
        time.sleep(pause.total_seconds())
        taken = claim(tool, award_id)
    if taken is None:
        return None
    try:
        backend = backend_of(tool, taken.backend)
    except LtiBadgesError as error:
        return _settle(tool, taken, DeliveryResult(taken.was, error=Unauthorized(error.message)))
    try:
        result = _revoke(backend, taken) if revokes(taken) else _send(tool, backend, taken)
    except Exception:
        log.exception("delivery_unforeseen", award=taken.award_id, backend=taken.backend.name)
        result = _unforeseen(taken)
    return _settle(tool, taken, result) if result else None


def deliver_due(tool: ToolContext, course_id: str | None = None) -> int:
    """Deliver everything that is due now, in this thread. Returns how many were settled."""
    done = 0
    while batch := due_awards(tool, course_id=course_id):
        local = deliver_local(tool, batch)
        reached = [local[each] if each in local else deliver(tool, each) for each in batch]
        settled = sum(state is not None for state in reached)
        done += settled
        if not settled:
            break
    return done


def enqueue_due(tool: ToolContext) -> int:
    """Recover what vanished workers left, and enqueue all that is due. Returns how many."""
    recover(tool)
    due = due_awards(tool)
    for award_id in due:
        tool.enqueue("deliver", award_id)
    return len(due)


def revokes(taken: Claimed) -> bool:
    """Whether it is the revocation that is to be delivered."""
    return taken.was is State.REVOKING


def _unforeseen(taken: Claimed) -> DeliveryResult:
    """A mistake of ours in the middle of it: perhaps stored, so it is looked up."""
    state = State.REVOKING if revokes(taken) else State.UNKNOWN
    said = "The backend's answer was of a kind that this tool does not know; it is looked up."
    return DeliveryResult(state, error=OutcomeUnknown(said, code="unforeseen"))


def _send(tool: ToolContext, backend: Backend, taken: Claimed) -> DeliveryResult | None:
    """Look first, then send, if the lease still holds: None when it does not. While only looking, a
    failure proves nothing about earlier sends."""
    before = State.UNKNOWN if taken.was is State.UNKNOWN else State.PENDING
    if not taken.was_sent and not backend.traits.looks_first:
        return _issue(backend, taken)
    try:
        receipt = _found(backend, taken)
    except NeedsRecipient as need:
        return DeliveryResult(State.NEEDS_RECIPIENT, error=need)
    except Unauthorized as refusal:
        return DeliveryResult(before, error=refusal)
    except Refused as refusal:
        return DeliveryResult(State.REJECTED, error=refusal)
    except (Unavailable, OutcomeUnknown, SettingsError) as failure:
        return DeliveryResult(before, error=failure)
    if receipt is None:
        return _issue(backend, taken) if renew(tool, taken) else None
    return DeliveryResult(State.REVOKED if receipt.revoked else State.ISSUED, receipt)


def _found(backend: Backend, taken: Claimed) -> Receipt | None:
    with no_page_after(clock.now() + LOOK_FOR):
        return backend.find(taken.issuance)


def _issue(backend: Backend, taken: Claimed) -> DeliveryResult:
    try:
        return DeliveryResult(State.ISSUED, backend.issue(taken.issuance), is_new=True)
    except NeedsRecipient as need:
        return DeliveryResult(State.NEEDS_RECIPIENT, error=need)
    except Unauthorized as refusal:
        return DeliveryResult(State.PENDING, error=refusal)
    except Refused as refusal:
        return DeliveryResult(State.REJECTED, error=refusal)
    except (Unavailable, SettingsError) as outage:
        return DeliveryResult(State.PENDING, error=outage)
    except OutcomeUnknown as loss:
        return DeliveryResult(State.UNKNOWN, error=loss)


def _revoke(backend: Backend, taken: Claimed) -> DeliveryResult:
    if taken.stays:
        return DeliveryResult(State.REVOKED, note=taken.stays)
    try:
        if taken.origin is None and backend.traits.marks and not _is_ours(backend, taken):
            return DeliveryResult(State.REVOKED, note=NOT_OURS)
        backend.revoke(taken.issuance, taken.backend_ref or "", taken.reason)
    except Unauthorized as refusal:
        return DeliveryResult(State.REVOKING, error=refusal)
    except Refused as refusal:
        return DeliveryResult(State.ISSUED, error=refusal)  # it stands, and the page says why
    except (Unavailable, OutcomeUnknown, SettingsError) as failure:
        return DeliveryResult(State.REVOKING, error=failure)
    return DeliveryResult(State.REVOKED)


def _is_ours(backend: Backend, taken: Claimed) -> bool:
    """Whether an award of an older version, which kept no origin, carries our marker there."""
    found = _found(backend, taken)
    return found is not None and found.ref == taken.backend_ref and not found.adopted


def _settle(tool: ToolContext, taken: Claimed, result: DeliveryResult) -> State | None:
    """Write the result, if the claim still stands; else recovery will look the award up."""
    with tool.sessions.begin() as session:
        award = held(session, taken)
        if award is None:
            record(session, "outcome_discarded", award_id=taken.award_id, state=result.state.value)
            return None
        _write(award, taken, result)
        if result.receipt is not None:
            note_origin(session, award, result.receipt, is_new=result.is_new)
        if result.error is not None or taken.backend.failures or taken.backend.error:
            backend = session.get_one(BackendRow, award.backend_id, with_for_update=True)
            note_outcome(backend, result.error, probe=taken.is_probe)
        why = result.error.message if result.error else result.note
        change_state(session, award, result.state, why=why)
    if award.passed_back in {DUE, WITHDRAW} and result.state in {State.ISSUED, State.REVOKED}:
        tool.enqueue("pass_back", award.id)
    return result.state


def _write(award: Award, taken: Claimed, result: DeliveryResult) -> None:
    award.error = result.error.message if result.error else None
    award.next_attempt_at = _next_attempt(taken, result)
    if isinstance(result.error, (Unavailable, Refused)) and award.sends and not taken.was_sent:
        award.sends -= 1  # it surely did not arrive
    award.rest_until = clock.now() + REST if result.state is State.UNKNOWN else None
    if result.receipt is not None:
        award.backend_ref = result.receipt.ref
        award.backend_url = web_address(result.receipt.url)
        award.issued_at = result.receipt.issued_at
    if result.state is State.REVOKED:
        award.revoked_at = award.revoked_at or clock.now()
        award.revocation_reason = award.revocation_reason or "Revoked at the badge backend"


def _next_attempt(taken: Claimed, result: DeliveryResult) -> datetime | None:
    if result.state not in {State.PENDING, State.UNKNOWN, State.REVOKING}:
        return None
    asked = result.error.retry_after if isinstance(result.error, Unavailable) else None
    wait = wait_after(taken.attempts, FIRST_WAIT, LAST_WAIT, retry_after=asked)
    if result.state is State.UNKNOWN:
        wait = max(min(wait, LAST_WAIT_UNKNOWN), REST)
    return clock.now() + wait
