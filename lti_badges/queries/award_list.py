"""Awards across all courses of an institution: found, filtered, and chosen for a bulk action."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from lti_badges.awarding.manual import RETRIED
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.queries.listing import Listing, Order, holds, page_of, words
from lti_badges.store import Achievement, Award, BackendRow, Course, CourseMember, State

RETRY, REVOKE = ACTIONS = ("retry", "revoke")
REVOCABLE = frozenset(State) - {State.REVOKED, State.REVOKING}
CAN = {RETRY: frozenset(RETRIED), REVOKE: REVOCABLE}
AT_ONCE = 500
"""Awards of one bulk action: all their names are shown before."""
OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class AwardFilter:
    """What is looked for; `search` in names, e-mail addresses, badges and errors."""

    search: str = ""
    state: str = ""
    backend: str = ""
    course: str = ""
    sort: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> AwardFilter:
        """From a form or an address. Raises InvalidInput."""
        found = cls(**{name: given.get(name, "")[:200] for name in cls.__slots__})
        if found.state and found.state not in set(State):
            raise InvalidInput("There is no such state of an award.", field="state")
        return found


@dataclass(frozen=True, slots=True)
class ListedAward:
    """An award as the admin's list shows it."""

    id: str
    name: str
    email: str
    person_id: str | None
    badge: str
    course: str
    course_id: str
    backend: str
    state: str
    error: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Chosen:
    """Awards that a bulk action would take: `awards` of `total`, `counts` by state and backend;
    `mark` names exactly these. `others` were chosen, too, and are nothing for this action."""

    awards: tuple[ListedAward, ...]
    total: int
    others: int
    counts: tuple[tuple[str, str, int], ...]
    mark: str


def award_list(tool: ToolContext, wanted: AwardFilter, at: str = "") -> Listing[ListedAward]:
    """A page of the awards that the filter lets through. Raises InvalidInput and NotFound."""
    _check(tool, wanted)
    with tool.sessions() as session:
        order = Order(Award.created_at, Award.id, descending=wanted.sort != OLDEST)
        page = page_of(session, _query(wanted), order, at)
        return Listing(tuple(_listed(row) for row in page.rows), page.before, page.after)


def chosen(tool: ToolContext, action: str, wanted: AwardFilter, ids: Sequence[str] = ()) -> Chosen:
    """The named awards, else all that the filter lets through: those that the action can take,
    oldest first. Raises InvalidInput and NotFound."""
    _check(tool, wanted)
    query = _query(wanted) if not ids else _query(AwardFilter()).where(Award.id.in_(ids))
    takes = Award.state.in_([state.value for state in CAN[action]])
    with tool.sessions() as session:

        def count(of: Select[*tuple[Any, ...]]) -> int:
            return session.scalar(select(func.count()).select_from(of.subquery())) or 0

        whole = count(query.with_only_columns(Award.id))
        if ids and whole != len(set(ids)):
            raise NotFound("There is no such award.")
        total = count(query.where(takes).with_only_columns(Award.id))
        oldest = query.where(takes).order_by(Award.created_at, Award.id).limit(AT_ONCE)
        awards = tuple(_listed(row) for row in session.execute(oldest))
    counts = Counter((each.state, each.backend) for each in awards)
    return Chosen(
        awards,
        total,
        whole - total,
        tuple((state, backend, number) for (state, backend), number in counts.most_common()),
        hashlib.sha256("".join(each.id for each in awards).encode()).hexdigest(),
    )


def _check(tool: ToolContext, wanted: AwardFilter) -> None:
    """What the filter names must be this institution's."""
    with tool.sessions() as session:
        if wanted.course and session.get(Course, wanted.course) is None:
            raise NotFound("There is no such course.")
        if wanted.backend and session.get(BackendRow, wanted.backend) is None:
            raise NotFound("There is no such backend.")


def _query(wanted: AwardFilter) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            Award.id,
            CourseMember.name,
            CourseMember.email,
            CourseMember.sub,
            CourseMember.person_id,
            Achievement.name,
            Course.title,
            Course.label,
            Course.id,
            BackendRow.name,
            Award.state,
            Award.error,
            Award.created_at,
        )
        .join(CourseMember, CourseMember.id == Award.member_id)
        .join(Achievement, Achievement.id == Award.achievement_id)
        .join(Course, Course.id == Award.course_id)
        .join(BackendRow, BackendRow.id == Award.backend_id)
    )
    for word in words(wanted.search):
        query = query.where(_mentions(word))
    if wanted.state:
        query = query.where(Award.state == wanted.state)
    if wanted.backend:
        query = query.where(Award.backend_id == wanted.backend)
    if wanted.course:
        query = query.where(Award.course_id == wanted.course)
    return query


def _mentions(word: str) -> ColumnElement[bool]:
    """By learner, badge or error. Learners and badges are looked through once, not each time."""
    learners = select(CourseMember.id).where(holds(word, CourseMember.name, CourseMember.email))
    badges = select(Achievement.id).where(holds(word, Achievement.name))
    return or_(
        Award.member_id.in_(learners), Award.achievement_id.in_(badges), holds(word, Award.error)
    )


def _listed(row: Sequence[Any]) -> ListedAward:
    award_id, name, email, sub, person_id, badge, title, label, course_id, backend, *rest = row
    state, error, created_at = rest[:3]
    return ListedAward(
        id=award_id,
        name=name or email or f"Learner {sub[:12]}",
        email=email or "",
        person_id=person_id,
        badge=badge,
        course=title or label or "A course",
        course_id=course_id,
        backend=backend,
        state=state,
        error=error or "",
        created_at=created_at,
    )
