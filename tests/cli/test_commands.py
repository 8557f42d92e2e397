"""The commands as programs drive them: exit codes, JSON, one clear line when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from lti_badges.settings import Settings
from tests.support.campus import Campus
from tests.support.serving import PATIENCE_S, free_port

PLATFORM = (
    *("--lms", "moodle", "--issuer", "https://lms.example", "--client-id", "abc"),
    *("--auth-login-url", "https://lms.example/auth"),
    *("--auth-token-url", "https://lms.example/token"),
    *("--key-set-url", "https://lms.example/jwks"),
)


class Tool:
    """The command line with its own settings."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LTI_BADGES_")
        } | {
            "LTI_BADGES_BASE_URL": settings.base_url,
            "LTI_BADGES_DATABASE_URL": settings.database_url,
            "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
        }

    def run(self, *arguments: str, code: int = 0, stdin: str = "", **more: Any) -> str:
        """What it says: standard output, or standard error when it fails as expected."""
        done = subprocess.run(
            [sys.executable, "-m", "lti_badges", *arguments],
            env=self.environment | more,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout.strip() if code == 0 else done.stderr.strip()

    def json(self, *arguments: str) -> Any:
        """The parsed list."""
        return json.loads(self.run(*arguments, "--json"))


@pytest.fixture
def tool(sqlite_settings: Settings, tmp_path: Path) -> Tool:
    return Tool(sqlite_settings, tmp_path)


def test_platforms_are_added_listed_updated_and_removed(tool: Tool) -> None:
    platform = tool.run("platforms", "add", *PLATFORM, "--deployment-id", "1")
    again = tool.run("platforms", "add", *PLATFORM, "--deployment-id", "2")
    assert platform == again
    (row,) = tool.json("platforms", "list")
    assert (row["id"], row["lms"], row["deployments"]) == (platform, "moodle", ["1", "2"])
    tool.run("deployments", "approve", platform, "3")
    states = {each["deployment"]: each["state"] for each in tool.json("deployments", "list")}
    assert states == {"1": "approved", "2": "approved", "3": "approved"}
    assert "can't be" not in tool.run("platforms", "remove", platform)
    assert tool.json("platforms", "list") == []


def test_secrets_come_from_the_environment_or_standard_input_and_are_never_shown(
    tool: Tool,
) -> None:
    platform = tool.run("platforms", "add", *PLATFORM)
    tool.run("platforms", "connect", platform, "--secret", "token", stdin="s3cret\n")
    tool.run(
        *("backends", "add", "b", "--kind", "badgr", "--url", "https://api.badgr.io"),
        *("--set", "username=a@b.example", "--secret", "password"),
        LTI_BADGES_SECRET_PASSWORD="hunter22",
    )
    shown = json.dumps([tool.json("platforms", "list"), tool.json("backends", "list")])
    assert "s3cret" not in shown
    assert "hunter22" not in shown
    database = (tool.folder / "test.db").read_bytes()
    assert b"s3cret" not in database
    assert b"hunter22" not in database
    tool.run("platforms", "connect", platform, "--secret", "token=x", code=2)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("platforms", "add"), 2, "Missing option"),
        (("platforms", "add", *PLATFORM[:-1], "http://lms.example/jwks"), 1, "https://"),
        (("platforms", "remove", "x"), 1, "There is no platform x"),
        (("platforms", "connect", "x"), 1, "There is no platform x"),
        (("deployments", "approve", "x", "1"), 1, "There is no platform x"),
        (("backends", "add", "x", "--kind", "nonsense"), 2, "nonsense"),
        (("backends", "add", "x", "--kind", "badgr"), 1, "is missing"),
        (("backends", "add", "x", "--kind", "builtin", "--set", "colour=red"), 1, "colour"),
        (("backends", "add", "x", "--kind", "builtin", "--set", "colour"), 2, "key=value"),
        (("backends", "test", "x"), 1, "There is no backend"),
        (("achievements", "add", "--backend", "x"), 2, "Missing option"),
        (("rules", "add", "--course", "c", "--achievement", "a"), 1, "There is no course"),
        (("rules", "remove", "x"), 1, "no such rule"),
        (("sync", "--course", "x"), 1, "There is no course"),
        (("awards", "retry", "x"), 1, "None of these"),
        (("awards", "revoke", "x", "--reason", "r"), 1, "no such award"),
        (("awards", "revoke", "x"), 2, "Missing option"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    tool: Tool, arguments: tuple[str, ...], code: int, said: str
) -> None:
    error = tool.run(*arguments, code=code)
    assert said in error
    if code == 1:
        assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LTI_BADGES_BASE_URL", "http://badges.example", "https://"),
        ("LTI_BADGES_BASE_URL", "nonsense", "https://"),
        ("LTI_BADGES_DATABASE_URL", "mysql://x/y", "postgresql://"),
        ("LTI_BADGES_QUEUE_URL", "amqp://x", "redis://"),
        ("LTI_BADGES_COLOUR", "red", "not a setting"),
        ("LTI_BADGES_CONFIG", "/nowhere.toml", "not there"),
        ("LTI_BADGES_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/x", "does not answer"),
    ],
)
def test_bad_settings_stop_the_start_with_one_line(
    tool: Tool, name: str, value: str, said: str
) -> None:
    changed: dict[str, Any] = {name: value}
    error = tool.run("serve", "--port", str(free_port()), code=1, **changed)
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_settings_file_may_hold_the_same(tool: Tool) -> None:
    (tool.folder / "own.toml").write_text('base_url = "https://badges.example"\n')
    environment: dict[str, Any] = {"LTI_BADGES_CONFIG": str(tool.folder / "own.toml")}
    tool.environment.pop("LTI_BADGES_BASE_URL")
    assert "https://badges.example" in tool.run("doctor", **environment)


