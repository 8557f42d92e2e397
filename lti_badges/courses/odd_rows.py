"""Rows of an LMS that can't be kept as they are: none of them stops the others.

Every list that is read passes here, from whatever adapter: words are cleaned and cut to their
columns, and a row whose id can't be stored is left out and named to the instructor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lti_badges.core import text
from lti_badges.core.text import OddText
from lti_badges.values.course import (
    Completion,
    Gradable,
    Member,
    ReadInFull,
    Reading,
    Result,
    UpToDate,
)

NAMED_AT_MOST = 20
MAX_ROLES = 50
MAX_ROLE = 300

Row = TypeVar("Row", Member, Gradable, Reading)


@dataclass(slots=True)
class OddRows:
    """What was left out of one reading, in sentences."""

    left_out: int = 0
    _named: dict[str, None] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """At most twenty sentences, the last one counting the rest."""
        named = list(self._named)
        rest = self.left_out - len(named)
        return [*named, f"{rest} more rows were left out."] if rest > 0 else named

    def members(self, found: Iterable[Member]) -> Iterator[Member]:
        """Those who can be stored."""
        for member in found:
            try:
                yield storable_member(member)
            except OddText as error:
                self._leave_out(f"A member{_named(member.name)} is left out: {error}.")

    def gradables(self, found: Iterable[Gradable]) -> Iterator[Gradable]:
        """Those that can be stored."""
        for gradable in found:
            try:
                yield storable_gradable(gradable)
            except OddText as error:
                self._leave_out(f"An item{_named(gradable.label)} is left out: {error}.")

    def readings(self, found: Iterable[Reading]) -> Iterator[Reading]:
        """Those that can be stored."""
        for reading in found:
            if isinstance(reading, ReadInFull) and self.left_out:
                # The row that was left out may be the one that seems to be missing.
                yield UpToDate(reading.kind, reading.key)
                continue
            if not isinstance(reading, Result | Completion):
                yield reading
                continue
            try:
                text.identifier(reading.sub)
            except OddText as error:
                self._leave_out(f"A result is left out, its learner can't be told: {error}.")
                continue
            if isinstance(reading, Result) and reading.mark is not None:
                yield replace(reading, mark=text.line(reading.mark, text.MAX_MARK))
            else:
                yield reading

    def _leave_out(self, sentence: str) -> None:
        self.left_out += 1
        if len(self._named) < NAMED_AT_MOST:
            self._named[sentence] = None


def storable_member(member: Member) -> Member:
    """The member with clean words that fit their columns. Raises OddText for an odd id."""
    return replace(
        member,
        sub=text.identifier(member.sub),
        roles=_roles(member.roles),
        name=text.line(member.name, text.MAX_NAME),
        email=text.email(member.email),
        status=text.line(member.status, text.MAX_STATUS) or "Active",
        given_name=text.line(member.given_name, text.MAX_NAME),
        family_name=text.line(member.family_name, text.MAX_NAME),
        sourcedid=text.optional_identifier(member.sourcedid),
        custom=text.custom_parameters(member.custom),
    )


def storable_gradable(gradable: Gradable) -> Gradable:
    """The gradable likewise. Raises OddText for an odd key."""
    if gradable.key:  # the completion of the course has none
        text.identifier(gradable.key, text.MAX_KEY)
    return replace(
        gradable,
        label=text.line(gradable.label, text.MAX_NAME) or "Untitled grade item",
        resource_link_id=text.optional_identifier(gradable.resource_link_id),
        resource_id=text.optional_identifier(gradable.resource_id),
        tag=text.optional_identifier(gradable.tag),
    )


def _roles(roles: frozenset[str]) -> frozenset[str]:
    fit = (role for role in roles if len(role) <= MAX_ROLE and text.is_clean(role))
    return frozenset(sorted(fit)[:MAX_ROLES])


def _named(label: str | None) -> str:
    cleaned = text.line(label, 60)
    return f" (“{cleaned}”)" if cleaned else ""
