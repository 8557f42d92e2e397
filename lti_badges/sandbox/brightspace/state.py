"""What the sandbox's Brightspace keeps besides people, courses and grades."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime

ALL = frozenset(
    {
        "users:own_profile:read",
        "grades:gradeobjects:read",
        "grades:gradevalues:read",
        "grades:gradesettings:read",
        "grades:coursecompletion:read",
        "content:toc:read",
        "content:completions:read",
        "sections:section:read",
        "groups:group:read",
    }
)


@dataclass
class BrightspaceState:
    """Credentials of its API, what they may ask, and what its courses hold.

    `scopes` are those of the registered application; `service_user` whether the application may
    come with its own key in place of a person's refresh token; `null_is_zero` the course's “treat
    ungraded items as 0”; `records` completion records by learner; `unreleased` learners whose
    final grade is not released; `symbols` letters of final grades; `credits` is what is left of
    the minute's quota, ten a call.
    """

    client_id: str = "b1c2d3e4"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    refresh_token: str = field(default_factory=lambda: secrets.token_hex(16))
    scopes: set[str] = field(default_factory=lambda: set(ALL))
    service_user: bool = True
    tokens: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    assertions: set[str] = field(default_factory=set)
    null_is_zero: bool = True
    records: dict[str, datetime] = field(default_factory=dict)
    unreleased: set[str] = field(default_factory=set)
    symbols: dict[str, str] = field(default_factory=dict)
    versions: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"le": ("1.47", "1.51", "1.97"), "lp": ("1.31", "1.63")}
    )
    credits: int = 50_000
    grants: int = 0

    def new_token(self) -> str:
        """One more access token."""
        made = secrets.token_urlsafe(24)
        self.tokens.add(made)
        self.grants += 1
        return made
