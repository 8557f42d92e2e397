"""What an admin configures: backends, REST connections, deployments. Commands and console alike."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from lti_badges import lms
from lti_badges.backends import kind_of
from lti_badges.catalogue.connections import check_connection
from lti_badges.catalogue.issuance import backend_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotAllowed, NotFound
from lti_badges.ledger.audit import record
from lti_badges.ledger.backend_pauses import DUE_STATES, resume_backend
from lti_badges.lti.launches import APPROVED
from lti_badges.settings import checked_url
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    Achievement,
    Award,
    BackendRow,
    Course,
    Deployment,
    Platform,
)
from lti_badges.values.settings import checked

MAX_NAME = 100


def save_backend(
    tool: ToolContext,
    name: str,
    kind: str,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    *,
    is_default: bool = False,
    by: str = "admin",
) -> str:
    """Add a backend, or change the one of this name; its paused awards go on. Secrets that are not
    given stay as they are. Returns its id. Raises InvalidInput."""
    vendor, name = kind_of(kind), name.strip()
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidInput(
            f"A backend needs a name of at most {MAX_NAME} characters.", field="name"
        )
    settings = checked(vendor.options(), {**values, **_checked_url(values, "--url")}, secret=False)
    with tool.sessions.begin() as session:
        row = session.scalar(select(BackendRow).where(BackendRow.name == name))
        if row is not None and row.kind != kind:
            raise InvalidInput(
                f"“{name}” is a backend of kind {row.kind}; choose another name for a new one."
            )
        kept = tool.cipher.unseal(row.secrets) if row else {}
        known = {setting.name for setting in vendor.options() if setting.secret}
        earned = {
            key: value
            for key, value in kept.items()
            if row and key in vendor.earned_secrets and _same_place(row.settings, settings)
        }
        sealed = checked(
            vendor.options(),
            {key: value for key, value in kept.items() if key in known} | dict(secrets),
            secret=True,
        )
        if row is None:
            row = BackendRow(name=name, kind=kind)
            session.add(row)
        row.settings = settings
        sealed |= earned
        row.secrets = tool.cipher.seal(sealed) if sealed else None
        row.listed_at = None
        row.rate, row.rate_ceiling, row.next_call = None, None, None  # to be learned anew
        row.rate_at, row.rate_since = None, None
        session.flush()
        resume_backend(session, row)
        record(session, "backend_saved", actor=by, backend=name)
        if is_default:
            _make_default(session, row)
        return row.id


def check_backend(tool: ToolContext, backend_id: str, *, by: str = "admin") -> str:
    """Prove a backend's connection; a backend that waits for a person goes on with all its awards.
    Returns what the proof said. Raises NotFound, and BackendError with the backend left as it was.
    """
    with tool.sessions() as session:
        row = session.get(BackendRow, backend_id)
    if row is None:
        raise NotFound("There is no such backend.")
    sentence = backend_of(tool, row).check()
    with tool.sessions.begin() as session:
        row = session.get_one(BackendRow, backend_id, with_for_update=True)
        if row.paused_until is None and row.error is None:
            return sentence
        resume_backend(session, row)
        waits = Award.state.in_([state.value for state in DUE_STATES])
        count = session.scalar(select(func.count()).where(Award.backend_id == row.id, waits)) or 0
        record(session, "backend_resumed", actor=by, backend=row.name, awards=count)
    return f"{sentence} It goes on: {count} waiting awards are tried again." if count else sentence


def make_default(tool: ToolContext, backend_id: str, *, by: str = "admin") -> None:
    """New badges are made there. Raises NotFound."""
    with tool.sessions.begin() as session:
        row = backend_named(session, backend_id)
        _make_default(session, row)
        record(
            session,
            "backend_made_default",
            actor=by,
            institution_id=row.institution_id,
            backend=row.name,
        )


def resume(tool: ToolContext, backend_id: str, *, by: str) -> int:
    """A person says that a backend works again. Returns how many awards go on. Raises NotFound."""
    with tool.sessions.begin() as session:
        row = backend_named(session, backend_id)
        count = resume_backend(session, row)
        record(
            session,
            "backend_resumed",
            actor=by,
            institution_id=row.institution_id,
            backend=row.name,
            awards=count,
        )
        return count


def remove_backend(tool: ToolContext, name: str, *, by: str = "admin") -> None:
    """Remove a backend that no badge uses. Raises InvalidInput and NotFound."""
    with tool.sessions.begin() as session:
        row = backend_named(session, name)
        for model, what in ((Award, "awards"), (Achievement, "badges")):
            if session.scalar(select(model.id).where(model.backend_id == row.id).limit(1)):
                raise InvalidInput(f"“{row.name}” has {what}; it can't be removed.")
        record(session, "backend_removed", actor=by, backend=row.name, of_kind=row.kind)
        session.delete(row)


def backend_named(session: Session, name: str) -> BackendRow:
    """By name or id. Raises NotFound."""
    row = session.scalar(
        select(BackendRow).where((BackendRow.name == name) | (BackendRow.id == name))
    )
    if row is None:
        raise NotFound(f"There is no backend “{name}”; see: lti-badges backends list")
    return row


def connect_platform(
    tool: ToolContext,
    platform_id: str,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    deployment_id: str | None = None,
    *,
    by: str = "admin",
) -> str:
    """Store credentials for the LMS's own REST API, sealed, and prove them; its courses are read
    anew. With `deployment_id` they count for that deployment only; for all of a platform that
    institutions share, none of them can give any. Returns what the proof said. Raises InvalidInput,
    NotAllowed and NotFound, and PlatformError when they are stored but don't work."""
    with tool.sessions.begin() as session:
        platform = platform_named(session, platform_id)
        if not deployment_id and not is_theirs_alone(tool, platform):
            raise NotAllowed("Institutions share this LMS: choose one of your deployments.")
        vendor = lms.of(platform.lms)
        if not vendor.connection_settings:
            raise InvalidInput(f"{vendor.label} has no connection besides LTI here.")
        given = checked(vendor.connection_settings, values, secret=False)
        given |= checked(vendor.connection_settings, secrets, secret=True)
        given |= _checked_url(given, "“url”")
        deployment = _deployment(platform, deployment_id) if deployment_id else None
        (deployment or platform).connection = tool.cipher.seal(given)
        session.flush()
        record(
            session,
            "platform_connected",
            actor=by,
            institution_id=deployment.institution_id if deployment else platform.institution_id,
            platform=platform.name or platform.issuer,
            deployment=deployment_id or "all",
        )
        concerned = select(Deployment.id).where(Deployment.platform_id == platform.id)
        if deployment is not None:
            concerned = concerned.where(Deployment.id == deployment.id)
        session.execute(
            update(Course)
            .where(Course.deployment_id.in_(concerned))
            .values(next_sync_at=clock.now())
        )
    return check_connection(tool, platform_id, deployment)


