"""Whose credential an award points to: issued for it, adopted, or shared by several awards.

What was there before, made by hand or by another tool, is adopted and stays when the award ends,
unless a person says otherwise. What several awards share stays until the last of them ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.store import Award, Origin, State
from lti_badges.values.badge import Receipt

SHARED = "It stays at the badge backend, where another badge of this tool stands on it."
NOT_OURS = "It stays at the badge backend, because this tool did not issue it."


def note_origin(session: Session, award: Award, receipt: Receipt, *, is_new: bool) -> None:
    """Keep whose the receipt's credential is; others of ours that point to it share it from now.
    `is_new`: it was made just now, unless the receipt says that it was there."""
    if is_new and not receipt.adopted:
        award.origin = Origin.ISSUED
        return
    others = _others(session, award, receipt.ref)
    ours = [each for each in others if each.origin != Origin.ADOPTED]
    if receipt.adopted and not ours:
        award.origin = Origin.ADOPTED
        return
    for each in others:
        each.origin = Origin.SHARED
    award.origin = Origin.SHARED if others else Origin.ISSUED


def why_it_stays(session: Session, award: Award) -> str | None:
    """Why the credential is not revoked at its backend though this award ends; None if it is."""
    if award.backend_ref is None:
        return None
    if any(each.state == State.ISSUED for each in _others(session, award, award.backend_ref)):
        return SHARED
    if award.origin == Origin.ADOPTED and not award.revoke_adopted:
        return NOT_OURS
    return None


def _others(session: Session, award: Award, ref: str) -> Sequence[Award]:
    return session.scalars(
        select(Award).where(
            Award.backend_id == award.backend_id,
            Award.achievement_id == award.achievement_id,
            Award.recipient_key == award.recipient_key,
            Award.backend_ref == ref,
            Award.id != award.id,
            Award.state.in_([State.ISSUED.value, State.REVOKING.value]),
        )
    ).all()
