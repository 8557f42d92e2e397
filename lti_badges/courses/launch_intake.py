"""What a launch tells: the course, the person and the link that was opened."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.courses.roster import store_members
from lti_badges.ledger.course_lock import course_row
from lti_badges.lti.claims import Launch
from lti_badges.people.permissions import note_permissions, permissions_of
from lti_badges.store import (
    Achievement,
    Course,
    Deployment,
    Platform,
    ResourceLink,
)
from lti_badges.values.course import Role
from lti_badges.values.permission import Permission

ACHIEVEMENT_PARAMETER = "achievement_id"
"""The custom parameter that deep linking puts on a placed badge; it survives a course copy."""
SIGNATURE_PARAMETER = "achievement_signature"
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LaunchedMember:
    """Who came where. `course_id` is None for a launch outside any course; `achievement_id` names
    the badge whose placed link was opened."""

    role: Role
    course_id: str | None = None
    member_id: str | None = None
    achievement_id: str | None = None
    course_title: str = ""
    name: str = ""
    permissions: frozenset[Permission] = frozenset()


def note_launch(tool: ToolContext, launch: Launch, deployment_row_id: str) -> LaunchedMember:
    """Store the course, the person and the link of an accepted launch."""
    with tool.sessions.begin() as session:
        deployment, platform = session.execute(
            select(Deployment, Platform)
            .join(Platform, Platform.id == Deployment.platform_id)
            .where(Deployment.id == deployment_row_id)
        ).one()
        # All launches of an LMS meet in this row: it is written once a minute.
        if platform.last_launch_at is None or clock.now() - platform.last_launch_at > NOTED_EVERY:
            platform.last_launch_at = clock.now()
        deployment.guid = launch.platform_guid or deployment.guid
        if launch.notices_url and launch.notices_url != deployment.notices_url:
            deployment.notices_url, deployment.notices_due_at = launch.notices_url, clock.now()
        if launch.context is None:
            return LaunchedMember(launch.role, name=launch.name or "")
        course = _course(session, launch, deployment)
        if launch.role is Role.NONE:
            return LaunchedMember(launch.role, course.id, course_title=course.title)
        (member,) = store_members(session, course, [launch.member], None)
        member.last_launch_at = clock.now()
        granted = permissions_of(session, launch.roles)
        if note_permissions(member, granted):
            member.tokens_from = clock.now()
        return LaunchedMember(
            role=launch.role,
            course_id=course.id,
            member_id=member.id,
            achievement_id=_placed(tool, session, course, launch),
            course_title=course.title or course.label,
            name=member.name or "",
            permissions=granted,
        )


def _course(session: Session, launch: Launch, deployment: Deployment) -> Course:
    context = launch.context
    assert context is not None  # noqa: S101 - the caller looked
    course = course_row(session, deployment.id, context.id)
    course.title = context.title or course.title or ""
    course.label = context.label or course.label or ""
    # A launch from another placement may leave a service out; it does not take it back.
    course.lineitems_url = launch.line_items_url or course.lineitems_url
    course.memberships_url = launch.memberships_url or course.memberships_url
    if launch.scopes:
        course.scopes = sorted(launch.scopes)
    if launch.role is Role.INSTRUCTOR and launch.custom:
        course.custom = dict(course.custom or {}) | dict(launch.custom)
    course.last_launch_at = clock.now()
    course.concluded = False
    session.flush()
    return course


def signature(tool: ToolContext, institution_id: str, achievement_id: str) -> str:
    """What deep linking places beside a badge's id. Links are edited by teachers, and copied with
    their course: this says that it was we who chose the badge, in this institution."""
    key = tool.cipher.derive("placed badges")
    text = f"{institution_id} {achievement_id}".encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]


def is_signed(tool: ToolContext, institution_id: str, custom: Mapping[str, str]) -> bool:
    """Whether a placed link names the badge that we placed there."""
    made = signature(tool, institution_id, custom.get(ACHIEVEMENT_PARAMETER, ""))
    return hmac.compare_digest(custom.get(SIGNATURE_PARAMETER, ""), made)


def _placed(tool: ToolContext, session: Session, course: Course, launch: Launch) -> str | None:
    """The badge of a placed link, told by its custom parameter at each launch: an LMS may choose
    another badge under the same link later."""
    if launch.link is None:
        return None
    link = session.scalar(
        select(ResourceLink).where(
            ResourceLink.course_id == course.id, ResourceLink.resource_link_id == launch.link.id
        )
    )
    if link is None:
        link = ResourceLink(course_id=course.id, resource_link_id=launch.link.id)
        session.add(link)
    named = launch.custom.get(ACHIEVEMENT_PARAMETER)
    achievement = session.get(Achievement, named) if named else None
    own = achievement is not None and achievement.course_id in {None, course.id}
    if not own and not is_signed(tool, course.institution_id, launch.custom):
        achievement = None  # somebody wrote another course's badge into a link
    link.title = launch.link.title or link.title or ""
    link.lineitem_url = launch.link.line_item_url
    link.achievement_id = achievement.id if achievement else None
    link.last_launch_at = clock.now()
    return link.achievement_id
