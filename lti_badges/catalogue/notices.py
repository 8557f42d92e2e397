"""Asking platforms to tell us of copied courses: once a deployment has shown where, and monthly."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from lti_badges.catalogue.connections import platform_endpoint
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import PlatformDown, PlatformError
from lti_badges.lti.notices import order_notices
from lti_badges.lti.service import Service
from lti_badges.store import Deployment, Platform

AGAIN, AFTER_FAILURE, AFTER_REFUSAL = timedelta(days=30), timedelta(hours=1), timedelta(days=1)
HANDLER = "/lti/notices"


def order_for(tool: ToolContext, deployment_id: str) -> None:
    """Order notices for one deployment, by our id of it. What goes wrong is noted with it, and
    tried again: in an hour where the platform is down, in a day where it refuses."""
    with tool.sessions() as session:
        row = session.get(Deployment, deployment_id)
        if row is None or not row.notices_url:
            return
        platform = session.get_one(Platform, row.platform_id)
    endpoint = platform_endpoint(platform, row.deployment_id)
    error: PlatformError | None = None
    try:
        service = Service(tool.http, tool.tokens, endpoint)
        order_notices(service, row.notices_url, f"{tool.settings.base_url}{HANDLER}")
    except PlatformError as problem:
        error = problem
    wait = AGAIN if error is None else AFTER_REFUSAL
    if isinstance(error, PlatformDown):
        wait = max(AFTER_FAILURE, timedelta(seconds=error.retry_after or 0))
    with tool.sessions.begin() as session:
        kept = session.get_one(Deployment, deployment_id)
        kept.notices_error = error.message if error else None
        kept.notices_due_at = clock.now() + wait


def due_notice_orders(tool: ToolContext, limit: int = 20) -> list[str]:
    """Deployments whose notices are to be ordered, or ordered anew."""
    with tool.sessions() as session:
        query = (
            select(Deployment.id)
            .where(Deployment.notices_due_at <= clock.now())
            .order_by(Deployment.notices_due_at)
            .limit(limit)
        )
        return list(session.scalars(query))
