"""Awards of backends that issue in this tool itself: nothing is sent, so nothing can be lost on the
way. Taken, signed, stored and settled in one transaction, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from lti_badges.backends import KINDS
from lti_badges.backends.builtin import Builtin
from lti_badges.backends.signer import Signers
from lti_badges.catalogue.issuance import backend_of, issuance_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import LtiBadgesError, Refused
from lti_badges.delivery.claims import is_due
from lti_badges.delivery.grade_passback import DUE, WITHDRAW
from lti_badges.ledger.backend_pauses import DUE_STATES
from lti_badges.ledger.states import change_state
from lti_badges.openbadges.documents import StatusEntry
from lti_badges.people.consent import ASK
from lti_badges.store import Award, BackendRow, IssuedCredential, Origin, State
from lti_badges.store.leases import free

BATCH = 20
"""Awards of one transaction: on SQLite others wait for it, a tenth of a second at most."""
LOCAL = tuple(kind for kind, backend in KINDS.items() if backend.traits.is_local)
HERE = and_(BackendRow.kind.in_(LOCAL), BackendRow.consent != ASK)
"""Where each learner is asked first, awards go one by one, as they do to other servers."""
DONE = "Done."


def deliver_local(tool: ToolContext, award_ids: Sequence[str]) -> dict[str, State | None]:
    """Issue or revoke those of the awards whose backend issues here. Returns the state that each of
    them reached, None for one that is not due; awards of other backends are not in it."""
    with tool.sessions() as session:
        found = session.execute(
            select(Award.id, Award.backend_id)
            .join(BackendRow, BackendRow.id == Award.backend_id)
            .where(Award.id.in_(award_ids), HERE)
        ).all()
    reached: dict[str, State | None] = {award_id: None for award_id, _ in found}
    for backend_id in dict.fromkeys(backend_id for _, backend_id in found):
        ids = [award_id for award_id, of in found if of == backend_id]
        for start in range(0, len(ids), BATCH):
            reached |= _batch(tool, backend_id, ids[start : start + BATCH])
    return reached


def with_others_due(tool: ToolContext, award_id: str) -> list[str]:
    """The award, and others of its backend that are due too: they share its commit."""
    now = clock.now()
    with tool.sessions() as session:
        backend_id = session.scalar(
            select(Award.backend_id)
            .join(BackendRow, BackendRow.id == Award.backend_id)
            .where(Award.id == award_id, HERE)
        )
        if backend_id is None:
            return [award_id]
        others = session.scalars(
            select(Award.id)
            .where(
                Award.backend_id == backend_id,
                Award.state.in_([state.value for state in DUE_STATES]),
                Award.next_attempt_at <= now,
                free(Award.lease_until),
                Award.id != award_id,
            )
            .order_by(Award.next_attempt_at)
            .limit(BATCH - 1)
        )
        return [award_id, *others]


def _batch(tool: ToolContext, backend_id: str, award_ids: list[str]) -> dict[str, State | None]:
    with tool.sessions() as session:
        row = session.get_one(BackendRow, backend_id)
    if row.paused_until is not None and row.paused_until > clock.now():
        return {}
    try:
        backend = backend_of(tool, row)
        assert isinstance(backend, Builtin)  # noqa: S101 - the only kind that is local
        signers = backend.signer.signers()
    except LtiBadgesError:
        return {}  # the keys can't be opened: the start says so, and the awards wait
    # Written together at the end: one statement for all credentials of the batch.
    with tool.sessions.begin() as session, session.no_autoflush:
        locked = session.scalars(
            select(Award).where(Award.id.in_(award_ids)).with_for_update(skip_locked=True)
        )
        awards = [award for award in locked if is_due(award)]
        held = _held(session, awards)
        new = [award for award in awards if award.id not in held and not _revokes(award)]
        places = backend.signer.take_places(session, len(new))
        for award, place in zip(new, places, strict=True):
            _issue(tool, session, backend, award, place, signers)
        for award in awards:
            if _revokes(award):
                _revoke(session, award, held.get(award.id))
            elif award.id in held:
                _settle_issued(session, award, held[award.id], tool)
    for award in awards:
        if award.state in {State.ISSUED, State.REVOKED} and award.passed_back in {DUE, WITHDRAW}:
            tool.enqueue("pass_back", award.id)
    return {award.id: State(award.state) for award in awards}


def _held(session: Session, awards: list[Award]) -> dict[str, IssuedCredential]:
    ids = [award.id for award in awards]
    rows = session.scalars(select(IssuedCredential).where(IssuedCredential.award_id.in_(ids)))
    return {row.award_id: row for row in rows}


def _issue(
    tool: ToolContext,
    session: Session,
    backend: Builtin,
    award: Award,
    place: StatusEntry,
    signers: Signers,
) -> None:
    try:
        row = backend.signer.signed(issuance_of(tool, session, award), place, signers)
    except Refused as refusal:
        award.attempts += 1
        award.error, award.next_attempt_at = refusal.message, None
        change_state(session, award, State.REJECTED, why=refusal.message)
        return
    session.add(row)
    _settle_issued(session, award, row, tool)


def _settle_issued(
    session: Session, award: Award, row: IssuedCredential, tool: ToolContext
) -> None:
    _free(award)
    award.attempts += 1
    award.backend_ref, award.origin = award.id, Origin.ISSUED
    award.backend_url = tool.settings.url(f"/credentials/{award.id}")
    award.issued_at = row.issued_at
    if row.revoked_at is not None:
        award.revoked_at = award.revoked_at or row.revoked_at
    to = State.ISSUED if row.revoked_at is None else State.REVOKED
    change_state(session, award, to, why=DONE)


def _revoke(session: Session, award: Award, row: IssuedCredential | None) -> None:
    _free(award)
    now = clock.now()
    if row is not None and row.revoked_at is None:
        row.revoked_at, row.revocation_reason = now, award.revocation_reason or "Revoked"
    award.revoked_at = award.revoked_at or now
    award.revocation_reason = award.revocation_reason or "Revoked"
    change_state(session, award, State.REVOKED, why=DONE)


def _free(award: Award) -> None:
    award.error, award.next_attempt_at, award.rest_until = None, None, None
    award.claim, award.lease_until = None, None


def _revokes(award: Award) -> bool:
    return award.state == State.REVOKING
