"""The table of backends says what the adapters declare, and each has its guide."""

from __future__ import annotations

import runpy
from pathlib import Path

from lti_badges.backends import KINDS

ROOT = Path(__file__).parents[2]


def test_the_table_says_what_the_adapters_declare() -> None:
    table = runpy.run_path(str(ROOT / "config" / "backend_table.py"))["table"]()
    written = (ROOT / "docs" / "backends" / "README.md").read_text(encoding="utf-8")
    assert written == table, "run: python config/backend_table.py"
    for kind in KINDS.values():
        assert f"`{kind.kind}`" in written
        assert (ROOT / kind.docs).is_file()
