"""LMSes: invited or entered by hand, edited, checked live, their own interface connected."""

from __future__ import annotations

from flask import render_template, request
from sqlalchemy import select

from lti_badges import lms
from lti_badges.catalogue.configuration import connect_platform, is_theirs_alone, platform_named
from lti_badges.catalogue.platform_checks import platform_checks
from lti_badges.catalogue.registrations import add_platform, edit_platform
from lti_badges.core.errors import NotAllowed, PlatformError
from lti_badges.lti.registration import invite
from lti_badges.store import DEFAULT_INSTITUTION, Platform
from lti_badges.web.admin.blueprint import admin, by, given, outcomes, sight
from lti_badges.web.instructor import sign_in
from lti_badges.web.services import services


@admin.get("/platforms")
def platforms() -> str:
    """All registrations."""
    return _platforms()


@admin.post("/platforms/invite")
def invitation() -> str:
    """A one-time address for dynamic registration."""
    tool, kind = services().tool, request.form.get("lms", "")
    owner = tool.institution_id or DEFAULT_INSTITUTION
    address = invite(tool.sessions, tool.settings.base_url, kind or None, owner)
    return _platforms(address)


@admin.get("/platforms/new")
def new_platform() -> str:
    """The form of an LMS that is registered by hand."""
    return render_template("admin/platform.html", platform=None, vendors=lms.LMSES)


@admin.post("/platforms")
def register_platform() -> str:
    """Register it."""
    owner = services().tool.institution_id or DEFAULT_INSTITUTION
    add_platform(services().installation, owner, request.form, by=by())
    return _platforms(said="Registered. Open the tool from a course there, then press Check.")


@admin.get("/platforms/<platform_id>")
def platform(platform_id: str) -> str:
    """The form of one that is known."""
    with services().tool.sessions() as session:
        row = platform_named(session, platform_id)
    if not is_theirs_alone(sight(), row):
        raise NotAllowed("Institutions share this LMS: only an operator can change it.")
    return render_template("admin/platform.html", platform=row, vendors=lms.LMSES)


@admin.post("/platforms/<platform_id>")
def save_platform(platform_id: str) -> str:
    """Change its name, addresses and trust."""
    edit_platform(sight(), platform_id, request.form, by=by())
    return _platforms(said="Saved.")


@admin.post("/platforms/<platform_id>/check")
def check_platform(platform_id: str) -> str:
    """Live: key set, access token, launches."""
    tool = services().tool
    with tool.sessions() as session:
        row = platform_named(session, platform_id)
        deployment = next((each.deployment_id for each in row.deployments), None)
    return outcomes(platform_checks(tool, row, deployment))


@admin.get("/platforms/<platform_id>/connect")
def connection(platform_id: str) -> str:
    """The form of an LMS's own REST connection."""
    tool = sight()
    with services().tool.sessions() as session:
        row = platform_named(session, platform_id)
        for_all = is_theirs_alone(tool, row)
        vendor = lms.of(row.lms)
        stored = tool.cipher.unseal(row.connection) if for_all else {}
        known = {each.name: stored.get(each.name, "") for each in vendor.connection_settings}
        return render_template(
            "admin/connect.html",
            platform=row,
            vendor=vendor,
            values=known,
            for_all=for_all,
            address=sign_in.address(),
        )


@admin.post("/platforms/<platform_id>/connect")
def connect(platform_id: str) -> str:
    """Store it, sealed. Secrets are given anew each time."""
    with services().tool.sessions() as session:
        vendor = lms.of(platform_named(session, platform_id).lms)
    values, secrets = given(vendor.connection_settings)
    deployment = request.form.get("deployment") or None
    try:
        said = connect_platform(sight(), platform_id, values, secrets, deployment, by=by())
    except PlatformError as error:
        return _platforms(said=f"The connection is stored, but it does not work: {error.message}")
    return _platforms(said=f"Connected. {said}")


def _platforms(address: str | None = None, said: str | None = None) -> str:
    with services().tool.sessions() as session:
        rows = list(session.scalars(select(Platform).order_by(Platform.created_at)))
        return render_template(
            "admin/platforms.html",
            platforms=rows,
            editable={each.id for each in rows if is_theirs_alone(sight(), each)},
            vendors=lms.LMSES,
            address=address,
            said=said,
        )
