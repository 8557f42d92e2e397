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
    where each key is read from.
    """

    results: Mapping[str, Result] = field(default_factory=dict)
    completions: Mapping[str, Completion] = field(default_factory=dict)
    badges_held: AbstractSet[str] = frozenset()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def course_grade(self) -> Result | None:
        """The course grade, if it was ever read."""
        return self.results.get(COURSE_GRADE_KEY)

    @property
    def course_completion(self) -> Completion | None:
        """The course completion, if it was ever read."""
        return self.completions.get(COURSE_COMPLETION)
