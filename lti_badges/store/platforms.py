"""Platforms (registered LMSes), their deployments, changes that wait, and logins under way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lti_badges.store.base import Base, UtcDateTime, new_id, now
from lti_badges.store.institutions import DEFAULT_INSTITUTION


class Platform(Base):
    """An LMS registered with us, found by (issuer, client_id): issuers may be shared.

    `lms` is the key of a vendor class; `connection` holds the sealed credentials of its REST API.
    `institution_id` is whose it is; None where institutions share it, each with deployments of its
    own. An archived one lets nobody in; its courses and awards stay. `admits_admins` lets its
    administrators open the console of their institution.
    """

    __tablename__ = "platforms"
    __table_args__ = (UniqueConstraint("issuer", "client_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    institution_id: Mapped[str | None] = mapped_column(
        String(36).evaluates_none(),
        ForeignKey("institutions.id", ondelete="RESTRICT"),
        default=DEFAULT_INSTITUTION,
    )
    lms: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(255), default="")
    issuer: Mapped[str] = mapped_column(String(500))
    client_id: Mapped[str] = mapped_column(String(255))
    auth_login_url: Mapped[str] = mapped_column(Text)
    auth_token_url: Mapped[str] = mapped_column(Text)
    key_set_url: Mapped[str] = mapped_column(Text)
    auth_audience: Mapped[str | None] = mapped_column(Text)
    trust_all_deployments: Mapped[bool] = mapped_column(Boolean, default=False)
    guid: Mapped[str | None] = mapped_column(String(255))
    product: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    connection: Mapped[str | None] = mapped_column(Text)
    connection_error: Mapped[str | None] = mapped_column(Text)
    connection_checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    scores_paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    scores_failures: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    last_launch_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    admits_admins: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    deployments: Mapped[list[Deployment]] = relationship(
        back_populates="platform", cascade="all, delete-orphan"
    )


def _owner_of_platform(context: Any) -> str | None:
    """Column default: a deployment belongs to whoever owns the platform."""
    platform_id = context.get_current_parameters()["platform_id"]
    table = Platform.__table__
    owner: str | None = context.connection.scalar(
        select(table.c.institution_id).where(table.c.id == platform_id)
    )
    return owner


class Deployment(Base):
    """A deployment_id within a platform; `state` is `pending` until an admin approves it, and
    `institution_id` None until it is given to one.

    `connection` holds, sealed, credentials for the own API of this deployment's institution, where
    the platform's others have other ones. `notices_url` is where notices are ordered (Platform
    Notification Service 1.0), `notices_due_at` when that is due.
    """

    __tablename__ = "deployments"
    __table_args__ = (UniqueConstraint("platform_id", "deployment_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    platform_id: Mapped[str] = mapped_column(ForeignKey("platforms.id", ondelete="CASCADE"))
    institution_id: Mapped[str | None] = mapped_column(
        String(36).evaluates_none(),
        ForeignKey("institutions.id", ondelete="RESTRICT"),
        default=_owner_of_platform,
        index=True,
    )
    deployment_id: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(20), default="pending")
    guid: Mapped[str | None] = mapped_column(String(255))
    connection: Mapped[str | None] = mapped_column(Text)
    notices_url: Mapped[str | None] = mapped_column(Text)
    notices_error: Mapped[str | None] = mapped_column(Text)
    notices_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    platform: Mapped[Platform] = relationship(back_populates="deployments")


class Login(Base):
    """A login under way: its state and nonce are used once, within ten minutes.

    Hashes only: who reads the table can't continue a login. `stage` is `started` (sent to the
    platform) or `waiting` (id_token accepted, the browser has yet to prove itself); `launch`
    then holds the sealed launch. The row is deleted when the launch is done.
    """

    __tablename__ = "logins"
    __table_args__ = (Index(None, "expires_at"),)

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    nonce_hash: Mapped[str] = mapped_column(String(64))
    browser_hash: Mapped[str] = mapped_column(String(64))
    platform_id: Mapped[str] = mapped_column(ForeignKey("platforms.id", ondelete="CASCADE"))
    storage_target: Mapped[str | None] = mapped_column(String(255))
    stage: Mapped[str] = mapped_column(String(20), default="started")
    launch: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Invitation(Base):
    """A one-time dynamic-registration address; only the hash of its secret is kept."""

    __tablename__ = "invitations"

    secret_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    institution_id: Mapped[str] = mapped_column(
        ForeignKey("institutions.id", ondelete="CASCADE"), default=DEFAULT_INSTITUTION
    )
    lms: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    platform_id: Mapped[str | None] = mapped_column(ForeignKey("platforms.id", ondelete="SET NULL"))


class PlatformChange(Base):
    """What a registration would change in a platform that is known already: it waits until an admin
    confirms it. `proposed` holds the new values by column; `decision` is confirmed or rejected."""

    __tablename__ = "platform_changes"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    platform_id: Mapped[str] = mapped_column(ForeignKey("platforms.id", ondelete="CASCADE"))
    institution_id: Mapped[str] = mapped_column(ForeignKey("institutions.id", ondelete="CASCADE"))
    proposed: Mapped[dict[str, Any]] = mapped_column(JSON)
    deployment_id: Mapped[str | None] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decision: Mapped[str | None] = mapped_column(String(20))

    platform: Mapped[Platform] = relationship()
