"""Rows of the table, and how they are measured: CPU time of the thread that works, sides
alternating in one run, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line: seconds of CPU of ours and of the floor, each measured several times."""

    what: str
    ours: Sequence[float]
    floor_is: str
    floor: Sequence[float]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.ours) / statistics.median(self.floor)

    def markdown(self) -> str:
        """As a line of the table."""
        return (
            f"| {self.what} | {_told(self.ours)} | {self.floor_is} | {_told(self.floor)} | "
            f"**{self.ratio:.1f}** |"
        )


HEAD = "| what | CPU, ms (spread) | floor | CPU, ms (spread) | ratio |\n|---|---|---|---|---|"


def seconds(work: Callable[[], object]) -> float:
    """Of CPU, of this thread alone: what answers it in other threads is not ours."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def alternating(
    ours: Callable[[], object], floor: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """Both sides, turn by turn, after one round that does not count."""
    ours()
    floor()
    pairs = [(seconds(ours), seconds(floor)) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def each(times: Sequence[float], count: int) -> list[float]:
    """For one of so many."""
    return [one / count for one in times]


def _told(times: Sequence[float]) -> str:
    middle = sorted(times)
    cut = len(middle) // 10
    low, high = middle[cut] * 1000, middle[-1 - cut] * 1000
    return f"{statistics.median(times) * 1000:.2f} ({low:.2f}–{high:.2f})"
