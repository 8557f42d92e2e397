"""Does a registration work? Key set, access token, launches; each failure names its cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lti_badges.catalogue.connections import check_connection, platform_endpoint
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import LtiBadgesError
from lti_badges.lti import ags
from lti_badges.store import Platform

Check = tuple[str, Callable[[], str]]
"""What is checked, and a call that answers with a sentence or raises LtiBadgesError."""


def platform_checks(
    tool: ToolContext, platform: Platform, deployment_id: str | None
) -> Iterator[Check]:
    """The live checks of one platform."""
    yield "key set", _key_set(tool, platform)
    yield "access token", _token(tool, platform, deployment_id)
    yield "launches", _launched(platform)
    if platform.connection:
        yield "own interface", lambda: check_connection(tool, platform.id)


def _key_set(tool: ToolContext, platform: Platform) -> Callable[[], str]:
    def check() -> str:
        count = tool.key_sets.check(platform.key_set_url)
        if not count:
            raise LtiBadgesError(f"{platform.key_set_url} holds no usable key.")
        return f"{count} keys"

    return check


def _token(tool: ToolContext, platform: Platform, deployment_id: str | None) -> Callable[[], str]:
    def check() -> str:
        endpoint = platform_endpoint(platform, deployment_id)
        tool.tokens.get(endpoint, frozenset({ags.RESULT_READONLY}))
        return "granted"

    return check


def _launched(platform: Platform) -> Callable[[], str]:
    def check() -> str:
        if platform.last_launch_at is None:
            return "none yet; open the tool once from a course to prove the connection"
        return f"last seen {clock.iso(platform.last_launch_at)}"

    return check
