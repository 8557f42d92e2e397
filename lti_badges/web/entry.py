"""Who asks: the holder of the request's page token, checked against what stands now."""

from __future__ import annotations

import structlog
from flask import Response, after_this_request, g, request

from lti_badges.core.errors import LaunchError
from lti_badges.store import CourseMember, Platform
from lti_badges.web.access import Access
from lti_badges.web.services import act_as, enter_institution, services

RENEWED = "X-Access-Token"
"""The header that hands an open page its next token."""


def entered() -> Access:
    """The token's holder; the request works for their institution, with what they may do, from here
    on. Raises LaunchError when the token is no good, or no longer: its platform was removed, or its
    holder lost a role since."""
    access, renewed = services().access.read(request)
    tool = enter_institution(access.institution_id)
    with tool.sessions() as session:
        platform = session.get(Platform, access.platform_id)
        member = session.get(CourseMember, access.member_id) if access.member_id else None
    if platform is None or platform.archived_at is not None:
        raise LaunchError(
            "Your LMS is no longer connected with this tool.", code="platform_removed", status=401
        )
    if access.member_id and (member is None or _is_void(access, member)):
        raise LaunchError(
            "Your role in this course has changed. Open the tool from your course again.",
            code="role_changed",
            status=401,
        )
    act_as(access)
    if renewed is not None:
        after_this_request(lambda response: _handed_over(response, renewed))
    g.access = access
    structlog.contextvars.bind_contextvars(course=access.course_id or None)
    return access


def _is_void(access: Access, member: CourseMember) -> bool:
    return member.tokens_from is not None and access.launched_at < member.tokens_from.timestamp()


def _handed_over(response: Response, token: str) -> Response:
    response.headers[RENEWED] = token
    return response
