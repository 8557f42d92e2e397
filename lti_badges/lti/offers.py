"""What a platform lists of itself at registration, and what of ours it can take (LTI-DR §3.5.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RESOURCE_LINK = "LtiResourceLinkRequest"


def names(listed: Any) -> list[str]:
    """The texts of a list from outside."""
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def placements(listed: Any) -> dict[str, frozenset[str]]:
    """`messages_supported`, by message type."""
    messages = listed if isinstance(listed, list) else []
    return {
        each["type"]: frozenset(names(each.get("placements")))
        for each in messages
        if isinstance(each, dict) and isinstance(each.get("type"), str)
    }


def filled_in(parameters: Mapping[str, str], known: frozenset[str]) -> dict[str, str]:
    """Without the variables that the platform does not list: it would send them back as they are,
    or refuse the registration. Templates of its own (`@X@…@X@`) are no variables of LTI."""
    return {
        name: value
        for name, value in parameters.items()
        if not known or not value.startswith("$") or value.lstrip("$") in known
    }


def offered(
    messages: Sequence[Mapping[str, Any]], known: Mapping[str, frozenset[str]]
) -> list[dict[str, Any]]:
    """The messages that the platform knows, in the places that it has; the ordinary launch is
    always among them."""
    found = []
    for message in messages:
        kind = message["type"]
        if known and kind not in {RESOURCE_LINK, *known}:
            continue
        places = known.get(kind) or frozenset()
        wanted = message.get("placements", ())
        if places and wanted:
            kept = [each for each in wanted if each in places]
            if not kept and kind != RESOURCE_LINK:
                continue
            found.append({**message, "placements": kept})
        else:
            found.append(dict(message))
    return found
