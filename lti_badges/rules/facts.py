"""What is known of one member when a rule is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lti_badges.rules.policy import CountsAt, Policy
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Completion,
    Result,
    ResultState,
)

BY_READING, BY_COMPLETION, BY_BADGE = "read", "completed", "badge"
"""Whose time it is, besides those of `CountsAt`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One member's results by line-item key, completions by activity key, badges held by id.

    A key that is absent was never read: its criterion is unknown. `sources` says in words
    where each key is read from; `labels` what each item is called now, `gone` lists the items that
    the course no longer has. `readings` are the last readings of all values, as pairs of when they
    began and ended; `last_moment` is the end of the rule's last day.
    """

    results: Mapping[str, Result] = field(default_factory=dict)
    completions: Mapping[str, Completion] = field(default_factory=dict)
    badges_held: AbstractSet[str] = frozenset()
    badges_since: Mapping[str, datetime] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    gone: AbstractSet[str] = frozenset()
    unsettled: bool = False
    counts_at: CountsAt = CountsAt.GRADED
    readings: Sequence[tuple[datetime, datetime]] = ()
    last_moment: datetime | None = None

    def under(self, policy: Policy, now: datetime) -> Facts:
        """The same as a rule with this policy may take them: hidden grades count or not, and those
        that changed just now are still pending (`unsettled` when there is one)."""
        asked = replace(self, counts_at=policy.counts_at, last_moment=policy.last_moment)
        if not policy.counts_hidden and not policy.settle_minutes:
            return asked
        settled = now - timedelta(minutes=policy.settle_minutes)
        results, unsettled = {}, False
        for key, result in self.results.items():
            state = result.state
            is_told = result.score is not None or result.mark is not None
            if policy.counts_hidden and state is ResultState.HIDDEN and is_told:
                state = ResultState.GRADED
            changed_at = result.changed_at
            if state is ResultState.GRADED and changed_at is not None and changed_at > settled:
                state, unsettled = ResultState.PENDING, True
            results[key] = replace(result, state=state)
        return replace(asked, results=results, unsettled=unsettled)

    def when(self, result: Result) -> tuple[datetime, str]:
        """When a result was achieved, and whose time that is: the LMS's own that the rule asks
        for, else `read`, the first reading that showed it."""
        told = {
            CountsAt.GRADED: result.graded_at,
            CountsAt.SUBMITTED: result.submitted_at,
            CountsAt.POSTED: result.posted_at,
        }[self.counts_at]
        if told is None:
            return self.first_seen(result.changed_at or result.read_at), BY_READING
        return min(told, result.read_at), self.counts_at.value

    def first_seen(self, at: datetime) -> datetime:
        """When something was achieved of which only the first reading that showed it is known: it
        happened since the reading before. Where the rule's last day ended in between, it counts as
        done at that day's end, in the learner's favour."""
        last = self.last_moment
        if last is None or at <= last:
            return at
        before = max((began for began, ended in self.readings if ended < at), default=None)
        return last if before is not None and before <= last else at

    def item_change(self, key: str, label: str) -> str | None:
        """Why an item can't be judged as the rule knows it: it is gone, or has another name."""
        if key in self.gone:
            return "is no longer in the course; the instructor has to choose another"
        now = self.labels.get(key, label)
        return f"is called “{now}” now; the instructor has to confirm it" if now != label else None

    @property
    def course_grade(self) -> Result | None:
        """The course grade, if it was ever read."""
        return self.results.get(COURSE_GRADE_KEY)

    @property
    def course_completion(self) -> Completion | None:
        """The course completion, if it was ever read."""
        return self.completions.get(COURSE_COMPLETION)
