"""What all pages share: words for times and numbers, safe Markdown, headers, error pages."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import uuid4

import nh3
import structlog
from flask import Flask, Response, g, jsonify, render_template, request
from markdown_it import MarkdownIt
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.core import clock
from lti_badges.core.errors import LtiBadgesError
from lti_badges.core.links import web_address, with_query
from lti_badges.ledger.audit import ADDRESS
from lti_badges.queries.trail import state_label
from lti_badges.store import is_busy, is_unwritable
from lti_badges.values.score import percent
from lti_badges.web import border, framing
from lti_badges.web.assets import prepare_assets
from lti_badges.web.services import house, may, services

RETRY_BUSY_S = 5

log = structlog.get_logger("lti_badges.web")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; object-src 'none'; "
    "form-action {forms}; frame-ancestors {frames}"
)
MINUTE_S = 60
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""What a proxy may call a request; anything else is not taken into the log."""

_markdown = MarkdownIt("js-default", {"html": False, "linkify": False})
_guide = MarkdownIt("commonmark").enable("table")


def prepare(app: Flask) -> None:
    """Filters, headers and error pages."""
    app.jinja_env.filters.update(
        link=web_address,
        when=when,
        moment=format_moment,
        day=format_day,
        ago=ago,
        percent=percent,
        markdown=markdown,
        guide=guide,
        state=state_label,
    )
    app.jinja_env.globals.update(now=clock.now)
    app.context_processor(lambda: {"base_url": services().installation.settings.base_url})
    prepare_assets(app)
    app.before_request(_note_address)
    border.prepare(app)
    app.jinja_env.globals.update(may=may, house=house)
    app.after_request(_headers)
    app.register_error_handler(LtiBadgesError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unforeseen)


def _note_address() -> None:
    ADDRESS.set((request.remote_addr or "")[:80] or None)
    asked = request.headers.get("X-Request-Id", "")
    g.request_id = asked if _REQUEST_ID.fullmatch(asked) else uuid4().hex[:16]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request=g.request_id)


def format_moment(moment: datetime | None) -> str:
    """`3 May 2026, 10:02 UTC`."""
    return f"{moment:%-d %B %Y, %H:%M} UTC" if moment else "never"


def format_day(moment: datetime | None) -> str:
    """As people read a day: `3 May 2026`."""
    return f"{moment:%-d %B %Y}" if moment else "never"


def when(moment: datetime | None) -> Markup:
    """The same as a `<time>`, with how long ago in words."""
    if moment is None:
        return Markup("never")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        clock.iso(moment), format_moment(moment), ago(moment)
    )


def ago(moment: datetime | None) -> str:
    """`just now`, `3 minutes ago`, `in 2 hours`."""
    if moment is None:
        return "never"
    seconds = (clock.now() - moment).total_seconds()
    distance = abs(seconds)
    if distance < MINUTE_S:  # finer, a page that is asked for again would change all the time
        return "just now" if seconds >= 0 else "in a moment"
    for size, word in ((86_400, "day"), (3_600, "hour"), (MINUTE_S, "minute")):
        if distance >= size:
            count = int(distance // size)
            text = f"{count} {word}{'s' if count != 1 else ''}"
            break
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def markdown(text: str) -> Markup:
    """Criteria as HTML: Markdown without raw HTML, then cleaned once more."""
    html = nh3.clean(_markdown.render(text), tags=set(nh3.ALLOWED_TAGS) - {"img"})
    return Markup(html)  # noqa: S704 - cleaned by nh3 on the line above


def guide(text: str) -> Markup:
    """One of our own guides, tables included."""
    return Markup(_guide.render(text))  # noqa: S704 - our own files


def _headers(response: Response) -> Response:
    public = (
        request.blueprint in {"public", "branding", "verifying", "health", None}
        and request.path != "/lti/launch"
    )
    framed = not public and request.blueprint != "admin" and not g.get("is_unframed")
    frames = "'none'" if g.get("is_unframed") else framing.frame_ancestors() if framed else "'self'"
    if not framed:
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    response.headers.setdefault(
        "Content-Security-Policy", CSP.format(forms=framing.form_action(), frames=frames)
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    if not g.get("is_findable"):
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    if request_id := g.get("request_id"):
        response.headers["X-Request-Id"] = request_id
    # Our own pages tell their origin to each other: that is how a form of another site is told.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    if not public:
        response.headers.setdefault("Cache-Control", "no-store")
    if services().installation.settings.is_https:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def _known(error: LtiBadgesError) -> AnyResponse:
    status = error.status if 400 <= error.status < 500 else 422
    log.warning("refused", path=request.path, code=error.code, status=status)
    return _error(status, error.message, getattr(error, "return_url", None), error.code)


def _http(error: HTTPException) -> AnyResponse:
    said: dict[int, str] = {
        404: "There is nothing at this address. Check that you copied all of it.",
        405: "This address is used by your LMS; open the tool from your course.",
        413: "What was sent is too large. Pictures may have at most 2 MB.",
    }
    status = error.code or 500
    if status < 400:
        return error.get_response()
    return _error(status, said.get(status, "This request can't be answered."))


def _unforeseen(error: Exception) -> AnyResponse:
    if is_unwritable(error):
        log.error("database_unwritable", path=request.path, error=str(getattr(error, "orig", "")))
        return _error(
            503,
            "The tool can't store anything just now: its disk is full or read-only. Nothing was "
            "changed; tell whoever runs it.",
        )
    if is_busy(error):
        log.warning("database_busy", path=request.path)
        answer = _error(503, "The tool is busy just now. Wait some seconds and try again.")
        answer.headers["Retry-After"] = str(RETRY_BUSY_S)
        return answer
    log.error("unforeseen", path=request.path, exc_info=error)
    return _error(
        500,
        "Something went wrong in this tool. It has been logged; try again, and tell your LMS admin "
        "if it goes on.",
    )


def _error(status: int, message: str, return_url: str | None = None, code: str = "") -> AnyResponse:
    if request.headers.get("HX-Request"):
        return Response(render_template("_alert.html", message=message), status)
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html")
    if best == "application/json":
        response = jsonify({"error": message})
        response.status_code = status
        return response
    # LTI 1.3 core: the platform shows what `lti_errormsg` says, and logs the other.
    told = {"lti_errormsg": message, "lti_errorlog": f"Badges: refused ({code or status})"}
    back = with_query(return_url, **told) if return_url else None
    page = render_template("error.html", message=message, status=status, back=back)
    return Response(page, status)
