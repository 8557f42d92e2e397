"""What the sandbox's Blackboard keeps besides people, courses and grades."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

RIGHTS = frozenset(
    {
        "course.gradebook.MODIFY",
        "course.user.VIEW",
        "course.performance.dashboard.VIEW",
        "course.group.VIEW",
        "course.children.VIEW",
    }
)
QUOTA = 10_000


@dataclass
class BlackboardState:
    """The REST application, the rights of the user it is bound to, and what courses hold.

    `left` is what is left of the day's calls of all customers of the application, `calls` counts
    those that were answered. `percent_of_total` makes the overall grade's `score` the percentage
    that its `text` shows, in place of points. `children` are merged courses' people by child.
    `seen` and `indexes` are each column's change index.
    """

    key: str = field(default_factory=lambda: secrets.token_hex(8))
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    rights: set[str] = field(default_factory=lambda: set(RIGHTS))
    tokens: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    refresh_token: str = ""
    left: int = QUOTA
    calls: int = 0
    percent_of_total: bool = True
    children: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    indexes: dict[tuple[str, str, str], int] = field(default_factory=dict)
    last_index: int = 7_904_000

    def new_token(self) -> str:
        """One more access token."""
        made = secrets.token_urlsafe(24)
        self.tokens.add(made)
        return made

    def changed(self, course: str, column: str, person: str, value: Any) -> int | None:
        """The grade's change index: higher whenever the value is another; None when it never
        had one."""
        where = (course, column, person)
        if where not in self.seen and value is None:
            return None
        if where not in self.seen or self.seen[where] != value:
            self.seen[where] = value
            self.last_index += 1
            self.indexes[where] = self.last_index
        return self.indexes[where]
