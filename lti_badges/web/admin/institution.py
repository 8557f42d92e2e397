"""The institution itself: what its issuer says of it, its logo and colour, what roles may do."""

from __future__ import annotations

from flask import render_template, request

from lti_badges.catalogue.branding import brand_of, save_colour, save_logo
from lti_badges.catalogue.institutions import (
    PROFILE,
    add_institution,
    institution_named,
    rename_institution,
    save_profile,
)
from lti_badges.core.errors import InvalidInput
from lti_badges.openbadges.picture import MAX_BYTES
from lti_badges.people.permissions import DEFAULTS, set_table, table
from lti_badges.values.permission import Permission
from lti_badges.web.admin.blueprint import admin, by, require_operator, signed_in_admin
from lti_badges.web.services import services

COLUMNS = tuple(each for each in Permission if each is not Permission.MANAGE_INSTITUTION)


@admin.get("/profile")
def profile() -> str:
    """The forms."""
    return _profile()


@admin.post("/profile")
def change_profile() -> str:
    """What the issuer says of itself, from the next credential on."""
    given = {name: request.form.get(name, "") for name in PROFILE}
    save_profile(services().tool, given, by=by())
    return _profile("Saved. Credentials that are signed from now on say so.")


@admin.post("/branding")
def change_branding() -> str:
    """Logo and colour; an upload that is not there leaves the logo as it is."""
    tool, upload = services().tool, request.files.get("logo")
    save_colour(tool, request.form.get("colour", ""), by=by())
    if upload is not None and upload.filename:
        save_logo(tool, upload.read(MAX_BYTES + 1), by=by())
    elif "no_logo" in request.form:
        save_logo(tool, None, by=by())
    return _profile("Saved. Open a page anew to see it.")


@admin.get("/permissions")
def permissions() -> str:
    """What each course role may do."""
    return _permissions()


@admin.post("/permissions")
def change_permissions() -> str:
    """The whole table as ticked."""
    if "whole" not in request.form:  # half a form would take everybody's permissions away
        raise InvalidInput("The table was not sent whole; open it again.")
    ticked = set(request.form.getlist("may"))
    known = table(services().tool)
    wanted = {
        role: [each.value for each in COLUMNS if f"{role}:{each.value}" in ticked] for role in known
    }
    set_table(services().tool, wanted, by=by())
    return _permissions("Saved. It counts from each person’s next launch on.")


@admin.post("/institutions")
def new_institution() -> str:
    """Add one; operators only."""
    require_operator("add institutions")
    name = request.form.get("name", "")
    add_institution(services().installation, name, by=by())
    return _profile(f"“{name.strip()}” was added. Open the console anew to look at it.")


@admin.post("/institutions/rename")
def rename() -> str:
    """Give the one that is shown another name; operators only."""
    require_operator("rename institutions")
    own = services().tool.institution_id or ""
    rename_institution(services().installation, own, request.form.get("name", ""), by=by())
    return _profile("Renamed.")


def _profile(said: str | None = None) -> str:
    tool = services().tool
    with tool.sessions() as session:
        row = institution_named(session, tool.institution_id or "")
    return render_template(
        "admin/profile.html",
        row=row,
        brand=brand_of(tool, row.id),
        said=said,
        is_operator=signed_in_admin().is_operator,
    )


def _permissions(said: str | None = None) -> str:
    return render_template(
        "admin/permissions.html",
        table=table(services().tool),
        defaults=DEFAULTS,
        columns=COLUMNS,
        said=said,
    )
