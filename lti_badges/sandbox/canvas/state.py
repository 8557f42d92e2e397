"""What the sandbox's Canvas keeps besides people, courses and grades."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from lti_badges.sandbox.model import Person


@dataclass
class CanvasState:
    """Credentials of its API, what they may ask, the quota, and what teachers changed.

    `scopes` None is a token of a key without “Enforce scopes”; `quota` is the leaky bucket's
    content, `cost` what each call takes from it, `refill` what comes back meanwhile.
    """

    client_id: str = "10000000000001"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    refresh_token: str = field(default_factory=lambda: secrets.token_hex(16))
    scopes: set[str] | None = None
    tokens: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    quota: float = 700.0
    most: float = 700.0
    cost: float = 1.0
    refill: float = 1.0
    concluded: set[str] = field(default_factory=set)
    """Learners whose enrolment is completed, as at the end of a term."""
    overrides: dict[str, float] = field(default_factory=dict)
    """Final grades that a teacher set by hand, in percent."""
    group_rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Rules of assignment groups, such as {"drop_lowest": 1}, by name."""
    string_ids: bool = False
    """Whether ids are texts though nobody asked for that."""
    notice_handlers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the tool asked to be told, by notice type."""

    def new_token(self) -> str:
        """One more access token."""
        made = secrets.token_urlsafe(24)
        self.tokens.add(made)
        return made

    def enrolment_of(self, person: Person) -> str:
        """The state of a learner's enrolment."""
        if person.sub in self.concluded:
            return "completed"
        return "active" if person.active else "inactive"
