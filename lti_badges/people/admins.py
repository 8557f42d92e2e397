"""Admins of the console: named, let in by one-time links, each signed-in console a session that can
be listed and ended."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core import clock, text
from lti_badges.core.errors import InvalidInput, LaunchError, NotFound
from lti_badges.ledger.audit import ADDRESS, record
from lti_badges.store import Admin, AdminLink, AdminSession, Platform

LINK_LIFE, SETUP_LIFE = timedelta(minutes=10), timedelta(days=1)
IDLE, LONGEST = timedelta(hours=2), timedelta(hours=12)
NOTED_EVERY = timedelta(minutes=1)
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose console it is; without an institution an operator's, who sees all."""

    session_id: str
    admin_id: str
    name: str
    institution_id: str | None

    @property
    def is_operator(self) -> bool:
        """Whether they see every institution."""
        return self.institution_id is None


class NeedsName(LaunchError):
    """The setup address is good; the first admin has yet to say who they are."""

    def __init__(self) -> None:
        super().__init__("Say who you are: the console is opened by named admins.", code="name")


def admin_link(
    installation: ToolContext,
    name: str,
    institution_id: str | None,
    *,
    by: str,
    email: str | None = None,
) -> str:
    """The secret of a one-time address for an admin of this name, made if there is none yet; with
    an e-mail address they are known by at the single sign-on, too. Raises InvalidInput."""
    with installation.sessions.begin() as session:
        row = session.scalar(
            select(Admin).where(
                Admin.name == _checked(name),
                Admin.institution_id == institution_id
                if institution_id
                else Admin.institution_id.is_(None),
                Admin.removed_at.is_(None),
            )
        )
        if row is None:
            row = _made(session, name, institution_id, by)
        if email is not None:
            _name_address(session, row, email, by)
        return _link(session, row.id, LINK_LIFE)


def setup_link(installation: ToolContext) -> str | None:
    """The secret of the setup address of a fresh installation: while nobody is an admin, and no LMS
    is registered. Only the newest one is good."""
    with installation.sessions.begin() as session:
        if session.scalar(select(Admin.id).limit(1)) or session.scalar(
            select(Platform.id).limit(1)
        ):
            return None
        session.execute(delete(AdminLink).where(AdminLink.admin_id.is_(None)))
        return _link(session, None, SETUP_LIFE)


def open_link(
    installation: ToolContext, secret: str, *, browser: str = "", name: str = ""
) -> tuple[str, SignedIn]:
    """A session's token, for a link that nobody has used: really once, however many try at the same
    moment. Raises NeedsName for a setup address without the first admin's name, and LaunchError."""
    with installation.sessions.begin() as session:
        link = session.get(AdminLink, _hashed(secret))
        if link is None or link.used_at is not None or link.expires_at <= clock.now():
            raise _fresh()
        if link.admin_id is None and not name.strip():
            raise NeedsName
        used = session.execute(
            update(AdminLink)
            .where(AdminLink.secret_hash == link.secret_hash, AdminLink.used_at.is_(None))
            .values(used_at=clock.now())
        )
        if not getattr(used, "rowcount", 0):
            raise _fresh()
        if link.admin_id is None:
            admin = _made(session, name, None, name.strip())
        else:
            admin = session.get_one(Admin, link.admin_id)
        if admin.removed_at is not None:
            raise _fresh()
        return _opened(session, admin, "link", browser)


def open_for(
    installation: ToolContext, subject: str, email: str | None, *, browser: str = ""
) -> tuple[str, SignedIn]:
    """A session's token for whom a single sign-on vouches: an admin it vouched for before, or one
    known by this verified address, who is theirs from then on. Raises LaunchError."""
    with installation.sessions.begin() as session:
        stays = Admin.removed_at.is_(None)
        admin = session.scalar(select(Admin).where(Admin.subject == subject, stays))
        if admin is None and email:
            unclaimed = (Admin.email == email, Admin.subject.is_(None), stays)
            admin = session.scalar(select(Admin).where(*unclaimed).with_for_update())
            if admin is not None:
                admin.subject = subject
        if admin is None:
            raise LaunchError(
                "You are signed in there, but no admin of this console is known by your address. "
                "Ask an operator: lti-badges admin --name NAME --email ADDRESS lets you in.",
                code="sso_unknown",
                status=403,
            )
        return _opened(session, admin, "sso", browser)


