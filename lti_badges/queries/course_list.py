"""Courses of an institution, found and filtered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput
from lti_badges.queries.listing import Listing, Order, matches, page_of
from lti_badges.store import AwardRule, Course, CourseMember, Deployment, Platform

TITLE, NEWEST = SORTS = ("title", "newest")


@dataclass(frozen=True, slots=True)
class ListedCourse:
    """One line. `read_at` is when its results were last read."""

    id: str
    title: str
    label: str
    platform: str
    learners: int
    rules: int
    read_at: datetime | None
    error: str
    concluded: bool
    last_launch_at: datetime | None


def course_list(
    tool: ToolContext, search: str = "", sort: str = "", at: str = "", *, failing: bool = False
) -> Listing[ListedCourse]:
    """A page of them, by title or newest first; `failing` are those that can't be read. Raises
    InvalidInput."""
    if sort not in {"", *SORTS}:
        raise InvalidInput("Courses are sorted by title, or newest first.", field="sort")
    learners = (
        select(func.count())
        .where(CourseMember.course_id == Course.id, CourseMember.can_earn.is_(True))
        .correlate(Course)
        .scalar_subquery()
    )
    rules = (
        select(func.count())
        .where(AwardRule.course_id == Course.id, AwardRule.removed_at.is_(None))
        .correlate(Course)
        .scalar_subquery()
    )
    query = (
        select(Course, Platform.name, Platform.issuer, learners, rules)
        .join(Deployment, Deployment.id == Course.deployment_id)
        .join(Platform, Platform.id == Deployment.platform_id)
    )
    if search.strip():
        query = query.where(matches(search, Course.title, Course.label, Course.context_id))
    if failing:
        query = query.where(Course.sync_error.is_not(None))
    order = Order(func.lower(Course.title), Course.id)
    if sort == NEWEST:
        order = Order(Course.created_at, Course.id, descending=True)
    with tool.sessions() as session:
        page = page_of(session, query, order, at)
    return Listing(
        tuple(
            ListedCourse(
                id=course.id,
                title=course.title or course.label or course.context_id,
                label=course.label,
                platform=name or issuer,
                learners=learner_count,
                rules=rule_count,
                read_at=course.synced_at,
                error=course.sync_error or "",
                concluded=course.concluded,
                last_launch_at=course.last_launch_at,
            )
            for course, name, issuer, learner_count, rule_count, *_ in page.rows
        ),
        page.before,
        page.after,
    )
