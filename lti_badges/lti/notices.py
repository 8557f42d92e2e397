"""Platform Notification Service 1.0: asking to be told, and reading what we are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lti_badges.core.errors import LaunchError
from lti_badges.core.text import line, optional_identifier
from lti_badges.lti.claims import CLAIM
from lti_badges.lti.registration import NOTICE_SCOPE
from lti_badges.lti.service import Service

COPY, HELLO = "LtiContextCopyNotice", "LtiHelloWorldNotice"
TAKEN = (HELLO, COPY)
"""What we ask to be told: that it works, and that a course was copied."""
MOST_A_BATCH = 50
MAX_ORIGINS = 20


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that was signed by its platform. `context_id` is the course that it is about,
    `origins` those that it was copied from, where it says so."""

    kind: str
    deployment_id: str
    context_id: str | None = None
    origins: tuple[str, ...] = ()


def order_notices(service: Service, url: str, handler: str) -> None:
    """Have notices sent to `handler`, type by type. Raises NoRight, Gone or PlatformDown. A type
    that the platform does not know (400, 422) is left out."""
    for kind in TAKEN:
        service.send(
            "PUT",
            url,
            scope=NOTICE_SCOPE,
            accept="application/json",
            body={"notice_type": kind, "handler": handler, "max_batch_size": MOST_A_BATCH},
            allow=frozenset({400, 422}),
        )


def parse_notice(claims: Mapping[str, Any]) -> Notice:
    """The claims of a verified notice. Raises LaunchError for what is none: a launch's token must
    never pass for a notice."""
    notice = claims.get(f"{CLAIM}notice")
    kind = line(notice.get("type"), 60) if isinstance(notice, dict) else None
    if kind is None:
        raise LaunchError("This token is no notice: it names no type.", code="no_notice")
    if claims.get(f"{CLAIM}version") != "1.3.0":
        raise LaunchError("A notice must say that it is LTI 1.3.0.", code="version")
    deployment = optional_identifier(claims.get(f"{CLAIM}deployment_id"))
    if deployment is None:
        raise LaunchError("A notice must name its deployment.", code="deployment_id")
    context, origins = claims.get(f"{CLAIM}context"), claims.get(f"{CLAIM}origin_contexts")
    listed = origins[:MAX_ORIGINS] if isinstance(origins, list) else []
    return Notice(
        kind,
        deployment,
        optional_identifier(context.get("id")) if isinstance(context, dict) else None,
        tuple(known for each in listed if (known := optional_identifier(each))),
    )
