"""Whether the tool's own address leads here, and what stands between it and the world changes."""

from __future__ import annotations

from lti_badges.context import ToolContext
from lti_badges.core.errors import HttpError, LtiBadgesError
from lti_badges.core.http import Reply
from lti_badges.core.text import read_json

KEY_SET, FRAMED = "/lti/jwks.json", "/lti/login"
"""A document that only this installation gives; and an address whose answers an LMS frames."""
FROM_OUTSIDE = "look at it from outside"


def own_address(tool: ToolContext) -> str:
    """Calls `LTI_BADGES_BASE_URL` as an LMS does. Where it can't be reached from this machine (some
    networks lead nobody back inside) that is all it says. Raises LtiBadgesError for what is wrong
    with the answers: another server, headers that a proxy drops or adds."""
    settings = tool.settings
    try:
        keys = tool.http.get(settings.url(KEY_SET))
        framed = tool.http.get(settings.url(FRAMED))
    except HttpError as error:
        return f"not reached from this machine ({error.message.rstrip('.')}); {FROM_OUTSIDE}"
    _is_this_tool(tool, keys)
    _keeps_headers(framed, is_https=settings.is_https)
    return "leads here, and the headers arrive as they were sent"


def _is_this_tool(tool: ToolContext, keys: Reply) -> None:
    try:
        published = read_json(keys.body) if keys.ok else None
    except ValueError:
        published = None
    if published != tool.keys.jwks():
        raise LtiBadgesError(
            f"{tool.settings.base_url} answers with other keys than this installation has (answer "
            f"{keys.status}): it leads to another server, or to one with another database."
        )


def _keeps_headers(reply: Reply, *, is_https: bool) -> None:
    policy = reply.headers.get_list("content-security-policy")
    if len(policy) != 1 or "frame-ancestors" not in policy[0]:
        raise LtiBadgesError(
            "A proxy drops or repeats the header Content-Security-Policy: pass it on as it is."
        )
    if "x-frame-options" in reply.headers:
        raise LtiBadgesError(
            "A proxy adds the header X-Frame-Options: LMSes can't show the tool then. Remove it "
            "there; the tool says itself who may frame it (frame-ancestors)."
        )
    if is_https and "strict-transport-security" not in reply.headers:
        raise LtiBadgesError("A proxy drops the header Strict-Transport-Security: pass it on.")
