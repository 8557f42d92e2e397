"""Logins and launches: from the LMS to the page the person came for, with or without cookies."""

from __future__ import annotations

import time
from dataclasses import asdict

import structlog
from flask import Blueprint, Response, g, jsonify, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.core.errors import LaunchError
from lti_badges.core.links import web_origin, with_query
from lti_badges.courses.launch_intake import LaunchedMember
from lti_badges.lti.claims import Launch, MessageType
from lti_badges.lti.launches import Accepted, accept_launch, open_window, prove_launch
from lti_badges.lti.login import LIFE, Started, begin_login, hashed
from lti_badges.pipeline import take_launch
from lti_badges.values.course import Role
from lti_badges.web.access import Access
from lti_badges.web.border import check_same_origin
from lti_badges.web.framing import allow_frames, allow_initiator
from lti_badges.web.instructor import opening as instructor
from lti_badges.web.learner import pages as learner
from lti_badges.web.lti import deep_linking as picker
from lti_badges.web.services import act_as, enter_institution, services

launch = Blueprint("launch", __name__, url_prefix="/lti", template_folder="templates")
log = structlog.get_logger("lti_badges.launch")

COOKIE = "lti_badges_login_"
WINDOW_COOKIE = "lti_badges_window_"
STORAGE_KEY = "lti_badges_"
PATH = "/lti/launch"


@launch.route("/login", methods=["GET", "POST"])
def login() -> AnyResponse:
    """Third-party-initiated login: a plain 302, unless the LMS offers to keep our secret itself."""
    tool = services().installation
    started = begin_login(tool.sessions, tool.settings.base_url, request.values)
    if started.storage_target:
        page = render_template(
            "launch/storage_put.html", started=started, key=_storage_key(started.state)
        )
        allow_initiator(started.storage_origin)
        response: AnyResponse = make_response(page)
    else:
        response = redirect(started.redirect_url)
    _set_cookies(response, started)
    response.headers["Cache-Control"] = "no-store"
    return response


@launch.post("/launch")
def land() -> AnyResponse:
    """The one redirect address, for every message."""
    cookies = [value for name, value in request.cookies.items() if name.startswith(COOKIE)]
    accepted = accept_launch(services().launches, request.form, cookies)
    if accepted.ticket is None:
        return _opened(accepted, request.form.get("state", ""))
    allow_frames(services().installation.sessions, accepted.platform, accepted.launch)
    if accepted.storage_target:
        return _page(
            "launch/storage_get.html",
            accepted=accepted,
            key=_storage_key(request.form["state"]),
            origin=web_origin(accepted.platform.auth_login_url) or "",
        )
    # Refused as it stands; the person may go on by one click that says who they are.
    return _page("launch/one_click.html", 403, accepted=accepted)


@launch.post("/launch/proof")
def proof() -> AnyResponse:
    """The secret came back from platform storage, to our own page in this browser."""
    check_same_origin(services().installation.settings.base_url)
    ticket, secret = request.form.get("ticket", ""), request.form.get("secret", "")
    if not secret:
        raise LaunchError("The launch could not be proved.", code="no_proof")
    return _opened(prove_launch(services().launches, ticket, [secret]), "")


@launch.post("/launch/window")
def window() -> AnyResponse:
    """A window of its own, where our cookie is kept: it asks for the person's click, unframed."""
    settings = services().installation.settings
    check_same_origin(settings.base_url)
    accepted, secret = open_window(services().launches, request.form.get("ticket", ""))
    g.is_unframed = True
    response = _page("launch/confirm.html", 403, accepted=accepted)
    response.set_cookie(
        _window_cookie(accepted.ticket or ""),
        secret,
        max_age=int(LIFE.total_seconds()),
        path=PATH,
        secure=settings.is_https,
        httponly=True,
        samesite="Strict",
    )
    return response


@launch.post("/launch/confirm")
def confirm() -> AnyResponse:
    """The person's click in that window, with its cookie."""
    check_same_origin(services().installation.settings.base_url)
    ticket = request.form.get("ticket", "")
    name = _window_cookie(ticket)
    kept = [request.cookies[name]] if name in request.cookies else []
    response = _opened(prove_launch(services().launches, ticket, kept), "")
    response.delete_cookie(name, path=PATH)
    return response


