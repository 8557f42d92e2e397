"""Deep linking 2.0: the answer that places the chosen badges in the platform (§4.5)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt

from lti_badges.lti import pylti
from lti_badges.lti.claims import CLAIM, DL, DeepLinkingSettings
from lti_badges.store.signing_keys import SigningKeys

LIFE_S = 300
BACKDATED_S = 5
SIZE = {"width": 800, "height": 900}
"""Of the page that a link opens, in pixels."""
THUMBNAIL = 128


@dataclass(frozen=True, slots=True)
class Chosen:
    """One badge to place. `custom` values come back with each launch of the placed link, also in a
    copy of the course. `score_maximum` asks for a gradebook column."""

    title: str
    text: str
    custom: Mapping[str, str]
    icon_url: str | None = None
    score_maximum: float | None = None
    resource_id: str | None = None
    tag: str | None = None
    available: Mapping[str, str] = field(default_factory=dict)
    """When the link is open: `startDateTime`, `endDateTime`, ISO 8601 with zone (§4.3.1)."""
    submission: Mapping[str, str] = field(default_factory=dict)
    """When work for it is taken, in the same form."""
    own_window: bool = False
    """Whether it opens outside the course's page, where the platform can do both."""


def answer(
    keys: SigningKeys,
    settings: DeepLinkingSettings,
    chosen: Sequence[Chosen],
    *,
    issuer: str,
    client_id: str,
    deployment_id: str,
    target_link_uri: str,
    message: str | None = None,
    log: str | None = None,
    error_message: str | None = None,
    error_log: str | None = None,
) -> str:
    """The signed LtiDeepLinkingResponse for a form POST to `settings.return_url`; an empty choice
    is a cancel. The messages are for the person (`msg`, `errormsg`) and for the platform's log
    (`log`, `errorlog`). `data` goes back exactly as it came, and not at all if none did."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": client_id,
        "sub": client_id,  # Blackboard asks for it
        "aud": issuer,
        "iat": now - BACKDATED_S,
        "exp": now + LIFE_S,
        "nonce": secrets.token_urlsafe(24),
        f"{CLAIM}deployment_id": deployment_id,
        f"{CLAIM}message_type": "LtiDeepLinkingResponse",
        f"{CLAIM}version": "1.3.0",
        f"{DL}content_items": [_item(each, settings, target_link_uri) for each in chosen],
    }
    if settings.data is not None:
        claims[f"{DL}data"] = settings.data
    told = {"msg": message, "log": log, "errormsg": error_message, "errorlog": error_log}
    claims |= {f"{DL}{name}": text for name, text in told.items() if text}
    key = keys.signing_key()
    return jwt.encode(claims, key.private, "RS256", headers={"kid": key.kid})


def _item(chosen: Chosen, settings: DeepLinkingSettings, target_link_uri: str) -> dict[str, Any]:
    item = pylti.resource_link_item(
        title=chosen.title,
        url=target_link_uri,
        custom=chosen.custom,
        icon_url=chosen.icon_url,
        score_maximum=chosen.score_maximum if settings.accept_lineitem else None,
        resource_id=chosen.resource_id,
        tag=chosen.tag,
    )
    item["text"] = chosen.text
    if chosen.icon_url:
        item["thumbnail"] = {"url": chosen.icon_url, "width": THUMBNAIL, "height": THUMBNAIL}
    if chosen.available:
        item["available"] = dict(chosen.available)
    if chosen.submission:
        item["submission"] = dict(chosen.submission)
    targets = settings.document_targets
    # One of the two: told of a window, some platforms never use the frame.
    if "window" in targets and (chosen.own_window or "iframe" not in targets):
        item["window"] = {"targetName": "_blank", **SIZE}
    elif "iframe" in targets:
        item["iframe"] = SIZE
    return item
