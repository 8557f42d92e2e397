"""Reads what the last `make mutate` found: killed and surviving mutants of each module.

Exits 1 when fewer than LEAST percent of the mutants that tests reach were killed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

LEAST = 90
KILLED = 1  # pytest's exit code when a test fails
UNTESTED = 33  # mutmut's: no test runs the function


def main(folder: Path) -> int:
    """One line for each module, then the whole. Returns the exit code."""
    whole: Counter[str] = Counter()
    for file in sorted(folder.rglob("*.py.meta")):
        codes = json.loads(file.read_text())["exit_code_by_key"].values()
        found = Counter(_outcome(code) for code in codes)
        if found:
            module = file.relative_to(folder).as_posix().removesuffix(".meta")
            print(f"{module:45} {_sentence(found)}")
            whole += found
    print(f"{'all':45} {_sentence(whole)}")
    return 0 if _percent(whole) >= LEAST else 1


def _outcome(code: int | None) -> str:
    if code is None:
        return "not run"
    if code == UNTESTED:
        return "untested"
    return "survived" if code == 0 else "killed"


def _percent(found: Counter[str]) -> int:
    return 100 * found["killed"] // max(1, found["killed"] + found["survived"])


def _sentence(found: Counter[str]) -> str:
    parts = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    return f"{_percent(found):3} % ({parts})"


if __name__ == "__main__":
    sys.exit(main(Path("mutants")))
