"""Many awards at once, as a person decides it: each by itself, so that one that can't be taken just
now holds up no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lti_badges.awarding.manual import revoke
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class Revoked:
    """How many were revoked or are on their way, and those that could not be, with why."""

    done: int
    left: tuple[tuple[str, str], ...]


def revoke_all(tool: ToolContext, award_ids: Sequence[str], *, reason: str, by: str) -> Revoked:
    """Revoke the awards, for one reason. Raises InvalidInput without one, before any is touched."""
    if not reason.strip():
        raise InvalidInput("Give a reason: it is kept with each award.", field="reason")
    left = []
    for award_id in award_ids:
        try:
            revoke(tool, award_id, reason=reason, by=by)
        except (InvalidInput, NotFound) as error:
            left.append((award_id, error.message))
    return Revoked(len(award_ids) - len(left), tuple(left))
