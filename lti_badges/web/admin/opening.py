"""Getting in: the one-time address, the institution that an operator looks at, open consoles."""

from __future__ import annotations

from flask import render_template, request

from lti_badges.catalogue.institutions import institution_names
from lti_badges.people.admins import NeedsName, end_session, open_link, open_sessions_of
from lti_badges.web.admin.blueprint import admin, open_console, sight, signed_in_admin, token
from lti_badges.web.admin.home import home
from lti_badges.web.services import services


@admin.get("/")
def sign_in_page() -> str:
    """The page that the printed address opens: its script hands the secret over."""
    settings = services().installation.settings
    label = settings.sso_label if settings.sso_issuer else ""
    return render_template("admin/sign_in.html", secret="", sso=label)


@admin.post("/")
def enter() -> str:
    """The console, for a one-time secret; the first admin of an installation says who they are."""
    secret = request.form.get("ticket", "")
    try:
        opened, who = open_link(
            services().installation,
            secret,
            browser=request.headers.get("User-Agent", ""),
            name=request.form.get("name", ""),
        )
    except NeedsName:
        return render_template("admin/sign_in.html", secret=secret)
    open_console(who, None)
    return console(opened)


@admin.post("/institution")
def choose_institution() -> str:
    """An operator looks at another institution."""
    open_console(signed_in_admin(), request.form.get("institution"))
    return console(token())


@admin.get("/sessions")
def sessions() -> str:
    """The consoles that are open now."""
    who = signed_in_admin()
    found = open_sessions_of(services().installation, who)
    return render_template("admin/sessions.html", sessions=found, own=who.session_id)


@admin.post("/sessions/<session_id>/end")
def end(session_id: str) -> str:
    """Sign one out."""
    end_session(services().installation, session_id, signed_in_admin())
    return sessions()


def console(opened: str) -> str:
    """The whole page, for a session that was opened just now."""
    with sight().sessions() as session:
        names = institution_names(session)
    return render_template(
        "admin/page.html",
        token=opened,
        institution=services().tool.institution_id,
        institutions=names,
        main=home(),
    )
