"""Opening a course of an LMS, and one writer at a time for what is stored of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges import lms
from lti_badges.awards.engine import Engine
from lti_badges.errors import NotFound
from lti_badges.lti.service import Service
from lti_badges.lti.tokens import PlatformEndpoint
from lti_badges.store import (
    AwardRule,
    Course,
    Deployment,
    LineItem,
    Platform,
    ResourceLink,
    RuleVersion,
)
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Gradable,
    Kind,
)


def platform_endpoint(platform: Platform, deployment_id: str | None) -> PlatformEndpoint:
    """Where and as whom to call a platform's services."""
    audience = platform.auth_audience or lms.of(platform.lms).default_audience
    return PlatformEndpoint(
        platform_id=platform.id,
        issuer=platform.issuer,
        client_id=platform.client_id,
        token_url=platform.auth_token_url,
        audience=audience,
        deployment_id=deployment_id,
    )


def lms_of(engine: Engine, course_id: str) -> lms.LMS:
    """The course, opened at its LMS. Raises NotFound."""
    with engine.sessions() as session:
        course = session.get(Course, course_id)
        if course is None:
            raise NotFound("There is no such course.")
        deployment = session.get_one(Deployment, course.deployment_id)
        platform = session.get_one(Platform, deployment.platform_id)
        links = {
            link.resource_link_id: link.title
            for link in session.scalars(
                select(ResourceLink).where(ResourceLink.course_id == course_id)
            )
        }
    endpoint = platform_endpoint(platform, deployment.deployment_id)
    holder = connection_holder(course, deployment, platform)

    def update_connection(
        change: Callable[[Mapping[str, str]], Mapping[str, str]],
    ) -> Mapping[str, str]:
        with engine.sessions.begin() as session:
            locked = session.get_one(type(holder), holder.id, with_for_update=True)
            row = cast("Course | Deployment | Platform", locked)
            changed = change(engine.cipher.unseal(row.connection))
            row.connection = engine.cipher.seal(dict(changed))
        return changed

    handle = lms.CourseHandle(
        issuer=platform.issuer,
        context_id=course.context_id,
        lineitems_url=course.lineitems_url,
        memberships_url=course.memberships_url,
        scopes=frozenset(course.scopes),
        custom=course.custom,
        links=links,
        service=Service(engine.http, engine.tokens, endpoint),
        http=engine.http,
        connection=engine.cipher.unseal(holder.connection),
        update_connection=update_connection,
    )
    return lms.of(platform.lms)(handle)


def connection_holder(
    course: Course, deployment: Deployment, platform: Platform
) -> Course | Deployment | Platform:
    """Whose credentials for the LMS's own API count: those given for this course, else for its
    institution, else for the whole registration."""
    if course.connection:
        return course
    return deployment if deployment.connection else platform


@contextmanager
def writing(engine: Engine, course_id: str) -> Iterator[tuple[Session, Course]]:
    """One transaction as the only writer of a course. Raises NotFound.

    A learner's launch, the schedule and the instructor's save may meet in one course; on SQLite
    the transaction itself is exclusive, on PostgreSQL the course's row is locked.
    """
    with engine.sessions.begin() as session:
        course = session.scalar(select(Course).where(Course.id == course_id).with_for_update())
        if course is None:
            raise NotFound("There is no such course.")
        yield session, course


def current_versions(session: Session, course_id: str) -> list[tuple[AwardRule, RuleVersion]]:
    """The course's rules that are in force, with their current versions, oldest first."""
    rows = session.execute(
        select(AwardRule, RuleVersion)
        .join(
            RuleVersion,
            (RuleVersion.rule_id == AwardRule.id) & (RuleVersion.version == AwardRule.version),
        )
        .where(
            AwardRule.course_id == course_id,
            AwardRule.removed_at.is_(None),
            AwardRule.active.is_(True),
        )
        .order_by(AwardRule.created_at, AwardRule.id)
    )
    return [(rule, version) for rule, version in rows]


def wanted_gradables(
    session: Session, course_id: str, also: frozenset[tuple[str, str]] = frozenset()
) -> list[Gradable]:
    """What the rules in force (and `also`, by kind and key) need, as listed in the course."""
    needed = set(also)
    for _, version in current_versions(session, course_id):
        needed |= needed_keys(version.criteria)
    items = session.scalars(
        select(LineItem).where(LineItem.course_id == course_id, LineItem.present.is_(True))
    )
    return [gradable_of(item) for item in items if (item.kind, item.key) in needed]


def gradable_of(item: LineItem) -> Gradable:
    """The value a stored line item stands for."""
    return Gradable(
        kind=Kind(item.kind),
        key=item.key,
        label=item.label,
        maximum=item.maximum,
        source=item.source,
        is_own=item.is_own,
        resource_link_id=item.resource_link_id,
        resource_id=item.resource_id,
        tag=item.tag,
        in_words=item.in_words,
        is_rare=item.is_rare,
    )


def needed_keys(criteria: Mapping[str, object]) -> set[tuple[str, str]]:
    """(kind, key) of everything a stored criterion looks at."""
    kind = criteria.get("is")
    if kind in {"score", "mark"}:
        return {(Kind.ITEM.value, str(criteria["key"]))}
    if kind == "course_grade":
        return {(Kind.COURSE_GRADE.value, COURSE_GRADE_KEY)}
    if kind == "course_completed":
        return {(Kind.COMPLETION.value, COURSE_COMPLETION)}
    if kind == "activity_completed":
        return {(Kind.ACTIVITY.value, str(criteria["key"]))}
    if kind == "member":
        return {(Kind.GROUP.value, str(criteria["key"]))}
    parts = criteria.get("of")
    found: set[tuple[str, str]] = set()
    for part in parts if isinstance(parts, list) else ():
        found |= needed_keys(part)
    return found
