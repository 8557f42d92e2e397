"""What follows when a grade later falls below a rule's threshold, and what a rule passes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_GRACE_DAYS = 365


class OnFall(StrEnum):
    """KEEP the badge (default), FLAG it for the instructor's review, or REVOKE after grace."""

    KEEP = "keep"
    FLAG = "flag"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Policy:
    """`grace_days` counts from when the fall was first seen; it matters for REVOKE only."""

    on_fall: OnFall = OnFall.KEEP
    grace_days: int = 7
    pass_back: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.grace_days <= MAX_GRACE_DAYS:
            raise ValueError(f"the grace period must be from 0 to {MAX_GRACE_DAYS} days")
