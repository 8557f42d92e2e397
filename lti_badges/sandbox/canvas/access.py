"""Who may ask Canvas's API what, how much, and a page at a time.

Source: Canvas LMS, lib/authentication_methods.rb, lib/token_scopes.rb, lib/api.rb (paging),
app/middleware/request_throttle.rb (quota), lib/canvas/oauth/grant_types. A missing scope is 401
without `WWW-Authenticate`, a dead token 401 with it; a throttled call is 403; no User-Agent is 403.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, cast

from flask import Blueprint, Response, g, jsonify, request

from lti_badges.sandbox.canvas.state import CanvasState
from lti_badges.sandbox.model import Course
from lti_badges.sandbox.state import world

api = Blueprint("canvas_api", __name__)
DEFAULT_PAGE, MOST_A_PAGE = 10, 100
STRING_IDS = "application/json+canvas-string-ids"
View = Callable[..., Any]


def scoped(path: str) -> Callable[[View], View]:
    """A GET route. `path` is Canvas's own spelling, which is also the scope's."""
    scope = f"url:GET|{path}"
    rule = "/".join(f"<{part[1:]}>" if part.startswith(":") else part for part in path.split("/"))

    def register(view: View) -> View:
        @api.get(rule, endpoint=view.__name__)
        @wraps(view)
        def guarded(**ids: str) -> Any:
            return _refused(scope) or view(**ids)

        return guarded

    return register


@api.post("/login/oauth2/token")
def token() -> Any:
    """A refresh token stays the same; a code works once (lib/canvas/oauth/grant_types)."""
    form, held = request.form, state()
    if (form.get("client_id"), form.get("client_secret")) != (held.client_id, held.client_secret):
        return jsonify({"error": "invalid_client"}), 401
    if form.get("grant_type") == "authorization_code":
        if form.get("code") not in held.codes:
            return jsonify({"error": "invalid_grant"}), 400
        held.codes.discard(form["code"])
    elif form.get("refresh_token") != held.refresh_token:
        return jsonify(
            {"error": "invalid_request", "error_description": "refresh_token not found"}
        ), 400
    answer = {"access_token": held.new_token(), "token_type": "Bearer", "expires_in": 3600}
    if form.get("grant_type") == "authorization_code":
        answer["refresh_token"] = held.refresh_token
    return jsonify(answer)


@api.after_request
def _costed(response: Response) -> Response:
    if remaining := g.get("remaining"):
        response.headers["X-Request-Cost"] = str(state().cost)
        response.headers["X-Rate-Limit-Remaining"] = f"{remaining:.4f}"
    return response


def _refused(scope: str) -> Any:
    held = state()
    if not request.headers.get("User-Agent"):
        return Response("403 Forbidden", 403)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if given not in {world().api_token, *held.tokens}:
        answer = jsonify({"errors": [{"message": "Invalid access token."}]})
        answer.headers["WWW-Authenticate"] = 'Bearer realm="canvas-lms"'
        return answer, 401
    with world().lock:
        if held.quota <= 0:
            return Response("403 Forbidden (Rate Limit Exceeded)\n", 403, mimetype="text/plain")
        held.quota = min(held.quota - held.cost + held.refill, held.most)
        g.remaining = held.quota
    if held.scopes is not None and scope not in held.scopes:
        return error(401, "Insufficient scopes on access token.")
    return None


def listed(
    course_id: str,
    found: Callable[[Course], Iterable[Any]],
    told: Callable[[Any], Any] = lambda row: row,
    *,
    bookmarks: bool = False,
) -> Any:
    """A page of what is found in a course; `told` writes only what stands on it."""
    course = course_of(course_id)
    if course is None:
        return gone()
    return page_of(list(found(course)), told, bookmarks=bookmarks)


def page_of(
    rows: list[Any],
    told: Callable[[Any], Any] = lambda row: row,
    *,
    bookmarks: bool = False,
    wrap: str | None = None,
) -> Any:
    """`per_page` above the maximum is cut to it, as Canvas does without a word."""
    size = min(max(int(request.args.get("per_page", DEFAULT_PAGE)), 1), MOST_A_PAGE)
    size = min(size, world().page_size or size)
    at = _place(request.args.get("page", ""))
    shown = [told(row) for row in rows[at * size : (at + 1) * size]]
    answer = jsonify({wrap: shown} if wrap else shown)
    if (at + 1) * size < len(rows):
        query = [(k, v) for k, v in request.args.items(multi=True) if k != "page"]
        following = _bookmark(at + 1) if bookmarks else str(at + 2)
        joined = "&".join(f"{k}={v}" for k, v in [*query, ("page", following)])
        answer.headers["Link"] = f'<{request.base_url}?{joined}>; rel="next"'
    return answer


def _bookmark(page: int) -> str:
    packed = base64.urlsafe_b64encode(json.dumps(["Aa", page]).encode()).decode()
    return f"bookmark:{packed.rstrip('=')}"


def _place(text: str) -> int:
    if text.startswith("bookmark:"):
        packed = text.removeprefix("bookmark:")
        return int(json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))[1])
    return max(int(text) - 1, 0) if text.isdecimal() else 0


def course_of(named: str) -> Course | None:
    return world().courses.get(named.removeprefix("lti_context_id:"))


def gone() -> Any:
    return error(404, "The specified resource does not exist.")


def error(status: int, message: str) -> Any:
    return jsonify({"errors": [{"message": message}]}), status


def api_id(value: object) -> Any:
    text = str(value)
    as_text = state().string_ids or STRING_IDS in request.headers.get("Accept", "")
    return text if as_text else int(text)


def state() -> CanvasState:
    return cast("CanvasState", world().vendor.state)