def signed_in(installation: ToolContext, token: str) -> SignedIn:
    """Who holds a session's token. Raises LaunchError when it was ended, is idle or too old."""
    now = clock.now()
    with installation.sessions() as session:
        found = session.execute(
            select(AdminSession, Admin)
            .join(Admin, Admin.id == AdminSession.admin_id)
            .where(
                AdminSession.token_hash == _hashed(token),
                AdminSession.ended_at.is_(None),
                AdminSession.seen_at > now - IDLE,
                AdminSession.created_at > now - LONGEST,
                Admin.removed_at.is_(None),
            )
        ).first()
    if found is None:
        raise _fresh()
    row, admin = found
    if now - row.seen_at > NOTED_EVERY:
        with installation.sessions.begin() as session:
            session.execute(
                update(AdminSession).where(AdminSession.id == row.id).values(seen_at=now)
            )
    return SignedIn(row.id, admin.id, admin.name, admin.institution_id)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One signed-in console."""

    id: str
    admin: str
    address: str
    browser: str
    created_at: datetime
    seen_at: datetime


def open_sessions_of(installation: ToolContext, who: SignedIn) -> list[OpenSession]:
    """The consoles that are open: an operator sees all, an admin those of their institution."""
    with installation.sessions() as session:
        query = (
            select(AdminSession, Admin.name)
            .join(Admin, Admin.id == AdminSession.admin_id)
            .where(
                AdminSession.ended_at.is_(None),
                AdminSession.seen_at > clock.now() - IDLE,
                AdminSession.created_at > clock.now() - LONGEST,
            )
            .order_by(AdminSession.created_at.desc())
        )
        if who.institution_id is not None:
            query = query.where(Admin.institution_id == who.institution_id)
        return [
            OpenSession(row.id, name, row.address, row.browser, row.created_at, row.seen_at)
            for row, name in session.execute(query)
        ]


def end_session(installation: ToolContext, session_id: str, who: SignedIn) -> None:
    """Sign a console out at once. Raises NotFound."""
    if session_id not in {each.id for each in open_sessions_of(installation, who)}:
        raise NotFound("There is no such session.")
    with installation.sessions.begin() as session:
        row = session.get_one(AdminSession, session_id)
        row.ended_at = clock.now()
        record(
            session,
            "admin_session_ended",
            actor=who.name,
            institution_id=who.institution_id,
            ended=session_id,
        )


def _opened(session: Session, admin: Admin, way: str, browser: str) -> tuple[str, SignedIn]:
    token = secrets.token_urlsafe(32)
    row = AdminSession(
        token_hash=_hashed(token),
        admin_id=admin.id,
        way=way,
        address=ADDRESS.get() or "",
        browser=browser[:255],
    )
    session.add(row)
    session.flush()
    institution_id = admin.institution_id
    record(session, "admin_signed_in", actor=admin.name, institution_id=institution_id, way=way)
    return token, SignedIn(row.id, admin.id, admin.name, institution_id)


def _name_address(session: Session, admin: Admin, given: str, by: str) -> None:
    """Another address, or another person's: who was known by the old one is no longer."""
    address = (text.email(given) or "").lower()
    if "@" not in address:
        raise InvalidInput(f"“{given[:60]}” is not an e-mail address.", field="email")
    other = session.scalar(
        select(Admin.name).where(
            Admin.email == address, Admin.id != admin.id, Admin.removed_at.is_(None)
        )
    )
    if other is not None:
        raise InvalidInput(f"“{other}” is known by {address} already.", field="email")
    if admin.email != address:
        admin.email, admin.subject = address, None
        record(
            session,
            "admin_address_set",
            actor=by,
            institution_id=admin.institution_id,
            name=admin.name,
        )


def _made(session: Session, name: str, institution_id: str | None, by: str) -> Admin:
    row = Admin(name=_checked(name), institution_id=institution_id)
    session.add(row)
    session.flush()
    record(session, "admin_added", actor=by, institution_id=institution_id, name=row.name)
    return row


def _link(session: Session, admin_id: str | None, life: timedelta) -> str:
    secret = secrets.token_urlsafe(32)
    session.add(
        AdminLink(secret_hash=_hashed(secret), admin_id=admin_id, expires_at=clock.now() + life)
    )
    return secret


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput(f"An admin needs a name of at most {MAX_NAME} characters.", field="name")
    return name


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _fresh() -> LaunchError:
    return LaunchError(
        "The console needs a fresh address: run “lti-badges admin” where the tool runs, and open "
        "what it prints. Each address opens it once.",
        code="admin",
        status=401,
    )
