"""From the platform's answer to an accepted launch: one login, one launch, in one browser.

A launch whose browser proves itself at once (cookie) is done. One that can't yet waits, sealed in
its login's row, for the proof from platform storage or for the person's own click.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.core.crypto import Cipher
from lti_badges.core.errors import LaunchError
from lti_badges.core.text import custom_parameters
from lti_badges.lti.claims import Launch, parse_launch
from lti_badges.lti.id_token import AGAIN, verified_claims
from lti_badges.lti.keysets import KeySets
from lti_badges.lti.login import hashed
from lti_badges.store import Deployment, Login, Platform, Sessions, insert_missing

STARTED, WAITING = "started", "waiting"
APPROVED, PENDING = "approved", "pending"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A launch with the rows it belongs to. `ticket` is None when the browser has proved itself;
    else it stands for the waiting launch, once."""

    launch: Launch
    platform: Platform
    deployment_row_id: str
    institution_id: str
    ticket: str | None = None
    storage_target: str | None = None


class UnknownDeployment(LaunchError):
    """The deployment waits for an admin's approval; `platform_id` and `deployment_id` name it."""

    def __init__(self, platform_id: str, deployment_id: str, return_url: str | None) -> None:
        super().__init__(
            "This place of your LMS is not approved for this tool yet. Your LMS admin must approve "
            f"the deployment “{deployment_id}”.",
            code="unknown_deployment",
            status=403,
        )
        self.platform_id = platform_id
        self.deployment_id = deployment_id
        self.return_url = return_url


@dataclass(frozen=True, slots=True)
class LaunchServices:
    """What accepting a launch needs."""

    sessions: Sessions
    cipher: Cipher
    key_sets: KeySets
    base_url: str
    audience_hint: Callable[[Platform], str] = lambda _platform: ""
    told_besides: Callable[[Platform, Mapping[str, Any]], Mapping[str, str]] = (
        lambda _platform, _claims: {}
    )
    """What a platform tells in claims of its own, as custom parameters."""


def accept_launch(
    services: LaunchServices, given: Mapping[str, str], cookies: Collection[str]
) -> Accepted:
    """Check the platform's answer and the browser. `cookies` are the values of all our login
    cookies that came along. Raises LaunchError; then nothing is stored (but a deployment that
    waits for approval, when the launch was a good one)."""
    if given.get("error"):
        raise _refused_by_platform(given)
    state, token = given.get("state", ""), given.get("id_token", "")
    if not state or not token:
        raise LaunchError(
            "This address takes launches from an LMS, not visits by hand. Open the tool from your "
            "course.",
            code="no_launch",
        )
    login, platform = _login(services, state, STARTED)
    claims = verified_claims(
        token,
        issuer=platform.issuer,
        client_id=platform.client_id,
        key_set_url=platform.key_set_url,
        key_sets=services.key_sets,
        also_audiences=platform.product.get("audiences", ()),
        audience_hint=services.audience_hint(platform),
    )
    if not hmac.compare_digest(hashed(claims["nonce"]), login.nonce_hash):
        raise LaunchError(f"This launch answers another login. {AGAIN}", code="nonce")
    launch = _launch(services, platform, claims)
    proved = any(hmac.compare_digest(hashed(value), login.browser_hash) for value in cookies)
    if cookies and not proved:
        raise LaunchError(
            f"This launch was begun in another browser or window. {AGAIN}",
            code="other_browser",
            status=403,
        )
    deployment = _deployment(services, platform, launch)
    if proved:
        _consume(services, login, STARTED)
        return Accepted(launch, platform, *deployment)
    ticket = _wait(services, login, claims)
    return Accepted(launch, platform, *deployment, ticket, login.storage_target)


def _launch(services: LaunchServices, platform: Platform, claims: Mapping[str, Any]) -> Launch:
    """What the platform itself signed wins over what somebody wrote as a custom parameter."""
    launch = parse_launch(claims, services.base_url)
    told = custom_parameters(dict(services.told_besides(platform, claims)))
    return replace(launch, custom={**launch.custom, **told}) if told else launch


def open_window(services: LaunchServices, ticket: str) -> tuple[Accepted, str]:
    """A waiting launch goes on in a window of its own, where the browser keeps our cookie: who
    waits, and the new secret for that cookie; the login's own one no longer counts. Nothing is let
    in yet. Raises LaunchError."""
    login, platform, claims = _waiting(services, ticket)
    launch = _launch(services, platform, claims)
    deployment = _deployment(services, platform, launch)
    secret = secrets.token_urlsafe(32)
    with services.sessions.begin() as session:
        session.execute(
            update(Login)
            .where(Login.state_hash == login.state_hash, Login.stage == WAITING)
            .values(browser_hash=hashed(secret))
        )
    return Accepted(launch, platform, *deployment, ticket), secret


