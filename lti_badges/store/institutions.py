"""Institutions: who runs courses and issues badges here; nothing crosses between two."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, select
from sqlalchemy.orm import Mapped, Session, deferred, mapped_column

from lti_badges.store.base import Base, UtcDateTime, new_id, now

DEFAULT_INSTITUTION = "00000000-0000-4000-8000-000000000001"
"""The id of the one that every installation has; rows that name no other belong to it."""
DEFAULT_NAME = "default"
LOGO = "logo"
"""Where `branding` keeps the tag of the logo's bytes."""


class Institution(Base):
    """Owner of deployments, courses, people, backends, achievements, permissions and admins.

    `profile` is what the issuer says of itself (name, url, email, address), `branding` what pages
    look like (colour, the logo's tag), `settings` what the institution decided (consent wording,
    retention).
    """

    __tablename__ = "institutions"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    profile: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    branding: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    logo: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    logo_type: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)

    @property
    def is_default(self) -> bool:
        """Whether commands and rows that name none mean this one."""
        return self.id == DEFAULT_INSTITUTION


class Share(Base):
    """The operator lets an institution use another's backend (with the badges there that belong to
    no single course), or one badge. `kind` is backend or achievement."""

    __tablename__ = "shares"

    institution_id: Mapped[str] = mapped_column(
        ForeignKey("institutions.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    item_id: Mapped[str] = mapped_column(String(36), primary_key=True)


class RolePermissions(Base):
    """What a role may do in one institution, where that differs from the defaults."""

    __tablename__ = "role_permissions"

    institution_id: Mapped[str] = mapped_column(
        ForeignKey("institutions.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(String(100), primary_key=True)
    permissions: Mapped[list[str]] = mapped_column(JSON, default=list)


class Admin(Base):
    """Somebody who may open the console: of one institution, or, without one, of all (an operator).

    `subject` is their id at the single sign-on provider or the LMS they come from.
    """

    __tablename__ = "admins"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    institution_id: Mapped[str | None] = mapped_column(
        ForeignKey("institutions.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320))
    subject: Mapped[str | None] = mapped_column(String(600), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AdminLink(Base):
    """A one-time address of the console; only the hash of its secret is kept. Without an admin it
    is the setup address of a fresh installation."""

    __tablename__ = "admin_links"

    secret_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    admin_id: Mapped[str | None] = mapped_column(ForeignKey("admins.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AdminSession(Base):
    """A signed-in console, by the hash of its token; over when it is idle, ended or too old."""

    __tablename__ = "admin_sessions"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    admin_id: Mapped[str] = mapped_column(ForeignKey("admins.id", ondelete="CASCADE"), index=True)
    way: Mapped[str] = mapped_column(String(20), default="link")
    address: Mapped[str] = mapped_column(String(80), default="")
    browser: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def shown_name(name: str, profile: Mapping[str, Any]) -> str:
    """What to call an institution on its pages and in its credentials; “” while it has no name but
    the one that every installation begins with."""
    return str(profile.get("name") or ("" if name == DEFAULT_NAME else name))


def issuer_profile(session: Session, institution_id: str) -> dict[str, str]:
    """What an institution says of itself as an issuer: name, url, email, address, and `logo` if it
    has one. Read past the scope: a shared backend issues in its owner's name."""
    table = Institution.__table__
    columns = (table.c.name, table.c.profile, table.c.branding)
    row = session.execute(select(*columns).where(table.c.id == institution_id)).one()
    said = {key: str(value) for key, value in row.profile.items()}
    said["name"] = shown_name(row.name, row.profile)
    if row.branding.get(LOGO):
        said[LOGO] = str(row.branding[LOGO])
    return said


def ensure_institution(session: Session) -> None:
    """Make the default institution, if nobody has yet."""
    if session.scalar(select(Institution.id).where(Institution.id == DEFAULT_INSTITUTION)) is None:
        session.add(Institution(id=DEFAULT_INSTITUTION, name=DEFAULT_NAME))
        session.flush()
