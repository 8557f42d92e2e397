"""What an LMS pushes: read the person it names now, and their course soon after, in case the event
stands for others that were lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import or_, select

from lti_badges import lms
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import LaunchError
from lti_badges.ledger.course_lock import ask_for_reading
from lti_badges.lms import Push
from lti_badges.lti.id_token import unverified_claims, verified_event
from lti_badges.store import Course, CourseMember, Deployment, Platform

SOON = timedelta(seconds=45)
PUSHED_AT = "pushed_at"


def take_push(tool: ToolContext, kind: str, token: str) -> Push | None:
    """Check and note one signed event of an LMS of this kind. Returns what it is about; None when
    it says nothing that rules could use. Raises LaunchError when it can't be trusted."""
    vendor = lms.of(kind)
    hinted = vendor.read_push(unverified_claims(token))
    if hinted is None:
        # Any key set of the kind will do: nothing follows from it but the answer.
        verified_event(token, key_set_url=vendor.push_key_set or "", key_sets=tool.key_sets)
        return None
    platforms = _platforms(tool, kind, hinted.guid)
    if not platforms:
        raise LaunchError("The event comes from an LMS we don't know.", code="unknown_platform")
    signed = [each for each in platforms if _is_signed(tool, vendor, each, token)]
    if not signed:
        raise LaunchError("The event's signature does not fit.", code="signature")
    _note(tool, vendor, [platform.id for platform in signed], hinted)
    return hinted


def _platforms(tool: ToolContext, kind: str, guid: str) -> list[Platform]:
    with tool.sessions() as session:
        found = session.scalars(
            select(Platform)
            .outerjoin(Deployment)
            .where(Platform.lms == kind, or_(Deployment.guid == guid, Platform.guid == guid))
            .distinct()
        )
        return list(found)


def _is_signed(tool: ToolContext, vendor: type[lms.LMS], platform: Platform, token: str) -> bool:
    own = tool.cipher.unseal(platform.connection).get("events_key_set")
    try:
        verified_event(token, key_set_url=own or vendor.push_key_set or "", key_sets=tool.key_sets)
    except LaunchError:
        return False
    return True


def _note(tool: ToolContext, vendor: type[lms.LMS], platforms: Sequence[str], push: Push) -> None:
    own = Course.custom[vendor.own_course_parameter].as_string()
    with tool.sessions.begin() as session:
        courses = list(
            session.scalars(
                select(Course)
                .join(Deployment)
                .where(Deployment.platform_id.in_(platforms), own == push.course)
                .order_by(Course.id)
                .with_for_update(of=Course)
            )
        )
        for course in courses:
            ask_for_reading(course, clock.now() + SOON)
            course.last_change_at = clock.now()
            course.settings = {**course.settings, PUSHED_AT: clock.iso(clock.now())}
        named = CourseMember.custom[vendor.own_user_parameter].as_string()
        members = list(
            session.scalars(
                select(CourseMember.id).where(
                    CourseMember.course_id.in_([course.id for course in courses]),
                    named == (push.person or ""),
                )
            )
        )
    for member_id in members:
        tool.enqueue("member", member_id)
