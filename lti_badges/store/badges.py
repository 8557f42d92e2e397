"""Badge backends and the achievements that can be earned there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from lti_badges.store.base import Base, UtcDateTime, new_id, now
from lti_badges.store.institutions import DEFAULT_INSTITUTION


class BackendRow(Base):
    """A configured badge backend. `secrets` is sealed. `paused_until` holds all its deliveries
    back (Retry-After, or a circuit opened by failures); `error` is why, as a sentence. Its own
    badges were last listed at `listed_at`, `listing_error` is why that failed since, and
    `awards_itself` names what it awards without us. What the last reconciliation found is
    `reconciled`: checked, revoked, missing, foreign, error. `minute_sends` counts the awards of the
    last minute by the second, where their number is limited. `consent` is none, inform or ask.

    `rate` is how many calls a second it takes, as learned; `rate_at` when that changed last,
    `rate_since` when it was first learned, `rate_ceiling` what it refused last, `next_call` the
    next free turn (epoch seconds). `creating` names a badge whose making was not answered."""

    __tablename__ = "backends"
    __table_args__ = (UniqueConstraint("institution_id", "name"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    institution_id: Mapped[str] = mapped_column(
        ForeignKey("institutions.id", ondelete="RESTRICT"), default=DEFAULT_INSTITUTION
    )
    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(40))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    secrets: Mapped[str | None] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(Boolean, default=False)
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None] = mapped_column(Text)
    error_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    minute_sends: Mapped[list[tuple[int, int]] | None] = mapped_column(JSON(none_as_null=True))
    rate: Mapped[float | None] = mapped_column(Float)
    rate_at: Mapped[float | None] = mapped_column(Float)
    rate_since: Mapped[float | None] = mapped_column(Float)
    rate_ceiling: Mapped[float | None] = mapped_column(Float)
    next_call: Mapped[float | None] = mapped_column(Float)
    creating: Mapped[str | None] = mapped_column(String(255))
    listed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    listing_error: Mapped[str | None] = mapped_column(Text)
    awards_itself: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    reconciled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reconciled: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    consent: Mapped[str] = mapped_column(String(10), default="none", server_default="none")


def _owner_of_backend(context: Any) -> str:
    """Column default: a badge belongs to its backend's institution."""
    table = BackendRow.__table__
    backend_id = context.get_current_parameters()["backend_id"]
    owner = context.connection.scalar(
        select(table.c.institution_id).where(table.c.id == backend_id)
    )
    return str(owner or DEFAULT_INSTITUTION)


class Achievement(Base):
    """A badge to be earned. `ref` is the backend's own id; `image` an uploaded picture, or None
    for a generated one. `course_id` is set when it was made inside a course."""

    __tablename__ = "achievements"
    __table_args__ = (UniqueConstraint("backend_id", "ref"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    institution_id: Mapped[str] = mapped_column(
        ForeignKey("institutions.id", ondelete="RESTRICT"), default=_owner_of_backend, index=True
    )
    backend_id: Mapped[str] = mapped_column(ForeignKey("backends.id", ondelete="RESTRICT"))
    ref: Mapped[str] = mapped_column(String(500))
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    criteria: Mapped[str] = mapped_column(Text)
    image: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    image_type: Mapped[str | None] = mapped_column(String(40))
    url: Mapped[str | None] = mapped_column(Text)
    course_id: Mapped[str | None] = mapped_column(ForeignKey("courses.id", ondelete="SET NULL"))
    archived: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    backend: Mapped[BackendRow] = relationship()


class IssuedCredential(Base):
    """A credential of the built-in issuer, as signed. One per award, by primary key."""

    __tablename__ = "credentials"
    __table_args__ = (
        UniqueConstraint("status_list", "status_index"),
        Index(None, "backend_id"),
        Index(None, "achievement_id"),
        Index(
            "ix_credentials_revoked",
            "status_list",
            postgresql_where=text("revoked_at IS NOT NULL"),
            sqlite_where=text("revoked_at IS NOT NULL"),
        ),
    )

    award_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    backend_id: Mapped[str] = mapped_column(ForeignKey("backends.id", ondelete="RESTRICT"))
    achievement_id: Mapped[str] = mapped_column(ForeignKey("achievements.id", ondelete="RESTRICT"))
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    jwt: Mapped[str] = mapped_column(Text)
    ob2: Mapped[dict[str, Any]] = mapped_column(JSON)
    status_list: Mapped[str] = mapped_column(String(36))
    status_index: Mapped[int] = mapped_column(Integer)
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revocation_reason: Mapped[str | None] = mapped_column(Text)
