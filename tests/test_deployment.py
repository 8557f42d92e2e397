"""What is deployed comes up, and its files say nothing that the commands do not know."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import psycopg
import pytest
import yaml

from lti_badges.cli.main import cli
from lti_badges.settings import Settings
from tests.support.databases import empty_postgres, postgres_answers
from tests.support.serving import PATIENCE_S, free_port, until

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "config" / "deploy"
PROGRAM = "lti-badges"
STOPS_WITHIN_S = 10
GIVEN = {
    "LTI_BADGES_BASE_URL": "https://badges.example.edu",
    "LTI_BADGES_SECRET_KEY": "a long random text",
    "POSTGRES_PASSWORD": "pw",
}


def understood(arguments: list[str]) -> str:
    """Parses a command line as the program would, and runs nothing. Returns the command's name."""
    command: click.Command = cli
    context = click.Context(cli, info_name=PROGRAM)
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    with context:
        command.parse_args(context, list(arguments))
    return str(command.name)


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


def commands_of(line: str) -> list[list[str]]:
    """The tool's own command lines in a line for a shell."""
    parts = (shlex.split(re.sub(r"\$\{\w+:-(\w+)\}", r"\1", part)) for part in line.split("&&"))
    return [part[part.index(PROGRAM) + 1 :] for part in parts]


def with_values(given: Any) -> Any:
    """As compose fills in the variables of its file."""
    if isinstance(given, dict):
        return {name: with_values(each) for name, each in given.items()}
    if isinstance(given, list):
        return [with_values(each) for each in given]
    if not isinstance(given, str):
        return given

    def value(found: re.Match[str]) -> str:
        assert found[1] in GIVEN or found[2].startswith(":-"), found[0]
        return GIVEN.get(found[1], found[2].removeprefix(":-"))

    return re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", value, given)


def test_the_procfile_names_commands_that_exist() -> None:
    assert set(procfile()) == {"web", "worker"}
    names = {understood(each) for line in procfile().values() for each in commands_of(line)}
    assert names == {"upgrade", "serve", "worker"}


def test_a_command_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        understood(["serve", "--prot", "1"])


def test_compose_starts_the_processes_of_the_procfile_with_settings_that_exist() -> None:
    given = with_values(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))
    services: dict[str, Any] = given["services"]
    ours = {name: each for name, each in services.items() if each.get("image") == PROGRAM}
    assert {name: understood(each["command"]) for name, each in ours.items()} == {
        "schema": "upgrade",
        "web": "serve",
        "worker": "worker",
    }
    for each in ours.values():
        settings = Settings.load(dict(each["environment"]))
        assert settings.database_url.startswith("postgresql+psycopg://lti_badges:pw@database/")
        assert settings.queue_url.startswith("redis://queue:")
        assert each["read_only"] is True
        assert (DEPLOY / each["build"]["context"] / each["build"]["dockerfile"]).is_file()
        for needed in each["depends_on"]:
            assert needed in services
    for each in services.values():
        for volume in each.get("volumes", ()):
            assert volume.split(":")[0] in given["volumes"]


def test_the_image_copies_what_is_there_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]
    told = {line[0]: line[-1] for line in lines}
    for word, rest in lines:
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
    assert told["USER"] == "10001"
    assert json.loads(told["ENTRYPOINT"]) == [PROGRAM]
    assert understood(json.loads(told["CMD"])) == "serve"
    probe = json.loads(told["HEALTHCHECK"].partition("CMD ")[2].strip())
    assert "/healthz" in probe[-1]
    compile(probe[-1], "probe", "exec")


@pytest.mark.parametrize(
    ("name", "command"), [("lti-badges.service", "serve"), ("lti-badges-worker.service", "worker")]
)
def test_the_units_start_commands_that_exist(name: str, command: str) -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / name).read_text())
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name == PROGRAM
    assert understood(arguments) == command
    assert understood(shlex.split(service["ExecStartPre"])[1:]) == "upgrade"
    assert int(service["TimeoutStopSec"]) > STOPS_WITHIN_S
    assert service["User"] == PROGRAM


@contextlib.contextmanager
def started(
    environment: dict[str, str], folder: Path
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Each line of the Procfile in a shell, all at once, as a process manager does it."""
    running = {}
    try:
        for name, line in procfile().items():
            running[name] = subprocess.Popen(
                ["/bin/sh", "-c", line],
                env=environment,
                cwd=folder,
                stdout=(folder / f"{name}.log").open("w"),
                stderr=subprocess.STDOUT,
                text=True,
            )
        yield running
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.mark.postgres
@pytest.mark.slow
def test_the_procfile_comes_up_on_an_empty_database_and_stops_in_time(tmp_path: Path) -> None:
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers")
    program = tmp_path / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lti_badges "$@"\n')
    program.chmod(0o755)
    port = free_port()
    with empty_postgres() as url:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LTI_BADGES_")}
        environment = inherited | {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PORT": str(port),
            "LTI_BADGES_BASE_URL": f"http://127.0.0.1:{port}",
            "LTI_BADGES_DATABASE_URL": url,
            "LTI_BADGES_SECRET_KEY": "the same for all",
        }
        with started(environment, tmp_path) as running:

            def is_up() -> bool:
                for name, process in running.items():
                    said = (tmp_path / f"{name}.log").read_text()
                    assert process.poll() is None, f"{name} ended: {said}"
                with contextlib.suppress(httpx.HTTPError):
                    ready = httpx.get(f"http://127.0.0.1:{port}/readyz")
                    return ready.status_code == 200
                return False

            until(is_up, "the web process")
            until(lambda: "Working" in (tmp_path / "worker.log").read_text(), "the worker")
            assert is_up()
            with psycopg.connect(url) as connection:
                made = connection.execute("SELECT name, is_default FROM backends").fetchall()
                keys = connection.execute("SELECT count(*) FROM signing_keys").fetchone()
            assert made == [("builtin", True)]
            assert keys == (3,)
            began = time.monotonic()
            for process in running.values():
                process.send_signal(signal.SIGTERM)
            codes = {name: process.wait(PATIENCE_S) for name, process in running.items()}
            assert codes == {"web": 0, "worker": 0}
            assert time.monotonic() - began < STOPS_WITHIN_S + 5
        logged = "".join((tmp_path / f"{name}.log").read_text() for name in running)
        assert "Traceback" not in logged
