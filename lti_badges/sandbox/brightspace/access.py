"""Who may ask Brightspace's own API (Valence) what, how much, and a page at a time.

Source: D2L developer platform (scopes table), knowledge base 1191, 1195, 1196, 33526. A call
outside the scopes is 403 “Insufficient scope to call”; a version that is not supported is 404; a
refresh token works once; what a call costs is taken from the credits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import jwt
from flask import Blueprint, Response, g, jsonify, request

from lti_badges.core.http import Http
from lti_badges.core.jwk import read_key_set
from lti_badges.sandbox.brightspace.state import BrightspaceState
from lti_badges.sandbox.model import Course
from lti_badges.sandbox.state import world

api = Blueprint("brightspace_api", __name__)
AUDIENCE = "https://api.brightspace.com/auth/token"
DEFAULT_PAGE, MOST_A_PAGE, COST = 20, 200, 10
View = Callable[..., Any]


def scoped(product: str, path: str, scope: str) -> Callable[[View], View]:
    """A GET route of `le` or `lp`, and the scope that the scopes table names for it."""

    def register(view: View) -> View:
        @api.get(f"/d2l/api/{product}/<version>{path}", endpoint=view.__name__)
        @wraps(view)
        def guarded(version: str, **ids: str) -> Any:
            return _refused(scope, product, version) or view(**ids)

        return guarded

    return register


@api.get("/d2l/api/versions/")
def versions() -> Response:
    """What this site speaks; asked without a token."""
    return jsonify(
        [
            {"ProductCode": product, "LatestVersion": found[-1], "SupportedVersions": list(found)}
            for product, found in state().versions.items()
        ]
    )


@api.post("/core/connect/token")
def token() -> Any:
    """Each refresh token works once; a service user proves itself by a signed assertion."""
    form, held = request.form, state()
    grant = form.get("grant_type")
    if grant == "client_credentials":
        if not held.service_user or not _is_signed(form.get("client_assertion", "")):
            return jsonify({"error": "invalid_client"}), 400
        return jsonify(_token(held))
    given = request.authorization
    if given is None or (given.username, given.password) != (held.client_id, held.client_secret):
        return jsonify({"error": "invalid_client"}), 400
    with world().lock:
        if grant == "authorization_code" and form.get("code") in held.codes:
            held.codes.discard(form["code"])
        elif grant != "refresh_token" or form.get("refresh_token") != held.refresh_token:
            return jsonify({"error": "invalid_grant"}), 400
        held.refresh_token = f"{held.refresh_token[:32]}{held.grants}"
        return jsonify({**_token(held), "refresh_token": held.refresh_token})


@api.after_request
def _costed(response: Response) -> Response:
    if "left" in g:
        response.headers["X-Request-Cost"] = str(COST)
        response.headers["X-Rate-Limit-Remaining"] = str(g.left)
        response.headers["X-Rate-Limit-Reset"] = "30"
    return response


def state() -> BrightspaceState:
    """What the running sandbox's Brightspace keeps."""
    return cast("BrightspaceState", world().vendor.state)


def in_course(unit: str, found: Callable[[Course], Any]) -> Any:
    """What `found` answers of the course, or that there is none."""
    course = world().courses.get(unit)
    return not_found() if course is None else found(course)


def paged(rows: list[Any]) -> Response:
    """A page of the list, with the next one's address."""
    size = min(int(request.args.get("pageSize", DEFAULT_PAGE)), MOST_A_PAGE)
    size = min(size, world().page_size or size)
    at = int(request.args.get("at", 0))
    following = None
    if at + size < len(rows):
        following = f"{request.base_url}?pageSize={size}&at={at + size}"
    return jsonify({"Objects": rows[at : at + size], "Next": following})


def not_found() -> Any:
    """What Valence says of whatever does not exist, or is not shown."""
    return jsonify({"Errors": [{"Message": "Not Found"}]}), 404


def _refused(scope: str, product: str, version: str) -> Any:
    held = state()
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if given not in held.tokens:
        kind = "http://docs.valence.desire2learn.com/res/apiprop.html#invalid-token"
        return jsonify({"type": kind, "title": "Invalid token", "status": 401}), 401
    with world().lock:
        if held.credits < COST:
            return Response("", 429, headers={"Retry-After": "30"})
        held.credits -= COST
        g.left = held.credits
    if scope not in held.scopes:
        said = f"Insufficient scope to call. Required Scopes: {scope}"
        return jsonify({"Errors": [{"Message": said}]}), 403
    return None if version in held.versions[product] else not_found()


def _token(held: BrightspaceState) -> dict[str, Any]:
    return {
        "access_token": held.new_token(),
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": " ".join(sorted(held.scopes)),
    }


def _is_signed(assertion: str) -> bool:
    """By a key of the tool's key set, for the one audience, once (RFC 7523)."""
    held, tool = state(), next(iter(world().tools.values()))
    try:
        kid = jwt.get_unverified_header(assertion).get("kid", "")
        with Http(allow_loopback=True) as http:
            key = (read_key_set(http, tool.jwks_url) or {})[kid]
        claims = jwt.decode(
            assertion,
            key,
            algorithms=["RS256"],
            audience=AUDIENCE,
            issuer=held.client_id,
            options={"require": ["exp", "iat", "jti", "sub"]},
        )
    except (jwt.PyJWTError, KeyError):
        return False
    fresh = claims["jti"] not in held.assertions and claims["sub"] == held.client_id
    held.assertions.add(claims["jti"])
    return fresh
