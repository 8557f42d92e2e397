"""The page where anybody checks a badge of anybody: a file, a text or an address."""

from __future__ import annotations

from threading import BoundedSemaphore

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.core.errors import InvalidInput
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.presented import MAX_BYTES, TOO_LARGE
from lti_badges.queries.verification import Report, verify_presented
from lti_badges.web.limits import TooMany
from lti_badges.web.services import services

verifying = Blueprint("verifying", __name__, template_folder="templates")
AT_ONCE = 4
"""A badge whose issuer is slow holds a thread; the others are for launches."""
_free = BoundedSemaphore(AT_ONCE)


@verifying.get("/verify")
def form() -> str:
    """The form."""
    return render_template("public/verify.html", report=None, problem=None, text="")


@verifying.post("/verify")
def verify() -> AnyResponse:
    """The verdict, to browsers as a page and to programs as JSON. 422 for what is no badge."""
    try:
        report, problem = _checked(), None
    except CredentialError as error:
        report, problem = None, str(error)
    status = 422 if problem else 200
    offered = request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html")
    if offered == "application/json":
        answer = jsonify(report.as_json() if report else {"error": problem})
        answer.status_code = status
        return answer
    text = request.form.get("text", "") if problem else ""
    page = render_template("public/verify.html", report=report, problem=problem, text=text)
    return Response(page, status)


def _checked() -> Report:
    upload, text = request.files.get("file"), request.form.get("text", "").strip()
    content = upload.stream.read(MAX_BYTES + 1) if upload and upload.filename else b""
    if len(content) > MAX_BYTES:
        raise InvalidInput(TOO_LARGE, field="file")
    if not content and not text:
        raise CredentialError("Choose a file, or paste a badge or its address.")
    if not _free.acquire(timeout=5):
        raise TooMany("Many badges are being verified just now. Try again in a minute.")
    try:
        email = request.form.get("email", "")[:320].strip()
        return verify_presented(services().installation, content or text.encode(), email)
    finally:
        _free.release()
