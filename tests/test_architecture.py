"""What keeps the layout in order: floors, vendors in their own files, bundled files unchanged."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

from lti_badges import lms
from lti_badges.backends import KINDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lti_badges"
MOST_LINES = 300
STILL_TOO_LONG = {
    "backends/api.py",
    "core/http.py",
    "courses/read.py",
    "delivery/grade_passback.py",
}
"""Modules still to be split. Nothing is added here."""


def test_every_folder_imports_only_from_below() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_no_other_folder_names_an_lms() -> None:
    """Comments may say where a quirk was seen; code and sentences may not name a vendor."""
    names = re.compile(r"\b(canvas|moodle|blackboard|brightspace|valence)\b", re.IGNORECASE)
    for file in PACKAGE.rglob("*.py"):
        folder = file.relative_to(PACKAGE).parts[0]
        if folder in {"lms", "sandbox", "backends"}:
            continue
        code = re.sub(r'"""(?:.|\n)*?"""|#.*', "", file.read_text())
        named = [line for line in code.splitlines() if names.search(line)]
        named = [line for line in named if "canvas_credentials" not in line.lower()]
        assert not named, (file, named)


def test_every_vendor_has_its_page_in_the_docs() -> None:
    for backend in KINDS.values():
        assert (ROOT / backend.docs).is_file(), backend.docs
    index = ROOT / "docs" / "lms" / "README.md"
    linked = {
        (index.parent / path).resolve() for path in re.findall(r"\]\((.+?)\)", index.read_text())
    }
    assert {path.read_text() for path in linked} == {each.guide() for each in lms.LMSES.values()}


def test_bundled_contexts_are_the_published_ones() -> None:
    folder = PACKAGE / "openbadges" / "contexts"
    index = json.loads((folder / "index.json").read_text())
    for entry in index.values():
        digest = hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
        assert digest == entry["sha256"]


def test_no_module_grows_too_long() -> None:
    too_long = _modules_too_long()
    assert too_long <= STILL_TOO_LONG, "split these at a seam: a module has 300 lines at most"


def test_a_module_that_came_below_the_bound_leaves_the_list() -> None:
    assert _modules_too_long() >= STILL_TOO_LONG, "take the shorter ones off STILL_TOO_LONG"


def _modules_too_long() -> set[str]:
    return {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if "migrations" not in file.parts and len(file.read_text().splitlines()) > MOST_LINES
    }


def test_every_setting_of_a_backend_is_documented() -> None:
    for backend in KINDS.values():
        page = (ROOT / backend.docs).read_text()
        for setting in backend.settings:
            assert f"`{setting.name}`" in page, (backend.kind, setting.name)


def test_the_readme_opens_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.index("make demo") < text.index("make test") < text.index("![")
    for link in re.findall(r"\]\(([a-zA-Z][^):]*)\)", text):
        assert (ROOT / link).exists(), link


def test_what_the_conformance_page_names_is_there() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text()
    written = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    for name in set(re.findall(r"`(test_\w+)`", page)):
        assert f"def {name}(" in written, name


def test_what_the_architecture_pages_name_is_there() -> None:
    pages = [ROOT / "docs" / "architecture.md", *(ROOT / "docs" / "architecture").glob("*.md")]
    assert len(pages) == 7
    for page in pages:
        text = page.read_text()
        for name in set(re.findall(r"`(lti_badges(?:\.\w+)+)`", text)):
            assert _exists(name), (page.name, name)
        for path in set(re.findall(r"`((?:lti_badges|tests|docs)/[\w/.]*\w(?:/|\.\w+))`", text)):
            assert (ROOT / path).exists(), (page.name, path)


def _exists(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found is not None
    return False
