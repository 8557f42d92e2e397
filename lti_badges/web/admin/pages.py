"""The admin console: what waits for a person, platforms, backends, sessions. No cookie: a one-time
address opens it."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, g, render_template, request
from sqlalchemy import select

from lti_badges import lms
from lti_badges.backends import KINDS, kind_of
from lti_badges.catalogue.configuration import (
    approve_deployment,
    backend_named,
    connect_platform,
    make_default,
    platform_named,
    remove_backend,
    save_backend,
)
from lti_badges.catalogue.configuration import check_backend as prove_backend
from lti_badges.catalogue.institutions import institution_names
from lti_badges.catalogue.issuance import backend_of
from lti_badges.catalogue.platform_checks import Check, platform_checks
from lti_badges.catalogue.platforms import decide_change, pending_changes
from lti_badges.context import ToolContext
from lti_badges.core.errors import LtiBadgesError, NotAllowed, NotFound, PlatformError, Refused
from lti_badges.ledger.backend_pauses import resume_backend
from lti_badges.lti.registration import invite
from lti_badges.people.admins import (
    NeedsName,
    SignedIn,
    end_session,
    open_link,
    open_sessions_of,
    signed_in,
)
from lti_badges.queries.admin import overview, retry_backend
from lti_badges.store import DEFAULT_INSTITUTION, BackendRow, Institution, Platform
from lti_badges.values.settings import Setting
from lti_badges.web.access import FIELD
from lti_badges.web.instructor import sign_in
from lti_badges.web.services import enter_institution, services

admin = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates")
INSTITUTION = "X-Institution"
"""The header by which an operator's page says which institution it shows."""
OPEN = {"admin.sign_in_page", "admin.enter", "admin.consent"}


@admin.before_request
def _only_admins() -> None:
    if request.endpoint not in OPEN:
        _enter(signed_in(services().installation, _token()), request.headers.get(INSTITUTION))


@admin.get("/")
def sign_in_page() -> str:
    """The page that the printed address opens: its script hands the secret over."""
    return render_template("admin/sign_in.html", secret="")


@admin.post("/")
def enter() -> str:
    """The console, for a one-time secret; the first admin of an installation says who they are."""
    secret = request.form.get("ticket", "")
    try:
        token, who = open_link(
            services().installation,
            secret,
            browser=request.headers.get("User-Agent", ""),
            name=request.form.get("name", ""),
        )
    except NeedsName:
        return render_template("admin/sign_in.html", secret=secret)
    _enter(who, None)
    return _console(token)


@admin.post("/institution")
def choose_institution() -> str:
    """An operator looks at another institution."""
    _enter(_who(), request.form.get("institution"))
    return _console(_token())


@admin.get("/sessions")
def sessions() -> str:
    """The consoles that are open now."""
    found = open_sessions_of(services().installation, _who())
    return render_template("admin/sessions.html", sessions=found, own=_who().session_id)


@admin.post("/sessions/<session_id>/end")
def end(session_id: str) -> str:
    """Sign one out."""
    end_session(services().installation, session_id, _who())
    return sessions()


@admin.post("/changes/<change_id>/<any(confirm, reject):decision>")
def decide(change_id: str, decision: str) -> str:
    """Let a registration change its platform, or not."""
    decide_change(_sight(), change_id, confirm=decision == "confirm", by=_who().name)
    return home()


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else request.form.get(FIELD, "")


def _enter(who: SignedIn, institution: str | None) -> None:
    """The console of an admin's own institution; an operator's, of the one they chose."""
    g.admin = who
    chosen = who.institution_id or institution or DEFAULT_INSTITUTION
    with services().installation.sessions() as session:
        if session.get(Institution, chosen) is None:
            raise NotFound("There is no such institution.")
    enter_institution(chosen)


def _console(token: str) -> str:
    tool = services().tool
    with _sight().sessions() as session:
        names = institution_names(session)
    return render_template(
        "admin/page.html",
        token=token,
        institution=tool.institution_id,
        institutions=names,
        main=home(),
    )


def _who() -> SignedIn:
    who: SignedIn = g.admin
    return who


def _sight() -> ToolContext:
    """What they may see of what no single institution has: an operator everything."""
    return services().installation if _who().is_operator else services().tool


@admin.get("/overview")
def home() -> str:
    """What waits for a person, and figures."""
    return render_template(
        "admin/overview.html",
        seen=overview(services().tool),
        waiting=overview(_sight()).waiting,
        changes=pending_changes(_sight()),
    )


@admin.post("/backends/<backend_id>/retry")
def again(backend_id: str) -> str:
    """All awards of a backend that wait are tried again."""
    retry_backend(services().tool, backend_id, by=_who().name)
    return home()


