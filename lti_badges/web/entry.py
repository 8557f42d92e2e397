"""Who asks: the holder of the request's page token, checked against what stands now."""

from __future__ import annotations

from flask import g, request

from lti_badges.core.errors import LaunchError
from lti_badges.store import Platform
from lti_badges.web.access import Access
from lti_badges.web.services import enter_institution, services


def entered() -> Access:
    """The token's holder; the request works for their institution from here on. Raises LaunchError
    when the token is no good, or no longer: its platform was removed since."""
    access = services().access.read(request)
    tool = enter_institution(access.institution_id)
    with tool.sessions() as session:
        platform = session.get(Platform, access.platform_id)
    if platform is None or platform.archived_at is not None:
        raise LaunchError(
            "Your LMS is no longer connected with this tool.", code="platform_removed", status=401
        )
    g.access = access
    return access
