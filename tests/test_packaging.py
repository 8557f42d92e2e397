"""What pyproject.toml asks for and what config/constraints.txt pins agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "config" / "constraints.txt").read_text().splitlines()
    pins = {
        canonicalize_name(name): version
        for name, _, version in (
            line.partition("==") for line in lines if re.match(r"\w.*==", line)
        )
    }
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wrong = []
    for requirement in map(Requirement, asked):
        pin = pins.get(canonicalize_name(requirement.name), "").partition(";")[0].strip()
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        if not pin or not requirement.specifier.contains(pin):
            wrong.append(f"{requirement} is pinned to {pin or 'nothing'}")
    assert wrong == []
