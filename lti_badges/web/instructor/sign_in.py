"""To an LMS's consent page and back: an instructor lets the tool read their course.

What begins it is a form of our own page; what comes back is taken once, and only in the browser
that went there: nobody's LMS account is tied to a course that somebody else chose.
"""

from __future__ import annotations

from flask import Blueprint, Response, g, make_response, render_template, request
from sqlalchemy import select

from lti_badges.catalogue.connections import sign_in_url, take_sign_in
from lti_badges.core.errors import LaunchError, Refused
from lti_badges.core.text import line
from lti_badges.lti.login import LIFE
from lti_badges.lti.one_time_states import keep_state, take_state
from lti_badges.store import Course, Deployment
from lti_badges.web.border import check_same_origin
from lti_badges.web.services import enter_institution, services

sign_in = Blueprint("sign_in", __name__, template_folder="templates")

PURPOSE = "sign_in"
COOKIE = "lti_badges_sign_in"


def address() -> str:
    """Where the LMS sends them back to, as it must be entered there."""
    return services().installation.settings.url("/lms/signed-in")


@sign_in.post("/lms/sign-in")
def begin() -> Response:
    """In a window of its own: our cookie first, then the LMS's consent page."""
    settings = services().installation.settings
    check_same_origin(settings.base_url)
    institution_id, course_id, who = services().access.signing_in(request.form.get("start", ""))
    tool = enter_institution(institution_id)
    with tool.sessions() as session:
        platform_id = session.scalar(
            select(Deployment.platform_id)
            .join(Course, Course.deployment_id == Deployment.id)
            .where(Course.id == course_id)
        )
    kept = {"institution": institution_id, "course": course_id, "who": who}
    state, secret = keep_state(
        services().installation.sessions, tool.cipher, platform_id or "", PURPOSE, kept
    )
    g.is_unframed = True
    url = sign_in_url(tool, course_id, address(), state)
    response = make_response(render_template("instructor/to_lms.html", url=url))
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(LIFE.total_seconds()),
        path="/lms",
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


@sign_in.get("/lms/signed-in")
def back() -> str:
    """The state says which course and who, and that this browser was sent by us, just now."""
    kept = take_state(
        services().installation.sessions,
        services().installation.cipher,
        request.args.get("state", ""),
        PURPOSE,
        [request.cookies[COOKIE]] if COOKIE in request.cookies else [],
    )
    if kept is None:
        raise LaunchError(
            "This sign-in took too long, was used already, or was begun in another browser. Open "
            "the tool from your course and sign in from there.",
            code="sign_in",
            status=401,
        )
    if "code" not in request.args:
        said = request.args.get("error_description") or request.args.get("error")
        raise Refused(f"The LMS did not let this tool in: {line(said, 200) or 'no code'}.")
    tool = enter_institution(kept["institution"])
    code = request.args["code"]
    sentence = take_sign_in(tool, kept["course"], code, address(), by=kept["who"])
    services().queue.enqueue("sync", kept["course"])
    return render_template("instructor/signed_in.html", sentence=sentence)
