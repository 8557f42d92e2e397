"""The audit log: who did what, when, from where; found, filtered, and as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Row, Select, String, cast, func, select
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.queries.listing import Listing, Order, matches, page_of
from lti_badges.queries.trail import csv_line, told
from lti_badges.store import AuditEvent, Course, CourseMember

EXPORTED = 500


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is looked for: in kinds and details, in who did it, from a day to a day (UTC)."""

    search: str = ""
    actor: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def read(cls, given: Mapping[str, str]) -> AuditFilter:
        """From a form or an address. Raises InvalidInput."""
        search, actor = (given.get(name, "")[:200] for name in ("search", "actor"))
        return cls(search, actor, _day(given, "since"), _day(given, "until"))


@dataclass(frozen=True, slots=True)
class Logged:
    """An event of the audit trail as the admin's log shows it."""

    at: datetime
    text: str
    actor: str
    address: str
    course: str
    learner: str
    detail: tuple[tuple[str, str], ...]


def audit_log(tool: ToolContext, wanted: AuditFilter, at: str = "") -> Listing[Logged]:
    """A page of it, newest first. Raises InvalidInput."""
    with tool.sessions() as session:
        page = _page(tool, session, wanted, at)
        return Listing(tuple(_logged(row) for row in page.rows), page.before, page.after)


def audit_csv(tool: ToolContext, wanted: AuditFilter) -> Iterator[str]:
    """All of it as CSV, a page at a time; no transaction stays open while one is on its way."""
    yield csv_line(["at", "what", "who", "from", "course", "learner", "detail"])
    at: str | None = ""
    while at is not None:
        with tool.sessions() as session:
            page = _page(tool, session, wanted, at, EXPORTED)
        for each in (_logged(row) for row in page.rows):
            details = "; ".join(f"{name}: {value}" for name, value in each.detail)
            yield csv_line(
                [
                    clock.iso(each.at),
                    each.text,
                    each.actor,
                    each.address,
                    each.course,
                    each.learner,
                    details,
                ]
            )
        at = page.after


def _page(
    tool: ToolContext, session: Session, wanted: AuditFilter, at: str, size: int = 50
) -> Listing[Row[*tuple[Any, ...]]]:
    order = Order(AuditEvent.id, AuditEvent.id, descending=True)
    return page_of(session, _query(tool, wanted), order, at, size)


def _query(tool: ToolContext, wanted: AuditFilter) -> Select[*tuple[Any, ...]]:
    query = (
        select(AuditEvent, Course.title, CourseMember.name)
        .outerjoin(Course, Course.id == AuditEvent.course_id)
        .outerjoin(CourseMember, CourseMember.id == AuditEvent.member_id)
    )
    if tool.institution_id is not None:  # the index is by institution; the scope alone has an OR
        query = query.where(AuditEvent.institution_id == tool.institution_id)
    if wanted.search.strip():
        kind, detail = func.replace(AuditEvent.kind, "_", " "), cast(AuditEvent.detail, String)
        query = query.where(matches(wanted.search, kind, detail, Course.title, CourseMember.name))
    if wanted.actor.strip():
        query = query.where(matches(wanted.actor, AuditEvent.actor))
    if wanted.since is not None:
        query = query.where(AuditEvent.at >= _midnight(wanted.since))
    if wanted.until is not None:
        query = query.where(AuditEvent.at < _midnight(wanted.until + timedelta(days=1)))
    return query


def _logged(row: Sequence[Any]) -> Logged:
    event, course, learner = row[:3]
    return Logged(
        at=event.at,
        text=told(event),
        actor=event.actor,
        address=event.address or "",
        course=course or "",
        learner=learner or "",
        detail=tuple(
            (name.replace("_", " "), _shown(value)) for name, value in event.detail.items()
        ),
    )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value) or "none"
    return "–" if value is None else str(value)


def _day(given: Mapping[str, str], name: str) -> date | None:
    text = given.get(name, "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"“{text[:20]}” is not a day; write 2026-05-03.", field=name) from None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
