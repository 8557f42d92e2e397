"""Asking Brightspace's own API (Valence): its versions, its tokens, its refusals.

Source: D2L developer platform (scopes table, versions, OAuth 2.0), knowledge base 1196, 33526.
Quirks: a refresh token works once; a service user proves itself by an assertion signed with the
tool's own key, for one fixed audience; a call outside the scopes is 403 “Insufficient scope”.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from lti_badges.core import clock
from lti_badges.core.errors import Gone, NoRight, PlatformError
from lti_badges.core.http import Http, Reply, host_of
from lti_badges.core.text import as_list
from lti_badges.lms.oauth import token_request
from lti_badges.lms.rest import Grant, Rest, rows

TOKEN_URL = "https://auth.brightspace.com/core/connect/token"  # noqa: S105 - an address
AUDIENCE = "https://api.brightspace.com/auth/token"
SERVICE_USER, PERSON = "service-user", "refresh-token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
WANTED = {"le": "1.51", "lp": "1.31"}
"""The versions that this adapter was written for; a site that dropped one offers later ones."""
SCOPE = "scope"
REQUIRED = {
    "grades:gradeobjects:read": "/d2l/api/le/{le}/0/grades/",
    "grades:gradevalues:read": "/d2l/api/le/{le}/0/grades/0/values/",
    "grades:gradesettings:read": "/d2l/api/le/{le}/0/grades/setup/",
    "users:own_profile:read": "/d2l/api/lp/{lp}/users/whoami",
}
"""Scopes without which nothing is read, and a route of each."""
OPTIONAL = {
    "grades:coursecompletion:read": "/d2l/api/le/{le}/0/grades/courseCompletion/",
    "content:toc:read": "/d2l/api/le/{le}/0/content/toc",
    "content:completions:read": "/d2l/api/le/{le}/0/content/topics/0/completions/",
    "sections:section:read": "/d2l/api/lp/{lp}/0/sections/",
    "groups:group:read": "/d2l/api/lp/{lp}/0/groupcategories/",
}
SCOPES = " ".join((*REQUIRED, *OPTIONAL))
_NAMED = re.compile(r"[a-z_]+:[a-z_]+:[a-z_]+")
_VERSIONS: dict[tuple[str, date], dict[str, str]] = {}
"""By site and day, of this process."""


def granted(assertion: Callable[[str, str], str]) -> Grant:
    """How a token is had with a connection's values. `assertion` signs for a client id and an
    audience with the tool's own key."""

    def grant(http: Http, values: Mapping[str, str]) -> Mapping[str, Any]:
        url, client = values.get("token_url") or TOKEN_URL, values.get("client_id", "")
        if values.get("read_as") == SERVICE_USER:
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion(client, AUDIENCE),
                "scope": values.get("scopes") or SCOPES,
            }
            return token_request(http, url, form)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": values.get("refresh_token", ""),
        }
        return token_request(http, url, form, basic=(client, values.get("client_secret", "")))

    return grant


def refusal(reply: Reply) -> PlatformError | None:
    """A 403 that is about the application's scopes names them."""
    if reply.status != 403 or b"nsufficient scope" not in reply.body:
        return None
    named = " ".join(dict.fromkeys(_NAMED.findall(reply.text))) or urlsplit(reply.url).path
    return NoRight(
        f"{host_of(reply.url)}: the OAuth 2.0 application lacks the scope {named}; an admin can "
        "add it in Manage Extensibility, and must then authorise the application again.",
        code=SCOPE,
    )


def versions(rest: Rest, site: str) -> dict[str, str]:
    """The version to speak of each product: the one we know, or the nearest later one."""
    key = (site, clock.now().date())
    if key not in _VERSIONS:
        try:
            found = rows(rest.json("/d2l/api/versions/"))
        except Gone:
            found = []
        _VERSIONS.clear() if len(_VERSIONS) > 1000 else None
        _VERSIONS[key] = {
            product: _nearest(wanted, found, product) for product, wanted in WANTED.items()
        }
    return _VERSIONS[key]


def proved(rest: Rest, site: str) -> str:
    """Asks a route of each scope, of an org unit that does not exist. Returns a sentence that
    also names the optional scopes that are missing; raises NoRight naming the required ones."""
    spoken = versions(rest, site)
    lacking = [name for name, path in REQUIRED.items() if not _allowed(rest, path, spoken)]
    if lacking:
        raise NoRight(
            f"{site} takes the credentials, but the application lacks these scopes: "
            f"{' '.join(lacking)}.",
            code=SCOPE,
        )
    me = rest.json(REQUIRED["users:own_profile:read"].format(**spoken))
    name = me.get("UniqueName", "?") if isinstance(me, dict) else "?"
    less = [name for name, path in OPTIONAL.items() if not _allowed(rest, path, spoken)]
    missing = f" Not read, as these scopes are missing: {' '.join(less)}." if less else ""
    return f"{site} let us in as {name}.{missing}"


def _allowed(rest: Rest, path: str, spoken: Mapping[str, str]) -> bool:
    try:
        rest.get(path.format(**spoken))
    except Gone:
        return True
    except NoRight as error:
        if error.code == "token_refused":
            raise
        return error.code != SCOPE
    return True


def _nearest(wanted: str, found: list[dict[str, Any]], product: str) -> str:
    told = next((row for row in found if row.get("ProductCode") == product), None)
    listed = told.get("SupportedVersions") if told else None
    supported = sorted((str(each) for each in as_list(listed)), key=_order)
    later = [each for each in supported if _order(each) >= _order(wanted)]
    return later[0] if later else (supported[-1] if supported else wanted)


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
