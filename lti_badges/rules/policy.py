"""What follows when a grade later falls below a rule's threshold, how long a badge is valid, and
what a rule passes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

MAX_GRACE_DAYS = 365
MAX_VALID_DAYS = 36_500
MAX_SETTLE_MINUTES = 7 * 24 * 60


class OnFall(StrEnum):
    """KEEP the badge (default), FLAG it for the instructor's review, or REVOKE after grace."""

    KEEP = "keep"
    FLAG = "flag"
    REVOKE = "revoke"


class CountsAt(StrEnum):
    """Which of the LMS's times says when a grade was achieved; a completion has its own."""

    GRADED = "graded"
    SUBMITTED = "submitted"
    POSTED = "posted"


@dataclass(frozen=True, slots=True)
class Policy:
    """`grace_days` counts from when the fall was first seen; it matters for REVOKE only. A badge is
    valid for `valid_days` from when it was achieved, or to the end of the day `valid_until` (UTC),
    whichever ends first; for ever if neither is given.

    It is given from the day `not_before` on, `delay_days` after the rule was met, and only for what
    was met by the end of the day `not_after` (UTC). Where the LMS tells no time of its own, that is
    what may have been met by then: the reading before the first that showed it began before.

    `counts_hidden` takes grades that learners can't see yet; a grade counts once it has stood for
    `settle_minutes`, for LMSes that recalculate. When it was achieved is the LMS's time that
    `counts_at` names; where it tells none, the first reading that showed it. `may_show_result` lets
    learners show theirs on the badge's public page."""

    on_fall: OnFall = OnFall.KEEP
    grace_days: int = 7
    pass_back: bool = False
    valid_days: int | None = None
    valid_until: date | None = None
    not_before: date | None = None
    not_after: date | None = None
    delay_days: int = 0
    counts_hidden: bool = False
    settle_minutes: int = 0
    counts_at: CountsAt = CountsAt.GRADED
    may_show_result: bool = False

    def opens_at(self, met_since: datetime) -> datetime:
        """From when a badge is given for what has been met since then."""
        opens = met_since + timedelta(days=self.delay_days)
        if self.not_before is None:
            return opens
        return max(opens, datetime.combine(self.not_before, time.min, UTC))

    @property
    def last_moment(self) -> datetime | None:
        """The end of the rule's last day."""
        return None if self.not_after is None else _end_of(self.not_after)

    def is_too_late(self, met_since: datetime) -> bool:
        """Whether it was met only after the rule's last day."""
        return self.last_moment is not None and met_since > self.last_moment

    def expires_at(self, achieved_at: datetime) -> datetime | None:
        """When a badge achieved then expires."""
        ends = []
        if self.valid_days is not None:
            ends.append(achieved_at + timedelta(days=self.valid_days))
        if self.valid_until is not None:
            ends.append(_end_of(self.valid_until))
        return min(ends, default=None)

    def __post_init__(self) -> None:
        if self.valid_days is not None and not 1 <= self.valid_days <= MAX_VALID_DAYS:
            raise ValueError(f"a badge must be valid from 1 to {MAX_VALID_DAYS} days")
        if not 0 <= self.grace_days <= MAX_GRACE_DAYS:
            raise ValueError(f"the grace period must be from 0 to {MAX_GRACE_DAYS} days")
        if not 0 <= self.settle_minutes <= MAX_SETTLE_MINUTES:
            raise ValueError(f"a grade can be waited for from 0 to {MAX_SETTLE_MINUTES} minutes")
        if not 0 <= self.delay_days <= MAX_GRACE_DAYS:
            raise ValueError(f"a badge can wait from 0 to {MAX_GRACE_DAYS} days")
        if self.not_before and self.not_after and self.not_before > self.not_after:
            raise ValueError("a rule can't end before it begins")


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time.max, UTC).replace(microsecond=0)
