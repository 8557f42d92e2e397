"""What is known of one member when a rule is judged."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lti_badges.values.course import COURSE_COMPLETION, COURSE_GRADE_KEY, Completion, Result


@dataclass(frozen=True, slots=True)
class Facts:
    """One member's results by line-item key, completions by activity key, badges held by id.

    A key that is absent was never read: its criterion is unknown. `sources` says in words
    where each key is read from; `labels` what each item is called now, `gone` lists the items that
    the course no longer has.
    """

    results: Mapping[str, Result] = field(default_factory=dict)
    completions: Mapping[str, Completion] = field(default_factory=dict)
    badges_held: AbstractSet[str] = frozenset()
    sources: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    gone: AbstractSet[str] = frozenset()

    def drift(self, key: str, label: str) -> str | None:
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