def prove_launch(services: LaunchServices, ticket: str, given: Collection[str]) -> Accepted:
    """Finish a waiting launch with the secret that platform storage or the window's cookie kept,
    one of `given`. Raises LaunchError."""
    login, platform, claims = _waiting(services, ticket)
    if not any(hmac.compare_digest(hashed(each), login.browser_hash) for each in given):
        raise LaunchError(
            f"This launch was begun in another browser or window. {AGAIN}",
            code="other_browser",
            status=403,
        )
    launch = _launch(services, platform, claims)
    deployment = _deployment(services, platform, launch)
    _consume(services, login, WAITING)
    return Accepted(launch, platform, *deployment)


def _waiting(services: LaunchServices, ticket: str) -> tuple[Login, Platform, dict[str, Any]]:
    with services.sessions() as session:
        login = session.get(Login, _state_of(ticket))
        platform = session.get(Platform, login.platform_id) if login else None
    sealed = _opened(services, login)
    expected = str(sealed.get("ticket", ""))
    if login is None or platform is None or not hmac.compare_digest(expected, hashed(ticket)):
        raise _used_up()
    return login, platform, sealed["claims"]


def _login(services: LaunchServices, state: str, stage: str) -> tuple[Login, Platform]:
    with services.sessions() as session:
        found = session.execute(
            select(Login, Platform)
            .join(Platform, Platform.id == Login.platform_id)
            .where(
                Login.state_hash == hashed(state),
                Login.stage == stage,
                Login.expires_at > clock.now(),
            )
        ).first()
    if found is None:
        raise _used_up()
    return found[0], found[1]


def _used_up() -> LaunchError:
    return LaunchError(
        f"This launch has been used already, or it waited for more than ten minutes. {AGAIN}",
        code="used_up",
        status=403,
    )


def _consume(services: LaunchServices, login: Login, stage: str) -> None:
    """The row's deletion is what makes a launch single-use: of two at once, one deletes it."""
    with services.sessions.begin() as session:
        gone = session.execute(
            delete(Login).where(Login.state_hash == login.state_hash, Login.stage == stage)
        )
        if not getattr(gone, "rowcount", 0):
            raise _used_up()


def _wait(services: LaunchServices, login: Login, claims: Mapping[str, Any]) -> str:
    ticket = f"{login.state_hash}.{secrets.token_urlsafe(32)}"
    with services.sessions.begin() as session:
        moved = session.execute(
            update(Login)
            .where(Login.state_hash == login.state_hash, Login.stage == STARTED)
            .values(
                stage=WAITING,
                launch=services.cipher.seal({"claims": dict(claims), "ticket": hashed(ticket)}),
            )
        )
        if not getattr(moved, "rowcount", 0):
            raise _used_up()
    return ticket


def _state_of(ticket: str) -> str:
    return ticket.partition(".")[0]


def _opened(services: LaunchServices, login: Login | None) -> dict[str, Any]:
    if login is None or login.stage != WAITING or login.expires_at <= clock.now():
        return {}
    return services.cipher.unseal(login.launch)


def _deployment(services: LaunchServices, platform: Platform, launch: Launch) -> tuple[str, str]:
    """The deployment's row and whose it is. An unknown one is noted for the admin, once."""
    with services.sessions() as session:
        row = session.scalar(
            select(Deployment).where(
                Deployment.platform_id == platform.id,
                Deployment.deployment_id == launch.deployment_id,
            )
        )
    if row is None:
        with services.sessions.begin() as session:
            row = _noted(session, platform, launch)
    if row.state == APPROVED and row.institution_id and platform.archived_at is None:
        return row.id, row.institution_id
    raise UnknownDeployment(platform.id, launch.deployment_id, launch.return_url)


def _noted(session: Session, platform: Platform, launch: Launch) -> Deployment:
    # Where institutions share a client id, only a person can say whose it is.
    approved = platform.trust_all_deployments and platform.institution_id is not None
    new = {
        "platform_id": platform.id,
        "deployment_id": launch.deployment_id,
        "guid": launch.platform_guid,
        "state": APPROVED if approved else PENDING,
    }
    insert_missing(session, Deployment, [new], "platform_id", "deployment_id")
    return session.scalars(
        select(Deployment).where(
            Deployment.platform_id == platform.id,
            Deployment.deployment_id == launch.deployment_id,
        )
    ).one()


_REASONS = {
    "login_required": "you are not logged in to your LMS, or your browser blocks its cookies here",
    "launch_no_longer_valid": "this launch was used already",
    "unauthorized_client": "this tool is switched off in your LMS",
    "access_denied": "you are logged in as another person than the one who opened the link",
    "invalid_request_object": "the LMS could not read its own launch",
}


def _refused_by_platform(given: Mapping[str, str]) -> LaunchError:
    code = "".join(letter for letter in given["error"][:60] if letter.isalnum() or letter in "_-")
    reason = _REASONS.get(code, f"it answered “{code or 'error'}”")
    return LaunchError(
        f"Your LMS did not let the launch through: {reason}. {AGAIN}", code=f"platform_{code}"
    )
