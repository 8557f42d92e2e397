"""What a Canvas token may ask, and how Canvas says that it may not.

Source: Canvas LMS, app/controllers/application_controller.rb, lib/authentication_methods.rb,
lib/token_scopes.rb. A key with “Enforce scopes” answers 401 “Insufficient scopes on access token.”
before it looks for the course; a token that is no longer good answers 401 with `WWW-Authenticate`;
401 without it is a right that the user lacks.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from lti_badges.core.errors import Gone, NoRight, PlatformError
from lti_badges.core.http import Reply, host_of
from lti_badges.lms.rest import Rest

COURSE = "/api/v1/courses/:course_id"
REQUIRED = (
    f"{COURSE}/assignments",
    f"{COURSE}/students/submissions",
    f"{COURSE}/enrollments",
    f"{COURSE}/bulk_user_progress",
    f"{COURSE}/users/:id",
    f"{COURSE}/users/:user_id/progress",
)
OPTIONAL = {
    "modules": (f"{COURSE}/modules",),
    "assignment groups": (f"{COURSE}/assignment_groups",),
    "sections": (f"{COURSE}/sections",),
    "groups": (f"{COURSE}/groups", "/api/v1/groups/:group_id/users"),
    "outcomes": (f"{COURSE}/outcome_group_links", f"{COURSE}/outcome_rollups"),
    "grading periods": (f"{COURSE}/grading_periods",),
}
SCOPE, ROLE = "scope", "role"
"""Codes of refusals that leave the token as good as it was."""


def scope(path: str) -> str:
    """The scope of a GET route, as the developer key's page lists it."""
    return f"url:GET|{path}"


def refusal(reply: Reply) -> PlatformError | None:
    """What a 401 of Canvas means; None where it is a token that must be renewed."""
    if reply.status != 401:
        return None
    host = host_of(reply.url)
    if b"nsufficient scopes" in reply.body:
        return NoRight(
            f"{host}: the developer key lacks the scope {scope(_route(reply.url))}; an admin can "
            "tick it there.",
            code=SCOPE,
        )
    if "www-authenticate" not in reply.headers and b"Invalid access token" not in reply.body:
        return NoRight(
            f"{host}: the account that we read as may not do this in this course "
            f"({_route(reply.url)}); its role needs to see all grades.",
            code=ROLE,
        )
    return None


def proved(rest: Rest, url: str) -> str:
    """Asks each route once, of a course that does not exist: scopes are checked before that.
    Returns a sentence that also names what the optional lists lack."""
    name = ""
    try:
        me = rest.json("/api/v1/users/self")
        name = f" as {me.get('name', '?')}" if isinstance(me, dict) else ""
    except NoRight as error:
        if error.code not in {SCOPE, ROLE}:
            raise
    lacking = [path for path in REQUIRED if not _allowed(rest, path)]
    if lacking:
        listed = ", ".join(scope(path) for path in lacking)
        raise NoRight(
            f"{url} takes the token, but its key lacks these scopes: {listed}.", code=SCOPE
        )
    less = [
        f"{label} ({', '.join(scope(path) for path in paths)})"
        for label, paths in OPTIONAL.items()
        if not all(_allowed(rest, path) for path in paths)
    ]
    missing = f" Not read, as the key lacks their scopes: {'; '.join(less)}." if less else ""
    return f"{url} let us in{name}.{missing}"


def _allowed(rest: Rest, path: str) -> bool:
    asked = "/".join("0" if part.startswith(":") else part for part in path.split("/"))
    try:
        rest.get(asked, {"student_ids[]": "all"})  # one route wants to be told whose
    except Gone:
        return True
    except NoRight as error:
        if error.code not in {SCOPE, ROLE}:
            raise
        return error.code == ROLE
    return True


def _route(url: str) -> str:
    """The route of an address, ids put back into words."""
    parts = urlsplit(url).path.split("/")
    for place, part in enumerate(parts[:-1]):
        following = parts[place + 1]
        if part == "courses":
            parts[place + 1] = ":course_id"
        elif part == "groups" and following != "users":
            parts[place + 1] = ":group_id"
        elif part == "users":
            parts[place + 1] = ":user_id" if "progress" in parts else ":id"
    return "/".join(parts)
