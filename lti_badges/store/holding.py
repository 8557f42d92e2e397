"""Badges that somebody got or lost, until everybody whose rules ask for them is marked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from lti_badges.store.base import Base, UtcDateTime


class HoldingChange(Base):
    """An award that began or ceases to count as a badge held, at `due_at`: at once, or when it
    expires. Written in the transaction that changed the award, deleted once the members are marked
    whose rules ask for the badge, in whatever course."""

    __tablename__ = "holding_changes"
    __table_args__ = (Index(None, "due_at"), Index(None, "award_id"))

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    award_id: Mapped[str] = mapped_column(ForeignKey("awards.id", ondelete="CASCADE"))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
