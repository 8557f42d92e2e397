"""Names and Role Provisioning Services 2.0: the members of a course."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

from lti_badges.core import text
from lti_badges.core.errors import PlatformDown
from lti_badges.core.links import with_query
from lti_badges.lti.service import Service, limited
from lti_badges.values.course import Member

SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
CONTAINER_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
CUSTOM = "https://purl.imsglobal.org/spec/lti/claim/custom"


def members(
    service: Service, url: str, *, rlid: str | None = None, limit: int | None = None
) -> Iterator[Member]:
    """All members, streamed over all pages, each once: Moodle repeats some across pages.
    One without a usable id has an empty `sub`.

    Asked without `role` (Moodle's paging drops that filter). `rlid` restricts to those who may
    see that resource link. NRPS 2.0 §2.4.
    """
    asked = with_query(url, rlid=rlid) if rlid and "rlid=" not in url else url
    asked = limited(asked, limit)
    seen: set[str] = set()
    for page in service.pages(asked, accept=CONTAINER_TYPE, scope=SCOPE):
        listed = page.get("members") if isinstance(page, dict) else None
        if not isinstance(listed, list):
            raise PlatformDown("The list of members can't be read.", code="unreadable")
        for entry in listed:
            member = _member(entry)
            if member is not None and (not member.sub or member.sub not in seen):
                seen.add(member.sub)
                yield member


def _member(entry: Any) -> Member | None:
    """An entry whose id can't be used gets an empty one: the reader of the list names it."""
    if not isinstance(entry, dict):
        return None
    roles = entry.get("roles")
    return Member(
        sub=text.as_text(entry.get("user_id")),
        roles=frozenset(role for role in roles if isinstance(role, str))
        if isinstance(roles, list)
        else frozenset(),
        name=_text(entry.get("name")),
        email=_text(entry.get("email")),
        status=_text(entry.get("status")) or "Active",
        given_name=_text(entry.get("given_name")),
        family_name=_text(entry.get("family_name")),
        sourcedid=_text(entry.get("lis_person_sourcedid")),
        custom=_custom(entry.get("message")),
    )


def _custom(messages: Any) -> dict[str, str]:
    """The custom parameters that a platform resolves per member when asked with `rlid`."""
    for message in messages if isinstance(messages, list) else ():
        custom = message.get(CUSTOM) if isinstance(message, dict) else None
        if isinstance(custom, dict):
            return text.custom_parameters(custom)
    return {}


def _text(value: object) -> str | None:
    """Moodle escapes names for HTML here (“Tables &amp; Sons”), not in launches."""
    return unescape(value).strip() or None if isinstance(value, str) else None
