"""Events that an LMS pushes of its own accord, signed."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, jsonify, request

from lti_badges import lms
from lti_badges.core.errors import LaunchError, NotFound
from lti_badges.courses.push import take_push
from lti_badges.web.services import services

events = Blueprint("events", __name__, url_prefix="/events", template_folder="templates")
log = structlog.get_logger("lti_badges.events")
MAX_BYTES = 100_000


@events.post("/<kind>")
def push(kind: str) -> Response:
    """One event: a JWT, as the body or its only JSON string. Repeated ones do no harm."""
    vendor = lms.LMSES.get(kind)
    if vendor is None or vendor.push_key_set is None:
        raise NotFound("There are no events from that LMS.")
    body = request.get_data(cache=False)
    if len(body) > MAX_BYTES:
        raise LaunchError("This event is too long.", code="too_long", status=413)
    token = body.decode("utf-8", "replace").strip().strip('"')
    if token.startswith(("{", "[")) or not token:
        raise LaunchError(
            "Only signed events are taken: switch on “Sign payload” where the LMS sends them.",
            code="unsigned",
            status=401,
        )
    told = take_push(services().installation, kind, token)
    log.info("event", lms=kind, used=told is not None)
    return jsonify({})
