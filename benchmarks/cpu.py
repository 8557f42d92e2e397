"""CPU time of processes: on a shared machine the wall clock measures the neighbours."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds of CPU for one piece of work: median, least and most of the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: list[float]) -> Figure:
        """From seconds."""
        ms = [each * 1000 for each in seconds]
        return cls(statistics.median(ms), min(ms), max(ms))

    def __str__(self) -> str:
        return f"{_plain(self.median)} ({_plain(self.least)}–{_plain(self.most)})"


def of_tree(pid: int) -> float:
    """Seconds of CPU that a process and its living children have used (Linux: proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) * TICK_S
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(of_tree(int(child)) for child in children)


def of_thread(work: Callable[[], object]) -> float:
    """Seconds of CPU of this thread for one run: servers in other threads are not counted."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _plain(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.3g}"