@admin.post("/deployments")
def approve() -> str:
    """Let a deployment in."""
    own = services().tool.institution_id
    with _sight().sessions.begin() as session:
        platform = platform_named(session, request.form.get("platform", ""))
        if not _who().is_operator and platform.institution_id != own:
            raise NotAllowed("Institutions share this LMS: only an operator can say whose it is.")
        owner = platform.institution_id or own
        approve_deployment(platform, request.form.get("deployment", ""), owner)
    return home()


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


@admin.post("/platforms/<platform_id>/check")
def check_platform(platform_id: str) -> str:
    """Live: key set, access token, launches."""
    tool = services().tool
    with tool.sessions() as session:
        platform = platform_named(session, platform_id)
        deployment = next((each.deployment_id for each in platform.deployments), None)
    return _outcomes(platform_checks(tool, platform, deployment))


@admin.get("/platforms/<platform_id>/connect")
def connection(platform_id: str) -> str:
    """The form of an LMS's own REST connection."""
    with services().tool.sessions() as session:
        return _connection(platform_named(session, platform_id))


@admin.post("/platforms/<platform_id>/connect")
def connect(platform_id: str) -> str:
    """Store it, sealed. Secrets are given anew each time."""
    tool = services().tool
    with tool.sessions() as session:
        vendor = lms.of(platform_named(session, platform_id).lms)
    values, secrets = _given(vendor.connection_settings)
    deployment = request.form.get("deployment") or None
    try:
        said = connect_platform(tool, platform_id, values, secrets, deployment)
    except PlatformError as error:
        return _platforms(said=f"The connection is stored, but it does not work: {error.message}")
    return _platforms(said=f"Connected. {said}")


@admin.get("/backends")
def backends() -> str:
    """All badge backends."""
    return _backends()


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
    values, secrets = _given(vendor.options())
    save_backend(
        services().tool,
        request.form.get("name", ""),
        vendor.kind,
        values,
        secrets,
        is_default="default" in request.form,
        by=_who().name,
    )
    return _backends()


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
    with tool.sessions.begin() as session:
        resume_backend(session, backend_named(session, backend_id))
    return render_template("admin/consented.html", row=row, sentence=backend.check())


@admin.post("/backends/<backend_id>/check")
def check_backend(backend_id: str) -> str:
    """Prove that it can be reached and lets us in."""
    tool = services().tool
    with tool.sessions() as session:
        backend_named(session, backend_id)
    return _outcomes([("connection", lambda: prove_backend(tool, backend_id))])


@admin.post("/backends/<backend_id>/<any(default, resume, remove):change>")
def change_backend(backend_id: str, change: str) -> str:
    """Make it the default, let its awards go on, or remove it."""
    tool = services().tool
    if change == "default":
        make_default(tool, backend_id)
    elif change == "remove":
        remove_backend(tool, backend_id)
    else:
        with tool.sessions.begin() as session:
            resume_backend(session, backend_named(session, backend_id))
    return _backends()


def _consent_address() -> str:
    return services().installation.settings.url("/admin/consent")


def _platforms(address: str | None = None, said: str | None = None) -> str:
    with services().tool.sessions() as session:
        rows = list(session.scalars(select(Platform).order_by(Platform.created_at)))
        return render_template(
            "admin/platforms.html",
            platforms=rows,
            vendors=lms.LMSES,
            address=address,
            said=said,
        )


def _connection(platform: Platform) -> str:
    tool, vendor = services().tool, lms.of(platform.lms)
    stored = tool.cipher.unseal(platform.connection)
    known = {each.name: stored.get(each.name, "") for each in vendor.connection_settings}
    return render_template(
        "admin/connect.html",
        platform=platform,
        vendor=vendor,
        values=known,
        address=sign_in.address(),
    )


def _backends() -> str:
    with services().tool.sessions() as session:
        rows = list(session.scalars(select(BackendRow).order_by(BackendRow.created_at)))
    return render_template("admin/backends.html", backends=rows, kinds=KINDS)


def _given(settings: tuple[Setting, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """The form's values, and those of its secrets that were typed in."""
    values = {each.name: request.form.get(each.name, "") for each in settings if not each.secret}
    secrets = {
        each.name: typed
        for each in settings
        if each.secret and (typed := request.form.get(each.name, "").strip())
    }
    return values, secrets


def _outcomes(checks: Iterable[Check]) -> str:
    outcomes = []
    for name, check in checks:
        try:
            outcomes.append((name, True, check()))
        except LtiBadgesError as error:
            outcomes.append((name, False, error.message))
    return render_template("admin/_checks.html", outcomes=outcomes)
