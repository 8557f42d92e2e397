"""Who stands where: every learner of a course under every rule, and why, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core.errors import NotFound
from lti_badges.ledger.rules_in_force import current_versions
from lti_badges.queries.listing import matches
from lti_badges.queries.trail import told
from lti_badges.rules import Judgement, Outcome
from lti_badges.store import (
    Achievement,
    AuditEvent,
    Award,
    Course,
    CourseMember,
    Standing,
)
from lti_badges.values.permission import Permission

PAGE = 50


@dataclass(frozen=True, slots=True)
class Cell:
    """One learner and one badge: the rule's judgement, and the award if there is one."""

    achievement_id: str
    rule_id: str | None
    outcome: str
    text: str
    progress: Fraction | None
    award_id: str | None = None
    state: str | None = None
    error: str | None = None
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One learner."""

    member_id: str
    name: str
    email: str | None
    present: bool
    can_earn: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Roster:
    """A page of learners. `badges` are (achievement id, name), in the order of the cells."""

    badges: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    total: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the trail."""

    at: datetime
    text: str
    actor: str


@dataclass(frozen=True, slots=True)
class Why:
    """One learner under one badge: the judgement now, what the award was granted for, the trail."""

    achievement_id: str
    name: str
    rule_id: str | None
    rule_version: int | None
    rule: str
    judgement: Judgement | None
    judged_at: datetime | None
    flagged: bool
    waits: str | None
    award: Award | None
    trail: tuple[Event, ...]


def roster(tool: ToolContext, course_id: str, *, search: str = "", page: int = 1) -> Roster:
    """Learners by name, a page at a time; `search` looks into names and e-mails."""
    tool.require(Permission.SEE_LEARNERS)
    with tool.sessions() as session:
        query = _learners(course_id, search)
        total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        pages = max(1, -(-total // PAGE))
        page = min(max(page, 1), pages)
        members = list(
            session.scalars(
                query.order_by(func.lower(CourseMember.name), CourseMember.id)
                .offset((page - 1) * PAGE)
                .limit(PAGE)
            )
        )
        badges = _badges(session, course_id)
        cells = _cells(session, course_id, members, badges)
    rows = tuple(
        Row(
            member.id,
            member.name or member.email or f"Learner {member.sub[:12]}",
            member.email,
            member.present,
            member.can_earn,
            tuple(cells[member.id]),
        )
        for member in members
    )
    return Roster(tuple(badges), rows, total, page, pages)


def why(tool: ToolContext, course_id: str, member_id: str) -> tuple[CourseMember, list[Why]]:
    """Why, and why not, for each badge of the course. Raises NotFound."""
    tool.require(Permission.SEE_LEARNERS)
    tool.require(Permission.SEE_GRADES)
    with tool.sessions() as session:
        member = session.get(CourseMember, member_id)
        if member is None or member.course_id != course_id:
            raise NotFound("There is no such person in this course.")
        rules = {rule.achievement_id: (rule, v) for rule, v in current_versions(session, course_id)}
        awards = _latest_awards(session, [member_id])
        standings = _standings(session, [member_id])
        answers = []
        for achievement_id, name in _badges(session, course_id):
            rule, version = rules.get(achievement_id, (None, None))
            standing = standings.get((rule.id, member_id)) if rule else None
            award = awards.get((achievement_id, member_id))
            answers.append(
                Why(
                    achievement_id=achievement_id,
                    name=name,
                    rule_id=rule.id if rule else None,
                    rule_version=version.version if version else None,
                    rule=version.description if version else "No rule is in force; by hand only",
                    judgement=Judgement.from_json(standing.judgement) if standing else None,
                    judged_at=standing.judged_at if standing else None,
                    flagged=standing.flagged if standing else False,
                    waits=standing.waits if standing else None,
                    award=award,
                    trail=_trail(session, member_id, award, rule.id if rule else None),
                )
            )
    return member, answers


def _learners(course_id: str, search: str) -> Any:
    awarded = select(Award.member_id).where(Award.course_id == course_id)
    query = select(CourseMember).where(
        CourseMember.course_id == course_id,
        CourseMember.can_earn.is_(True) | CourseMember.id.in_(awarded),
    )
    return query.where(matches(search, CourseMember.name, CourseMember.email))


def _badges(session: Session, course_id: str) -> list[tuple[str, str]]:
    """Badges that have a rule in force here, then those that were awarded here."""
    ruled = [rule.achievement_id for rule, _ in current_versions(session, course_id)]
    awarded = session.scalars(
        select(Award.achievement_id).where(Award.course_id == course_id).distinct()
    )
    ids = list(dict.fromkeys([*ruled, *awarded]))
    rows = session.execute(select(Achievement.id, Achievement.name).where(Achievement.id.in_(ids)))
    names = {row.id: row.name for row in rows}
    return [(achievement_id, names[achievement_id]) for achievement_id in ids]


def _cells(
    session: Session,
    course_id: str,
    members: Sequence[CourseMember],
    badges: Sequence[tuple[str, str]],
) -> dict[str, list[Cell]]:
    ids = [member.id for member in members]
    rules = {rule.achievement_id: rule.id for rule, _ in current_versions(session, course_id)}
    awards, standings = _latest_awards(session, ids), _standings(session, ids)
    cells: dict[str, list[Cell]] = defaultdict(list)
    for member in members:
        for achievement_id, _ in badges:
            rule_id = rules.get(achievement_id)
            standing = standings.get((rule_id, member.id)) if rule_id else None
            award = awards.get((achievement_id, member.id))
            cells[member.id].append(_cell(achievement_id, rule_id, standing, award))
    return cells


def _cell(
    achievement_id: str, rule_id: str | None, standing: Standing | None, award: Award | None
) -> Cell:
    judgement = Judgement.from_json(standing.judgement) if standing else None
    outcome = judgement.outcome if judgement else Outcome.UNKNOWN
    return Cell(
        achievement_id=achievement_id,
        rule_id=rule_id,
        outcome=outcome.name.lower() if rule_id else "none",
        text=judgement.text if judgement else ("not judged yet" if rule_id else ""),
        progress=judgement.progress if judgement else None,
        award_id=award.id if award else None,
        state=award.state if award else None,
        error=award.error if award else None,
        flagged=standing.flagged if standing else False,
    )


def _latest_awards(session: Session, member_ids: Sequence[str]) -> dict[tuple[str, str], Award]:
    rows = session.scalars(
        select(Award).where(Award.member_id.in_(member_ids)).order_by(Award.number)
    )
    return {(row.achievement_id, row.member_id): row for row in rows}


def _standings(session: Session, member_ids: Sequence[str]) -> dict[tuple[str, str], Standing]:
    rows = session.scalars(select(Standing).where(Standing.member_id.in_(member_ids)))
    return {(row.rule_id, row.member_id): row for row in rows}


def _trail(
    session: Session, member_id: str, award: Award | None, rule_id: str | None
) -> tuple[Event, ...]:
    mine = AuditEvent.member_id == member_id
    about = AuditEvent.award_id == award.id if award else AuditEvent.rule_id == rule_id
    rows = session.scalars(select(AuditEvent).where(mine, about).order_by(AuditEvent.id).limit(100))
    return tuple(Event(row.at, told(row), row.actor) for row in rows)


def course_title(tool: ToolContext, course_id: str) -> str:
    """What to call the course. Raises NotFound."""
    with tool.sessions() as session:
        course = session.get(Course, course_id)
    if course is None:
        raise NotFound("There is no such course.")
    return course.title or course.label or "this course"
