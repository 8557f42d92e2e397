"""How a rule is judged: three outcomes, and a reason in words for each criterion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from enum import IntEnum
from fractions import Fraction
from typing import Any

from lti_badges.core import clock
from lti_badges.values.score import Points, exact


class Outcome(IntEnum):
    """Ordered, so that ALL is the least and ANY the greatest of its parts."""

    NOT_YET = 0
    UNKNOWN = 1
    MET = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """One criterion judged for one member.

    `text` is a whole sentence part ("Final quiz: 46 of 50 = 92 %, needs 80 %"), `hint` says what
    is still missing, `progress` is the share of the way to the threshold from 0 to 1 where that
    makes sense, `points` the numbers of a graded item, `source` and `read_at` say where and when
    the value was seen. A met one was achieved at `at`, by the time of `by`: one of the LMS's own,
    or “read”.
    """

    outcome: Outcome
    label: str
    text: str
    hint: str = ""
    value: str | None = None
    needed: str | None = None
    progress: Fraction | None = None
    source: str | None = None
    read_at: datetime | None = None
    points: Points | None = None
    parts: tuple[Judgement, ...] = ()
    at: datetime | None = None
    by: str | None = None

    def leaves(self) -> Iterator[Judgement]:
        """The judged criteria themselves, without the all/any around them, in the rule's order."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back; kept with each award for ever."""
        return {
            "outcome": self.outcome.name.lower(),
            "label": self.label,
            "text": self.text,
            "hint": self.hint,
            "value": self.value,
            "needed": self.needed,
            "progress": None if self.progress is None else str(self.progress),
            "source": self.source,
            "read_at": None if self.read_at is None else self.read_at.isoformat(),
            "points": None if self.points is None else [str(each) for each in astuple(self.points)],
            "parts": [part.to_json() for part in self.parts],
            "at": None if self.at is None else self.at.isoformat(),
            "by": self.by,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Judgement:
        """What `to_json` wrote."""
        progress = stored["progress"]
        return cls(
            outcome=Outcome[stored["outcome"].upper()],
            label=stored["label"],
            text=stored["text"],
            hint=stored["hint"],
            value=stored["value"],
            needed=stored["needed"],
            progress=None if progress is None else _fraction(progress),
            source=stored["source"],
            read_at=None if stored["read_at"] is None else clock.parse_iso(stored["read_at"]),
            points=_points(stored.get("points")),
            parts=tuple(cls.from_json(part) for part in stored["parts"]),
            at=clock.parse_iso(stored["at"]) if stored.get("at") else None,
            by=stored.get("by"),
        )


def _points(stored: list[str] | None) -> Points | None:
    return None if stored is None else Points(*(_fraction(each) for each in stored))


def _fraction(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return exact(int(numerator)) / (int(denominator) if denominator else 1)
