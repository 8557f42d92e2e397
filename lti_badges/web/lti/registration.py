"""Registering: dynamically by invitation, or by hand with every value filled in; and notices."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Blueprint, Response, abort, jsonify, render_template, request
from sqlalchemy import select

from lti_badges import lms
from lti_badges.core.errors import LaunchError, NotFound
from lti_badges.core.links import is_loopback, web_origin
from lti_badges.core.text import read_json
from lti_badges.courses.copy import note_copy
from lti_badges.lti.id_token import unverified_parties, verified_claims
from lti_badges.lti.notices import COPY, Notice, parse_notice
from lti_badges.lti.platform_configuration import Configuration, check_owner, read_configuration
from lti_badges.lti.registration import (
    open_invitation,
    send_registration,
    store_registration,
    tool_registration,
)
from lti_badges.store import Platform
from lti_badges.web.services import services

registration = Blueprint("registration", __name__, url_prefix="/lti", template_folder="templates")
log = structlog.get_logger("lti_badges.registration")

EXAMPLE = "https://badges.example.edu"
MAX_NOTICES = 100


@registration.get("/register")
def register() -> str:
    """Dynamic registration: the LMS opens this with its configuration's address."""
    tool = services().installation
    secret = request.args.get("invitation", "")
    kind = open_invitation(tool.sessions, secret)
    url, token = (
        request.args.get("openid_configuration", ""),
        request.args.get("registration_token"),
    )
    if not url:
        raise LaunchError(
            "This address is for your LMS: paste it there as the tool's registration address "
            "(dynamic registration), it opens it by itself.",
            code="no_configuration",
        )
    base = tool.settings.base_url
    public_only = not is_loopback(base)
    configuration = read_configuration(tool.http, url, token, public_only=public_only)
    vendor = _vendor(kind, configuration)
    check_owner(
        configuration,
        url,
        vendor.shared_issuers,
        vendor.endpoint_hosts,
    )
    body = tool_registration(
        base,
        configuration,
        messages=vendor.registration_messages(f"{base}/lti/launch", request.args),
        custom_parameters=vendor.custom_parameters,
        extras=vendor.registration_extras(base),
    )
    registered = send_registration(tool.http, configuration, body, token, public_only=public_only)
    stored = store_registration(
        tool.sessions,
        secret,
        configuration,
        registered,
        lms=vendor.key,
        trust_all_deployments=vendor.trusts_deployments,
        takes_audience=vendor.takes_authorization_server,
    )
    log.info("registered", lms=vendor.key, issuer=configuration.issuer)
    asked = frozenset(str(body["scope"]).split())
    missing = asked - registered.granted if registered.granted is not None else frozenset()
    return render_template(
        "launch/registered.html",
        vendor=vendor,
        account=configuration.account or configuration.issuer,
        waits=stored.change_id is not None,
        missing=sorted(scope.rpartition("/")[2] for scope in missing),
        origin=web_origin(url) or "",
    )


@registration.get("/config/<kind>.json")
def key_configuration(kind: str) -> Response:
    """A configuration document for the LMSes that take one by address."""
    vendor = lms.LMSES.get(kind)
    base_url = services().installation.settings.base_url
    found = vendor.key_configuration(base_url, request.args) if vendor else None
    if found is None:
        abort(404)
    response = jsonify(found)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@registration.get("/setup")
def setups() -> str:
    """A guide for each LMS, with the tool's own addresses filled in."""
    return render_template("launch/setups.html", vendors=lms.LMSES.values())


@registration.get("/setup/<kind>")
def setup(kind: str) -> str:
    """Registering by hand, step by step, with this tool's own values filled in."""
    vendor = lms.LMSES.get(kind)
    if vendor is None:
        raise NotFound("There is no guide for that LMS.")
    text = vendor.guide().replace(EXAMPLE, services().installation.settings.base_url)
    return render_template("launch/setup.html", vendor=vendor, text=text)


@registration.post("/notices")
def notices() -> tuple[Response, int]:
    """Platform Notification Service 1.0: each notice is signed like a launch."""
    try:
        body = read_json(request.get_data(cache=False))
    except ValueError:
        body = None
    listed = body.get("notices") if isinstance(body, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_NOTICES:
        raise LaunchError("These are no notices: a list “notices” is missing.", code="notices")
    refused = [refusal for each in listed if (refusal := _taken(each)) is not None]
    if len(refused) == len(listed):
        raise refused[0]
    return jsonify({"refused": len(refused)}), 200


def _taken(given: Any) -> LaunchError | None:
    """A bad notice of a batch is logged and told to nobody: the good ones count."""
    try:
        _take(*_notice(given))
    except LaunchError as error:
        log.warning("notice_refused", code=error.code)
        return error
    return None


def _notice(given: Any) -> tuple[str, Notice]:
    token = given.get("jwt") if isinstance(given, dict) else None
    if not isinstance(token, str):
        raise LaunchError("A notice without its jwt can't be taken.", code="notices")
    tool = services().installation
    issuer, audiences = unverified_parties(token)
    with tool.sessions() as session:
        platform = session.scalar(
            select(Platform).where(
                Platform.issuer == issuer,
                Platform.client_id.in_(audiences),
                Platform.archived_at.is_(None),
            )
        )
    if platform is None:
        raise LaunchError("The notice comes from an LMS we don't know.", code="unknown_platform")
    claims = verified_claims(
        token,
        issuer=platform.issuer,
        client_id=platform.client_id,
        key_set_url=platform.key_set_url,
        key_sets=tool.key_sets,
        needs_nonce=False,
    )
    return platform.id, parse_notice(claims)


def _take(platform_id: str, notice: Notice) -> None:
    """A copied course keeps its origins, so that its rules can follow; others are only logged."""
    log.info("notice", platform=platform_id, kind=notice.kind)
    if notice.kind == COPY and notice.context_id and notice.origins:
        note_copy(
            services().installation,
            platform_id,
            notice.deployment_id,
            notice.context_id,
            notice.origins,
        )


def _vendor(kind: str | None, configuration: Configuration) -> type[lms.LMS]:
    """The invitation's LMS; the one that the platform says it is where the invitation names none.
    Raises LaunchError when an invitation for one LMS is used by another."""
    told = lms.of_family(configuration.family)
    if kind is None:
        return told
    if told.families and told.key != kind:
        raise LaunchError(
            f"This invitation is for {lms.of(kind).label}, and was used by {told.label}. Nothing "
            "was stored; make one for that LMS.",
            code="invitation",
            status=403,
        )
    return lms.of(kind)