@launch.get("/jwks.json")
def jwks() -> Response:
    """The tool's key set, by which platforms check what it signs (RFC 7517)."""
    response = jsonify(services().installation.keys.jwks())
    response.headers["Cache-Control"] = "public, max-age=600"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _opened(accepted: Accepted, state: str) -> AnyResponse:
    came, platform = accepted.launch, accepted.platform
    allow_frames(services().installation.sessions, platform, came)
    enter_institution(accepted.institution_id)
    log.info(
        "launch_accepted", platform=platform.id, message=came.message.value, role=came.role.value
    )
    try:
        response = make_response(_view(accepted, came))
    except LaunchError as refusal:
        refusal.return_url = came.return_url
        raise
    response.headers["Cache-Control"] = "no-store"
    if state:
        for name in _cookie_names(state):
            response.delete_cookie(name, path=PATH)
    return response


def _view(accepted: Accepted, came: Launch) -> str | AnyResponse:
    if came.message is MessageType.DEEP_LINKING:
        return _picked(accepted, came)
    if came.message is MessageType.END_ASSESSMENT:
        return render_template("launch/nothing_to_do.html")
    if came.message is MessageType.DATA_PRIVACY:
        return render_template("launch/privacy.html", person=came.for_user)
    arrival = take_launch(services().tool, came, accepted.deployment_row_id)
    access = _access(accepted, arrival)
    if came.return_url and came.document_target in {"window", "frame"}:
        # LTI 1.3 core, launch presentation: shown to the person, and kept by the platform.
        g.return_url = with_query(
            came.return_url,
            lti_msg="You are back from the badges of this course.",
            lti_log=f"Badges: the page of the role {arrival.role.value} was left normally.",
        )
    if arrival.course_id is None:
        return render_template("launch/no_course.html", arrival=arrival)
    if arrival.role is Role.INSTRUCTOR:
        return instructor.page(access, arrival, came.for_user)
    if arrival.role is Role.LEARNER:
        return learner.page(access, arrival)
    if arrival.role is Role.OBSERVER and access.observed:
        return learner.observer_page(access, arrival)
    return render_template("launch/observer.html", arrival=arrival)


def _picked(accepted: Accepted, came: Launch) -> str | AnyResponse:
    if came.role is not Role.INSTRUCTOR:
        said = "Only instructors can place badges in a course."
        return picker.refused(accepted, said, "learner_deep_link")
    if came.context is None:
        said = "Badges are placed in a course; open this from a course of your LMS."
        return picker.refused(accepted, said, "no_course")
    arrival = take_launch(services().tool, came, accepted.deployment_row_id)
    access = _access(accepted, arrival, deep_link=_picker_settings(accepted))
    return picker.page(access, arrival)


def _access(
    accepted: Accepted, arrival: LaunchedMember, deep_link: dict[str, object] | None = None
) -> Access:
    access = Access(
        institution_id=accepted.institution_id,
        platform_id=accepted.platform.id,
        sub=accepted.launch.sub,
        role=arrival.role,
        course_id=arrival.course_id or "",
        member_id=arrival.member_id or "",
        name=arrival.name,
        achievement_id=arrival.achievement_id or "",
        deep_link=deep_link,
        read_only=accepted.launch.is_masked,
        permissions=tuple(sorted(arrival.permissions)),
        observed=accepted.launch.observed,
        launched_at=time.time(),
    )
    act_as(access)
    return access


def _picker_settings(accepted: Accepted) -> dict[str, object]:
    settings = accepted.launch.deep_linking
    assert settings is not None  # noqa: S101 - the parser made it for this message
    stored = asdict(settings)
    stored["accept_types"] = sorted(settings.accept_types)
    stored["document_targets"] = sorted(settings.document_targets)
    return {"settings": stored, "deployment_id": accepted.launch.deployment_id}


def _page(template: str, status: int = 200, **values: object) -> AnyResponse:
    response = make_response(render_template(template, **values), status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _storage_key(state: str) -> str:
    return f"{STORAGE_KEY}{hashed(state)[:16]}"


def _window_cookie(ticket: str) -> str:
    return f"{WINDOW_COOKIE}{hashed(ticket)[:12]}"


def _cookie_names(state: str) -> tuple[str, str]:
    name = f"{COOKIE}{hashed(state)[:12]}"
    return name, f"{name}_lax"


def _set_cookies(response: AnyResponse, started: Started) -> None:
    """One short-lived cookie for this login, partitioned so that it works in a third-party frame.

    Over plain http (loopback only) a second, ordinary one: some clients keep `Secure` cookies from
    http addresses to themselves, though browsers make an exception for loopback.
    """
    partitioned, lax = _cookie_names(started.state)
    age = int(LIFE.total_seconds())
    response.set_cookie(
        partitioned,
        started.secret,
        max_age=age,
        path=PATH,
        secure=True,
        httponly=True,
        samesite="None",
        partitioned=True,
    )
    if not services().installation.settings.is_https:
        response.set_cookie(
            lax, started.secret, max_age=age, path=PATH, httponly=True, samesite="Lax"
        )
