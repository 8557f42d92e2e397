"""Platform notices as Canvas has them: one handler a notice type, signed like launches.

Source: Canvas LMS, app/controllers/lti/ims/notice_handlers_controller.rb, doc/api/pns.md.
Quirks: the handler's host must be the tool's; only types that it knows; an empty handler removes.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import jwt
from flask import Blueprint, jsonify, request

from lti_badges.core import clock
from lti_badges.core.http import Http
from lti_badges.sandbox.model import Course, Tool
from lti_badges.sandbox.state import world
from lti_badges.sandbox.world import World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
NOTICE_SCOPE = "https://purl.imsglobal.org/spec/lti/scope/noticehandlers"
TYPES = ("LtiHelloWorldNotice", "LtiContextCopyNotice", "LtiAssetProcessorSubmissionNotice")
HANDLERS, TOOL_ID = "/api/lti/notice-handlers", "106"
notices = Blueprint("canvas_notices", __name__)


def notices_claim(world: World, tool: Tool) -> dict[str, Any]:
    """In each launch of a tool that has the scope."""
    if NOTICE_SCOPE not in tool.scopes:
        return {}
    return {
        f"{CLAIM}platformnotificationservice": {
            "service_versions": ["1.0"],
            "platform_notification_service_url": f"{world.base_url}{HANDLERS}/{TOOL_ID}",
            "scope": [NOTICE_SCOPE],
            "notice_types_supported": list(TYPES),
        }
    }


@notices.route(f"{HANDLERS}/<tool_id>", methods=["GET", "PUT"])
def handlers(tool_id: str) -> Any:
    """The tool's handlers; PUT sets one."""
    here = world()
    if tool_id != TOOL_ID:
        return jsonify(here.vendor.refusal(404, "not found")), 404
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    client, granted, until = here.tokens.get(token, ("", frozenset(), clock.now()))
    if not client or until <= clock.now() or NOTICE_SCOPE not in granted:
        return jsonify(here.vendor.refusal(401, "Insufficient permissions")), 401
    kept = here.vendor.state.notice_handlers
    if request.method == "PUT":
        given = request.get_json()
        kind, handler = given.get("notice_type"), given.get("handler")
        own = urlsplit(here.tools[client].target_link_uri).netloc
        if kind not in TYPES or (handler and urlsplit(handler).netloc != own):
            return jsonify(here.vendor.refusal(400, "handler must be a valid URL")), 400
        kept[kind] = {"handler": handler, "max_batch_size": given.get("max_batch_size")}
    found = [
        {"notice_type": kind, "handler": kept.get(kind, {}).get("handler", "")} for kind in TYPES
    ]
    deployment = here.tools[client].deployment_ids[0]
    return jsonify({"client_id": client, "deployment_id": deployment, "notice_handlers": found})


def notice(world: World, kind: str, course: Course, **more: Any) -> str:
    """A signed notice."""
    tool = next(iter(world.tools.values()))
    now = int(time.time())
    kid, key = world.keys[-1]
    claims = {
        "iss": world.issuer,
        "aud": tool.client_id,
        "azp": tool.client_id,
        "iat": now,
        "exp": now + 3600,
        "nonce": str(uuid4()),
        f"{CLAIM}version": "1.3.0",
        f"{CLAIM}deployment_id": tool.deployment_ids[0],
        f"{CLAIM}notice": {"id": str(uuid4()), "timestamp": clock.iso(clock.now()), "type": kind},
        f"{CLAIM}context": {"id": course.id, "label": course.label, "title": course.title},
        **{f"{CLAIM}{name}": value for name, value in more.items()},
    }
    return jwt.encode(claims, key, "RS256", headers={"kid": kid})


def send_copy_notice(world: World, course: Course, origin: str) -> int:
    """Tell the handler, if there is one, that a course was copied. Returns its answer's status."""
    handler = world.vendor.state.notice_handlers["LtiContextCopyNotice"]["handler"]
    told = {"jwt": notice(world, "LtiContextCopyNotice", course, origin_contexts=[origin])}
    with Http(allow_loopback=True) as http:
        return http.post(handler, json_body={"notices": [told]}).status
