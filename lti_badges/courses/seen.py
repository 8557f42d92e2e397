"""What one reading came across, so that what a list no longer names is found at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

ROSTER, ITEMS = "roster", "items"


@dataclass(slots=True)
class Seen:
    """Marks of one reading, in memory: a byte for each value, exact, however many pages apart. No
    row is written only to say that it is still there."""

    _numbers: dict[str, int] = field(default_factory=dict)
    _marks: dict[str, bytearray] = field(default_factory=dict)

    def add(self, where: str, row_id: str) -> None:
        """`where` is a list (`ROSTER`, `ITEMS`) or the id of the item whose values are read."""
        number = self._numbers.setdefault(row_id, len(self._numbers))
        marks = self._marks.setdefault(where, bytearray())
        if number >= len(marks):
            marks.extend(bytes(number + 1 - len(marks)))
        marks[number] = 1

    def has(self, where: str, row_id: str) -> bool:
        """Whether it was named there."""
        number, marks = self._numbers.get(row_id), self._marks.get(where, b"")
        return number is not None and number < len(marks) and marks[number] == 1

    def count(self, where: str) -> int:
        """How many were named there."""
        return sum(self._marks.get(where, b""))

    def forget(self, where: str) -> None:
        """The list was read to its end, and what it left out is known."""
        self._marks.pop(where, None)
