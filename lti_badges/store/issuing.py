"""What issuing here keeps besides the credentials: places of status lists, and drawn pictures."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lti_badges.store.base import Base, UtcDateTime, new_id, now


class StatusList(Base):
    """How many places of a status list are taken. `seed` says in which order: one that nobody can
    guess, so that a place does not tell who was awarded before whom."""

    __tablename__ = "status_lists"
    __table_args__ = (Index(None, "backend_id", "taken"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    backend_id: Mapped[str] = mapped_column(ForeignKey("backends.id", ondelete="CASCADE"))
    seed: Mapped[str] = mapped_column(String(36), default=new_id)
    taken: Mapped[int] = mapped_column(Integer, default=0)

    def place(self, number: int, length: int) -> int:
        """The place of the credential with this number: each place once (a Feistel network over
        the numbers of 18 bits, walked until one is below `length`)."""
        at = number
        while True:
            left, right = at >> 9, at & 0x1FF
            for turn in range(4):
                mixed = hashlib.sha256(f"{self.seed} {turn} {right}".encode()).digest()
                left, right = right, left ^ (int.from_bytes(mixed[:2]) & 0x1FF)
            at = left << 9 | right
            if at < length:
                return at


class DrawnPicture(Base):
    """A PNG drawn from an SVG, found by the SVG's hash: drawn once, whoever asks."""

    __tablename__ = "drawn_pictures"

    svg_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    png: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
