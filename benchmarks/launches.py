"""Launches over HTTP, each side a server in a process of its own, sides alternating."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from benchmarks.cpu import Figure, of_tree
from benchmarks.readings import fill
from lti_badges.context import ToolContext
from lti_badges.demo import register
from lti_badges.jobs import open_queue
from lti_badges.sandbox import create_sandbox, demo_world
from lti_badges.settings import Settings
from tests.support.campus import TEACHER, Campus
from tests.support.databases import SECRET, new_postgres, new_sqlite, postgres_answers
from tests.support.platform import MEMBERSHIP, Browser, TestPlatform, rsa_key
from tests.support.serving import free_port, served

LEARNER = [f"{MEMBERSHIP}Learner"]
QUIET_S = 0.7


def learner_launches(folder: Path, rounds: int, each: int) -> dict[str, Figure]:
    """A learner's launch by database, the bare floor's and pylti1p3's; `each` a round and side."""
    with ExitStack() as stack:
        platform = stack.enter_context(TestPlatform().running())
        given = {
            "keys": platform.key_set(),
            "issuer": platform.issuer,
            "client_id": platform.client_id,
            "deployment_id": platform.deployment_id,
            "base": platform.base,
        }
        sides: dict[str, tuple[int, Callable[[], None]]] = {}
        for side in ("floor", "pylti1p3"):
            port = free_port()
            pid = stack.enter_context(_process(side, port, given))
            sides[side] = pid, _launching(platform, f"http://127.0.0.1:{port}", side)
        for name, url in _databases(stack, folder).items():
            settings = _settings(folder, name, url)
            context = ToolContext.build(settings)
            platform.register(context.sessions)
            context.close()
            pid = stack.enter_context(_ours(settings))
            sides[name] = pid, _launching(platform, settings.base_url, name)
        return _alternating(sides, rounds, each)


def instructor_launches(folder: Path, learners: int, rounds: int) -> Figure:
    """An instructor's launch of a course of so many learners, its reading included."""
    settings = _settings(folder, f"class-{learners}", new_sqlite(folder, f"class-{learners}.db"))
    port = free_port()
    world = demo_world(f"http://localhost:{port}", "moodle", rsa_key("sandbox"))
    register(settings, world)
    fill(world, learners)
    context = ToolContext.build(settings)
    with served(create_sandbox(world), port), _ours(settings) as pid:
        here = Campus(world, context, open_queue(context), settings.base_url)

        def launch() -> None:
            assert here.enter(TEACHER).status_code == 200

        figure = _alternating({"": (pid, launch)}, rounds, 1, warm=1)[""]
    context.close()
    return figure


def _databases(stack: ExitStack, folder: Path) -> dict[str, str]:
    found = {"ours, SQLite": new_sqlite(folder, "launches.db")}
    if postgres_answers():
        found["ours, PostgreSQL"] = stack.enter_context(new_postgres())
    return found


def _settings(folder: Path, name: str, url: str) -> Settings:
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    (keys / "secret.key").write_text(SECRET)
    return Settings(
        base_url=f"http://127.0.0.1:{free_port()}",
        database_url=url,
        queue_url=f"sqlite:///{folder}/queue-{name.rsplit(maxsplit=1)[-1]}.db",
        keys_dir=keys,
    )


@contextmanager
def _ours(settings: Settings) -> Iterator[int]:
    given = {
        "base_url": settings.base_url,
        "database_url": settings.database_url,
        "queue_url": settings.queue_url,
        "keys_dir": str(settings.keys_dir),
    }
    with _process("ours", int(settings.base_url.rpartition(":")[2]), given) as pid:
        yield pid


@contextmanager
def _process(side: str, port: int, given: object) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.server", side, str(port), json.dumps(given)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)  # noqa: S603 - ours
    try:
        _wait_for(process, port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=60)
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"The server ended with {process.returncode}.")


def _launching(platform: TestPlatform, base: str, side: str) -> Callable[[], None]:
    if side == "floor":
        client, token = httpx.Client(), platform.signed(platform.claims(base, "n"))

        def bare() -> None:
            client.get(f"{base}/lti/login").raise_for_status()
            client.post(f"{base}/lti/launch", data={"id_token": token}).raise_for_status()

        return bare
    browser = Browser(base, platform)

    def launch() -> None:
        browser.client.cookies.clear()
        answer = browser.login()
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        claims = platform.claims(base, query["nonce"][0], roles=LEARNER)
        browser.post(query["state"][0], platform.signed(claims)).raise_for_status()

    return launch


def _alternating(
    sides: dict[str, tuple[int, Callable[[], None]]], rounds: int, each: int, warm: int = 5
) -> dict[str, Figure]:
    for _, work in sides.values():
        for _ in range(warm):
            work()
    time.sleep(QUIET_S)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (pid, work) in sides.items():
            before = of_tree(pid)
            for _ in range(each):
                work()
            time.sleep(QUIET_S if each == 1 else 0)  # what goes on behind the page counts too
            seconds[name].append((of_tree(pid) - before) / each)
    return {name: Figure.of(found) for name, found in seconds.items()}
