"""The command that verifies a badge of anybody."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from lti_badges.settings import Settings
from tests.cli.test_commands import Tool
from tests.support.campus import Campus


@pytest.fixture
def tool(sqlite_settings: Settings, tmp_path: Path) -> Tool:
    return Tool(sqlite_settings, tmp_path)


def test_files_and_addresses_are_verified(lite: Campus, tool: Tool, tmp_path: Path) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    url = f"{lite.tool}/credentials/{lite.awards()[0].id}"
    png, text = tmp_path / "badge.png", tmp_path / "badge.json"
    png.write_bytes(httpx.get(f"{url}.png").content)
    text.write_text(httpx.get(f"{url}.json").text)
    said = tool.run("credentials", "verify", str(png))
    assert said.startswith("Statistics, issued by ")
    assert said.count("passed") == 4
    assert tool.json("credentials", "verify", url)["verdict"] == "valid"
    assert "passed" in tool.run("credentials", "verify", "-", stdin=text.read_text())
    text.write_text(text.read_text().replace("Knows statistics", "Knows everything"))
    assert "not proved to be valid: Signature" in tool.run(
        "credentials", "verify", str(text), code=1
    )
    told = tool.run("credentials", "verify", url, "--email", "x@example.org", code=1)
    assert "Recipient" in told


def test_what_is_no_badge_gets_one_line(tool: Tool, tmp_path: Path) -> None:
    other = tmp_path / "photo.jpg"
    other.write_bytes(b"\xff\xd8\xff")
    assert "a JPEG picture" in tool.run("credentials", "verify", str(other), code=1)
    assert "can't be read" in tool.run("credentials", "verify", str(tmp_path / "no"), code=1)
    other.write_text(json.dumps({"type": "Person"}))
    assert "no Open Badges credential" in tool.run("credentials", "verify", str(other), code=1)
    tool.run("credentials", "verify", code=2)
