"""What a reading costs an LMS: calls of its own API, counted as they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lti_badges.core.http import Reply


@dataclass(slots=True)
class Calls:
    """Calls `made` in one opening of a course; `limit` and `left` are what the site's answers
    named last of its quota for the day, where they do."""

    made: int = 0
    limit: int | None = None
    left: int | None = None


class Quota(Protocol):
    """A vendor's limit of calls: asked before each call, told after it."""

    def ask(self) -> None:
        """Raises PlatformDown where the call must wait."""

    def note(self, reply: Reply) -> None:
        """What the answer says of it."""
