"""All figures of one run as one Markdown table: `make bench`, `make bench-quick`.

python -m benchmarks [--quick] [--only launches,instructor,readings,issuing]
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sqlite3
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import structlog

from benchmarks import issuing_here
from benchmarks.cpu import Figure
from benchmarks.launches import instructor_launches, learner_launches
from benchmarks.readings import read_class
from tests.support.databases import postgres_answers

PARTS = ("launches", "instructor", "readings", "issuing")
Row = tuple[str, Figure, Figure | None, str]


def main() -> None:
    """Print the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller classes")
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    began, parts = time.monotonic(), given.only.split(",")
    print(_machine(), end="\n\n")
    print("| what | CPU ms: median (least–most) | beside | CPU ms | ratio |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "launches" in parts:
            _launches(folder, 3 if given.quick else 7)
        if "instructor" in parts:
            for learners in (50,) if given.quick else (50, 1000):
                figure = instructor_launches(folder, learners, 3 if given.quick else 7)
                _print(f"instructor launch, {learners} learners, SQLite", figure)
        if "readings" in parts:
            for learners in (1000,) if given.quick else (1000, 10_000):
                _readings(folder, learners)
        if "issuing" in parts:
            for what, figure, floor, beside in issuing_here.figures(folder):
                _print(what, figure, beside, floor)
    print(f"\nMeasured in {time.monotonic() - began:.0f} s.")


def _launches(folder: Path, rounds: int) -> None:
    found = learner_launches(folder, rounds, 20)
    floor, peer = found.pop("floor"), found.pop("pylti1p3")
    _print("learner launch, pylti1p3 as its README", peer, "bare floor", floor)
    for name, figure in found.items():
        _print(f"learner launch, {name}", figure, "pylti1p3", peer)
        _print(f"learner launch, {name}", figure, "bare floor", floor)


def _readings(folder: Path, learners: int) -> None:
    found = read_class(folder, learners, 3)
    floor = found["parse and bulk insert"]
    _print(f"first reading, {learners:,} learners", found["first"], "parse and bulk insert", floor)
    parse = found["parse and hash"]
    _print(f"unchanged reading, {learners:,}", found["unchanged"], "parse and hash", parse)


def _print(what: str, figure: Figure, beside: str = "–", floor: Figure | None = None) -> None:
    ratio = f"{figure.median / floor.median:.1f}" if floor and floor.median else "–"
    print(f"| {what} | {figure} | {beside} | {floor or '–'} | {ratio} |", flush=True)


def _machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    tools = ", ".join(f"{name} {version(name)}" for name in ("lti-badges", "pylti1p3", "flask"))
    database = "PostgreSQL beside it" if postgres_answers() else "no PostgreSQL"
    return (
        f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {database}; {tools}."
    )


if __name__ == "__main__":
    sys.exit(main())