def test_the_main_job_by_commands(lite: Campus, sqlite_settings: Settings, tmp_path: Path) -> None:
    tool = Tool(sqlite_settings, tmp_path)
    lite.enter("3")
    (course,) = tool.json("courses", "list")
    assert (course["context_id"], course["title"]) == ("2", "Statistics 101")
    badge = tool.run(
        *("achievements", "add", "--backend", "builtin", "--name", "Ace"),
        *("--description", "d", "--criteria", "c"),
    )
    rule = tool.run(
        *("rules", "add", "--course", "2", "--achievement", "Ace"),
        *("--line-item", "Final quiz", "--at-least", "80"),
    )
    assert [each["id"] for each in tool.json("rules", "list")] == [rule]
    assert "31 members" in tool.run("sync") or "30 members" in tool.run("sync")
    awards = tool.json("awards", "list", "--course", "2", "--state", "issued")
    assert {each["member"] for each in awards} == lite.expected()
    wanted = {"id", "course", "member", "email", "achievement", "state", "evidence"}
    wanted |= {"backend", "backend_id", "url", "issued_at", "error"}
    assert wanted <= set(awards[0])
    assert httpx.get(awards[0]["url"]).status_code == 200
    assert tool.run("awards", "revoke", awards[0]["id"], "--reason", "A mistake") == "Revoked."
    (revoked,) = tool.json("awards", "list", "--state", "revoked")
    assert revoked["id"] == awards[0]["id"]
    assert [each["id"] for each in tool.json("achievements", "list")] == [badge]
    assert tool.run("backends", "test", "builtin").startswith("Signs as")
    report = tool.run("doctor")
    assert all(line.startswith("ok  ") for line in report.splitlines())
    assert "access token: granted" in report
    tool.run("rules", "remove", rule)
    assert tool.json("rules", "list") == []


def test_doctor_names_what_fails(lite: Campus, sqlite_settings: Settings, tmp_path: Path) -> None:
    tool = Tool(sqlite_settings, tmp_path)
    lite.world.faults.next("/lti/jwks.json", "500", times=5)
    lite.world.faults.next("/lti/token", "garbage", times=5)
    done = subprocess.run(
        [sys.executable, "-m", "lti_badges", "doctor"],
        env=tool.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 2
    assert "key set" in failed[0]
    assert "access token" in failed[1]
