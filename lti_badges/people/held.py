"""Everything that is held of a person: handed out, or taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.ledger.audit import record
from lti_badges.people.persons import members_of, person_named
from lti_badges.store import (
    AuditEvent,
    Award,
    Base,
    Consent,
    CourseMember,
    IssuedCredential,
    MemberResult,
    Person,
    Standing,
    State,
)
from lti_badges.values.award import HIDDEN

KEPT_DETAILS = frozenset({"was", "now", "rule_version", "policy"})
"""What an event says that is nobody's in particular."""


def export_person(tool: ToolContext, name: str) -> dict[str, Any]:
    """All rows that are about a person, by table, as JSON. Raises NotFound."""
    with tool.sessions() as session:
        person = person_named(session, name)
        members = members_of(session, person.id)
        ids = [each.id for each in members]
        awards = list(session.scalars(select(Award).where(Award.member_id.in_(ids))))
        award_ids = [each.id for each in awards]
        rows: Mapping[str, Any] = {
            "person": [person],
            "courses": [each.course for each in members],
            "memberships": members,
            "results": session.scalars(select(MemberResult).where(MemberResult.member_id.in_(ids))),
            "line_items": [
                row.line_item
                for row in session.scalars(
                    select(MemberResult).where(MemberResult.member_id.in_(ids))
                )
            ],
            "standings": session.scalars(select(Standing).where(Standing.member_id.in_(ids))),
            "awards": awards,
            "credentials": session.scalars(
                select(IssuedCredential).where(IssuedCredential.award_id.in_(award_ids))
            ),
            "consents": session.scalars(select(Consent).where(Consent.person_id == person.id)),
            "events": session.scalars(_events(ids, award_ids)),
        }
        told = {name: [_plain_row(row) for row in found] for name, found in rows.items()}
    for course in told["courses"]:
        for private in ("connection", "settings", "sync_token", "sync_lease_until"):
            course.pop(private, None)
    return told


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure takes away, or took. `standing` are the ids of awards that must be revoked
    first; `left` those that a backend did not take back, with why."""

    person_id: str
    name: str
    courses: int
    results: int
    awards: int
    events: int
    standing: tuple[str, ...]
    left: tuple[tuple[str, str], ...] = ()


def erasure_of(tool: ToolContext, name: str) -> Erasure:
    """What would be erased; changes nothing. Raises NotFound."""
    with tool.sessions() as session:
        person = person_named(session, name)
        ids = [each.id for each in members_of(session, person.id)]
        awards = list(session.scalars(select(Award).where(Award.member_id.in_(ids))))

        def count(query: Any) -> int:
            return session.scalar(select(func.count()).select_from(query.subquery())) or 0

        return Erasure(
            person_id=person.id,
            name=person.name or person.email or person.sub,
            courses=len(ids),
            results=count(select(MemberResult.id).where(MemberResult.member_id.in_(ids))),
            awards=len(awards),
            events=count(_events(ids, [each.id for each in awards])),
            standing=tuple(each.id for each in awards if each.state != State.REVOKED),
        )


def scrub(tool: ToolContext, person_id: str, *, by: str) -> tuple[tuple[str, str], ...]:
    """Take identity and results away. An award that still stands at a backend keeps what is needed
    to revoke it there; those are returned, with why. Run it again when they are revoked."""
    with tool.sessions.begin() as session:
        person = session.get_one(Person, person_id, with_for_update=True)
        members = members_of(session, person.id)
        ids = [each.id for each in members]
        awards = list(session.scalars(select(Award).where(Award.member_id.in_(ids))))
        left = [each for each in awards if each.state != State.REVOKED]
        for award in awards:
            if award not in left:
                _scrub_award(session, award)
        session.execute(delete(MemberResult).where(MemberResult.member_id.in_(ids)))
        session.execute(delete(Standing).where(Standing.member_id.in_(ids)))
        for event in session.scalars(_events(ids, [each.id for each in awards])):
            event.detail = {k: v for k, v in event.detail.items() if k in KEPT_DETAILS}
        mine = {person.name, *(each.name for each in members)} - {None, ""}
        session.execute(
            update(AuditEvent)
            .where(AuditEvent.member_id.in_(ids), AuditEvent.actor.in_(mine))
            .values(actor="a person who was erased", address=None)
        )
        for member in members:
            _scrub_member(member)
        person.sub, person.name, person.email = f"erased:{person.id}", None, None
        person.erased_at = clock.now()
        record(session, "person_erased", actor=by, person=person.id, awards_left=len(left))
        return tuple((each.id, each.error or "It still stands at its backend.") for each in left)


def _scrub_award(session: Session, award: Award) -> None:
    award.recipient = {"lti_user_id": "erased"}
    award.recipient_key = f"erased:{award.id}"
    award.judgement, award.explanation = None, "Erased."
    award.revocation_reason, award.error = "Erased.", None
    award.shows_name, award.shows_result, award.visibility = False, False, HIDDEN
    held = session.get(IssuedCredential, award.id)
    if held is not None:  # its place in the status list must go on to say “revoked”
        held.document, held.ob2, held.jwt = {}, {}, ""
        held.revocation_reason = None


def _scrub_member(member: CourseMember) -> None:
    member.sub = f"erased:{member.id}"
    member.name = member.email = member.sourcedid = None
    member.custom, member.roles = {}, []
    member.present = member.can_earn = False
    member.permissions, member.tokens_from = None, clock.now()
    member.last_launch_at = None


def _events(member_ids: list[str], award_ids: list[str]) -> Any:
    return select(AuditEvent).where(
        or_(AuditEvent.member_id.in_(member_ids), AuditEvent.award_id.in_(award_ids))
    )


def _plain_row(row: Base) -> dict[str, Any]:
    return {
        column.key: _plain(getattr(row, column.key))
        for column in row.__mapper__.column_attrs
        if column.key != "seen_in"
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.iso(value)
    if isinstance(value, Fraction | date):
        return str(value)
    if isinstance(value, bytes):
        return None
    return value
