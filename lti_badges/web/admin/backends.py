"""Badge backends: added, edited, let in by somebody, tested, removed."""

from __future__ import annotations

from flask import render_template, request
from sqlalchemy import select

from lti_badges.backends import KINDS, kind_of
from lti_badges.catalogue.configuration import (
    backend_named,
    check_backend,
    make_default,
    remove_backend,
    resume,
    save_backend,
)
from lti_badges.catalogue.issuance import backend_of
from lti_badges.core.errors import Refused
from lti_badges.store import BackendRow
from lti_badges.web.admin.blueprint import admin, by, given, outcomes
from lti_badges.web.services import enter_institution, services


@admin.get("/backends")
def backends() -> str:
    """All badge backends."""
    with services().tool.sessions() as session:
        rows = list(session.scalars(select(BackendRow).order_by(BackendRow.created_at)))
    return render_template("admin/backends.html", backends=rows, kinds=KINDS)


@admin.get("/backends/form")
def backend_form() -> str:
    """Add one of a kind, or edit one; secrets are never shown."""
    tool, name = services().tool, request.args.get("name", "")
    with tool.sessions() as session:
        row = backend_named(session, name) if name else None
        vendor = kind_of(row.kind if row else request.args.get("kind", "builtin"))
        return render_template("admin/backend.html", row=row, vendor=vendor, kinds=KINDS)


@admin.post("/backends")
def add_backend() -> str:
    """Save the form."""
    vendor = kind_of(request.form.get("kind", ""))
    values, secrets = given(vendor.options())
    save_backend(
        services().tool,
        request.form.get("name", ""),
        vendor.kind,
        values,
        secrets,
        is_default="default" in request.form,
        by=by(),
    )
    return backends()


@admin.post("/backends/<backend_id>/consent")
def ask_consent(backend_id: str) -> str:
    """A link to the page where somebody lets us in; it is made when asked for, as it ages."""
    tool = services().tool
    with tool.sessions() as session:
        row = backend_named(session, backend_id)
    url = backend_of(tool, row).consent_url(_consent_address(), services().admin.state(row.id))
    return render_template("admin/_consent.html", url=url, address=_consent_address())


@admin.get("/consent")
def consent() -> str:
    """Back from a backend's consent page. The state says whose it is, and that we sent them."""
    backend_id = services().admin.backend_of(request.args.get("state", ""))
    with services().installation.sessions() as session:
        owner = backend_named(session, backend_id).institution_id
    tool = enter_institution(owner)
    if "code" not in request.args:
        said = request.args.get("error_description") or request.args.get("error") or "no code"
        raise Refused(f"The badge service did not let this tool in: {said[:200]}.")
    with tool.sessions() as session:
        row = backend_named(session, backend_id)
    backend = backend_of(tool, row)
    backend.take_consent(request.args["code"], _consent_address())
    resume(tool, backend_id, by="consent page")
    return render_template("admin/consented.html", row=row, sentence=backend.check())


@admin.post("/backends/<backend_id>/check")
def prove_backend(backend_id: str) -> str:
    """Prove that it can be reached and lets us in."""
    tool = services().tool
    with tool.sessions() as session:
        backend_named(session, backend_id)
    return outcomes([("connection", lambda: check_backend(tool, backend_id, by=by()))])


@admin.post("/backends/<backend_id>/<any(default, resume, remove):change>")
def change_backend(backend_id: str, change: str) -> str:
    """Make it the default, let its awards go on, or remove it."""
    tool = services().tool
    if change == "default":
        make_default(tool, backend_id, by=by())
    elif change == "remove":
        remove_backend(tool, backend_id, by=by())
    else:
        resume(tool, backend_id, by=by())
    return backends()


def _consent_address() -> str:
    return services().installation.settings.url("/admin/consent")
