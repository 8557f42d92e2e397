"""Persons behind course members, and what they agreed to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lti_badges.store.base import Base, UtcDateTime, new_id, now


class Person(Base):
    """One `sub` of a platform within an institution: the same learner in all its courses. Of
    whoever was erased a row without identity stays, for what their awards and receipts refer to."""

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("institution_id", "platform_id", "sub"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    institution_id: Mapped[str] = mapped_column(ForeignKey("institutions.id", ondelete="RESTRICT"))
    platform_id: Mapped[str] = mapped_column(ForeignKey("platforms.id", ondelete="CASCADE"))
    sub: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(500))
    email: Mapped[str | None] = mapped_column(String(320), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Consent(Base):
    """A receipt: what a person said about one backend, when, and to which words. The latest one
    counts; none is ever changed. `state` is agreed, declined or withdrawn."""

    __tablename__ = "consents"
    __table_args__ = (Index(None, "person_id", "backend_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    backend_id: Mapped[str] = mapped_column(ForeignKey("backends.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(20))
    recipient: Mapped[str] = mapped_column(String(255))
    items: Mapped[list[str]] = mapped_column(JSON, default=list)
    wording: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