def is_theirs_alone(tool: ToolContext, platform: Platform) -> bool:
    """Whether a platform is the tool's to change for all: its institution alone has it, or the tool
    serves the whole installation, as an operator's does."""
    return tool.institution_id in {None, platform.institution_id}


def _deployment(platform: Platform, deployment_id: str) -> Deployment:
    for each in platform.deployments:
        if each.deployment_id == deployment_id:
            return each
    raise NotFound(f"There is no deployment “{deployment_id}”; see: lti-badges deployments list")


def approve_deployment(
    platform: Platform, deployment_id: str, institution_id: str | None = None
) -> None:
    """Let a deployment's launches in, now or when it is first seen, as the named institution's,
    else its platform's, else the default one's. Raises InvalidInput when another has it."""
    row = next((d for d in platform.deployments if d.deployment_id == deployment_id), None)
    if row is None:
        row = Deployment(deployment_id=deployment_id, institution_id=None)
        platform.deployments.append(row)
    owner = institution_id or row.institution_id or platform.institution_id or DEFAULT_INSTITUTION
    if row.state == APPROVED and row.institution_id not in {None, owner}:
        raise InvalidInput("This deployment belongs to another institution, with its courses.")
    row.institution_id, row.state, row.approved_at = owner, APPROVED, clock.now()


def let_in(
    session: Session, platform: Platform, deployment_id: str, owner: str | None, *, by: str
) -> None:
    """The same as a person's act, with its event. Raises InvalidInput."""
    approve_deployment(platform, deployment_id, owner)
    record(
        session,
        "deployment_approved",
        actor=by,
        institution_id=owner or platform.institution_id or DEFAULT_INSTITUTION,
        platform=platform.name or platform.issuer,
        deployment=deployment_id,
    )


def platform_named(session: Session, platform_id: str) -> Platform:
    """By id. Raises NotFound."""
    platform = session.get(Platform, platform_id)
    if platform is None:
        raise NotFound(f"There is no platform {platform_id}; see: lti-badges platforms list")
    return platform


def _make_default(session: Session, row: BackendRow) -> None:
    for each in session.scalars(select(BackendRow)):
        each.is_default = each.id == row.id


def _same_place(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    return all(before.get(name) == now.get(name) for name in ("url", "client_id"))


def _checked_url(values: Mapping[str, str], name: str) -> dict[str, str]:
    if not values.get("url"):
        return {}
    try:
        return {"url": checked_url(values["url"].rstrip("/"), name)}
    except ValueError as error:
        raise InvalidInput(f"{error}.", field="url") from None
