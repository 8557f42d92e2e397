"""The awards of a course for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.queries.trail import csv_line
from lti_badges.store import Achievement, Award, CourseMember, batches
from lti_badges.values.permission import Permission

EXPORTED = 500


def awards_csv(tool: ToolContext, course_id: str) -> Iterator[str]:
    """All awards of a course as CSV, a line at a time, for a spreadsheet."""
    tool.require(Permission.SEE_LEARNERS)
    tool.require(Permission.SEE_GRADES)
    return _csv_lines(tool, course_id)


def _csv_lines(tool: ToolContext, course_id: str) -> Iterator[str]:
    """No transaction stays open while a page of it is on its way: whoever reads slowly, or not at
    all, holds up nobody."""
    yield csv_line(
        ["name", "email", "badge", "state", "achieved at", "issued at", "revoked at", "why", "url"]
    )
    by_name = func.coalesce(func.lower(CourseMember.name), "")
    query = (
        select(Award, CourseMember, Achievement.name, by_name)
        .join(CourseMember, CourseMember.id == Award.member_id)
        .join(Achievement, Achievement.id == Award.achievement_id)
        .where(Award.course_id == course_id)
    )

    def read(batch: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
        with tool.sessions() as session:
            return session.execute(batch).all()

    def key(row: Row[*tuple[Any, ...]]) -> tuple[str, str]:
        return row[3], row[0].id

    for rows in batches(query, by_name, Award.id, read=read, key=key, size=EXPORTED):
        for award, member, badge, _ in rows:
            yield _award_line(tool, award, member, badge)


def _award_line(tool: ToolContext, award: Award, member: CourseMember, badge: str) -> str:
    return csv_line(
        [
            member.name,
            member.email,
            badge,
            award.state,
            _iso(award.achieved_at),
            _iso(award.issued_at),
            _iso(award.revoked_at),
            award.explanation,
            tool.settings.url(f"/credentials/{award.id}"),
        ]
    )


def _iso(moment: datetime | None) -> str:
    return clock.iso(moment) if moment else ""
