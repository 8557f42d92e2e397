"""Once a day: are the awards still at their backends as we know them?

An award that was revoked there is revoked here too; one that is not found any more is shown, and
never sent again by itself: whoever deleted it meant it. Awards there that are none of ours are
counted for the admin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, update

from lti_badges.backends import Backend
from lti_badges.catalogue.issuance import backend_of, issuance_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import BackendError
from lti_badges.ledger.audit import record
from lti_badges.ledger.states import change_state
from lti_badges.store import Achievement, Award, BackendRow, CourseMember, State, batches
from lti_badges.values.badge import ListedAward

EVERY = timedelta(days=1)
# A backend without lists is asked for each award; so many a day, in turn.
LOOK_UPS = 1000
BATCH = 200
MISSING = "Not found at the badge backend any more; it may have been deleted there."


@dataclass(slots=True)
class Reconciliation:
    """What one run found at a backend. `foreign` awards there are none of ours; `cursor` is where
    the next run of look-ups goes on."""

    checked: int = 0
    revoked: int = 0
    missing: int = 0
    foreign: int = 0
    error: str | None = None
    cursor: str = ""


def due_for_reconciliation(tool: ToolContext) -> list[str]:
    """Backends whose day is over and that take calls now."""
    now = clock.now()
    with tool.sessions() as session:
        return list(
            session.scalars(
                select(BackendRow.id).where(
                    or_(BackendRow.reconciled_at.is_(None), BackendRow.reconciled_at < now - EVERY),
                    or_(BackendRow.paused_until.is_(None), BackendRow.paused_until < now),
                )
            )
        )


def reconcile(tool: ToolContext, backend_id: str, *, force: bool = False) -> Reconciliation:
    """Compare one backend's awards with ours. A second worker at the same time does nothing.
    Failures are noted and tried again the next day."""
    report = Reconciliation()
    now = clock.now()
    with tool.sessions.begin() as session:
        due = or_(BackendRow.reconciled_at.is_(None), BackendRow.reconciled_at < now - EVERY)
        claim = update(BackendRow).where(BackendRow.id == backend_id)
        taken = session.execute((claim if force else claim.where(due)).values(reconciled_at=now))
        row = session.get(BackendRow, backend_id)
    if row is None or not getattr(taken, "rowcount", 0):
        return report
    backend = backend_of(tool, row)
    if backend.traits.is_local:
        return report
    try:
        for achievement_id, ref in _awarded(tool, backend_id):
            listed = backend.holdings(ref)
            if listed is None and not backend.traits.finds:
                return report
            if listed is None:
                report.cursor = str((row.reconciled or {}).get("cursor", ""))
                _look_up(tool, backend, backend_id, report)
                break
            ours = (Award.achievement_id == achievement_id) & (Award.backend_id == backend_id)
            _compare(tool, ours, listed, report)
    except BackendError as error:
        report.error = error.message
    with tool.sessions.begin() as session:
        session.get_one(BackendRow, backend_id).reconciled = asdict(report)
    return report


def _awarded(tool: ToolContext, backend_id: str) -> list[tuple[str, str]]:
    """(id, ref) of the badges that we issued there."""
    with tool.sessions() as session:
        rows = session.execute(
            select(Award.achievement_id, func.coalesce(Award.achievement_ref, Achievement.ref))
            .join(Achievement, Achievement.id == Award.achievement_id)
            .where(Award.backend_id == backend_id, Award.state == State.ISSUED.value)
            .distinct()
        )
        return [(achievement_id, ref) for achievement_id, ref in rows]


def _compare(
    tool: ToolContext,
    ours: ColumnElement[bool],
    listed: Iterator[ListedAward],
    report: Reconciliation,
) -> None:
    """By one list: two awards of ours may point to the same one there, if it guards duplicates."""
    held = {each.ref: each.revoked for each in listed}
    for award_id, ref in _issued(tool, ours):
        report.checked += 1
        _settle(tool, award_id, report, found=ref in held, revoked=held.get(ref, False))
    with tool.sessions() as session:
        known = set(
            session.scalars(select(Award.backend_ref).where(ours, Award.backend_ref.is_not(None)))
        )
    report.foreign += sum(not revoked for ref, revoked in held.items() if ref not in known)


def _look_up(tool: ToolContext, backend: Backend, backend_id: str, report: Reconciliation) -> None:
    """One by one, going on where the last run ended, also when that was by an error."""
    for award_id, _ in _issued(tool, Award.backend_id == backend_id, report.cursor):
        if report.checked >= LOOK_UPS:
            return
        with tool.sessions() as session:
            order = issuance_of(tool, session, session.get_one(Award, award_id))
        receipt = backend.find(order)
        report.checked += 1
        revoked = receipt is not None and receipt.revoked
        _settle(tool, award_id, report, found=receipt is not None, revoked=revoked)
        report.cursor = award_id
    report.cursor = ""


def _issued(
    tool: ToolContext, which: ColumnElement[bool], last: str = ""
) -> Iterator[tuple[str, str]]:
    """(id, the backend's id) of our issued awards, by id from `last` on."""

    def read(query: Select[str, str | None]) -> Sequence[Row[str, str | None]]:
        with tool.sessions() as session:
            return session.execute(query).all()

    query = select(Award.id, Award.backend_ref).where(
        which, Award.state == State.ISSUED.value, Award.backend_ref.is_not(None)
    )
    found = batches(query, Award.id, read=read, key=lambda r: (r.id,), size=BATCH, after=(last,))
    for rows in found:
        for row in rows:
            yield row.id, row.backend_ref or ""


def _settle(
    tool: ToolContext, award_id: str, report: Reconciliation, *, found: bool, revoked: bool
) -> None:
    with tool.sessions.begin() as session:
        award = session.get_one(Award, award_id, with_for_update=True)
        if award.state != State.ISSUED:
            return
        if revoked:
            report.revoked += 1
            award.revoked_at, award.next_attempt_at = clock.now(), None
            award.revocation_reason = "Revoked at the badge backend"
            change_state(session, award, State.REVOKED, why=award.revocation_reason)
            session.get_one(CourseMember, award.member_id).dirty = True
        elif not found:
            report.missing += 1
            if award.error != MISSING:
                award.error = MISSING
                record(
                    session,
                    "missing_at_backend",
                    course_id=award.course_id,
                    member_id=award.member_id,
                    award_id=award.id,
                )
        elif award.error == MISSING:
            award.error = None
