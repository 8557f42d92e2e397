"""The console's one blueprint: who may use it, and which institution it shows."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, g, render_template, request

from lti_badges.catalogue.platform_checks import Check
from lti_badges.context import ToolContext
from lti_badges.core.errors import LtiBadgesError, NotAllowed, NotFound
from lti_badges.people.admins import SignedIn, signed_in
from lti_badges.store import DEFAULT_INSTITUTION, Institution
from lti_badges.values.settings import Setting
from lti_badges.web.access import FIELD
from lti_badges.web.services import enter_institution, services

admin = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates")
INSTITUTION = "X-Institution"
"""The header by which an operator's page says which institution it shows."""
SHOWN = "shown"
"""The field of plain forms that says the same."""
OPEN = {"admin.sign_in_page", "admin.enter", "admin.consent", "admin.sso", "admin.sso_back"}


@admin.before_request
def _only_admins() -> None:
    if request.endpoint not in OPEN:
        shown = request.headers.get(INSTITUTION) or request.form.get(SHOWN)
        open_console(signed_in(services().installation, token()), shown)


@admin.context_processor
def _shown() -> dict[str, str]:
    tool = g.get("institution_tool")
    return {"institution_shown": (tool.institution_id or "") if tool else ""}


def open_console(who: SignedIn, institution: str | None) -> None:
    """The console of an admin's own institution; an operator's, of the one they chose. Raises
    NotFound."""
    g.admin = who
    chosen = who.institution_id or institution or DEFAULT_INSTITUTION
    with services().installation.sessions() as session:
        if session.get(Institution, chosen) is None:
            raise NotFound("There is no such institution.")
    enter_institution(chosen)


def token() -> str:
    """The session's token, from the header or a plain form's field."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    return sent if scheme.lower() == "bearer" else request.form.get(FIELD, "")


def signed_in_admin() -> SignedIn:
    """Whose console it is."""
    who: SignedIn = g.admin
    return who


def by() -> str:
    """How the audit log names them."""
    return signed_in_admin().name


def sight() -> ToolContext:
    """What they may see of what no single institution has: an operator everything."""
    return services().installation if signed_in_admin().is_operator else services().tool


def require_operator(what: str) -> None:
    """Raises NotAllowed for an institution's admin; `what` goes on after “Only an operator can”."""
    if not signed_in_admin().is_operator:
        raise NotAllowed(f"Only an operator of this installation can {what}.")


def given(settings: tuple[Setting, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """The form's values, and those of its secrets that were typed in."""
    values = {each.name: request.form.get(each.name, "") for each in settings if not each.secret}
    secrets = {
        each.name: typed
        for each in settings
        if each.secret and (typed := request.form.get(each.name, "").strip())
    }
    return values, secrets


def outcomes(checks: Iterable[Check]) -> str:
    """What live checks say, one line each."""
    found = []
    for name, check in checks:
        try:
            found.append((name, True, check()))
        except LtiBadgesError as error:
            found.append((name, False, error.message))
    return render_template("admin/_checks.html", outcomes=found)


def asked_for(part: str) -> bool:
    """Whether only this part of the page is to be drawn anew."""
    return request.headers.get("HX-Target") == part
