"""What strangers can call: limits, proxies, figures, robots.txt and security.txt."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.robotparser import RobotFileParser
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from redis import Redis, RedisError
from sqlalchemy import func, select, update

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.jobs import open_queue
from lti_badges.settings import Settings
from lti_badges.store import LimitBucket, Login, Platform
from lti_badges.store.shared_limits import StoredBuckets
from tests.support.serving import PATIENCE_S, free_port, until


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test's own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server is installed")
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    try:
        until(lambda: _answers(url))
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        return bool(Redis.from_url(url).ping())
    except RedisError:
        return False


def client(settings: Settings, **changes: Any) -> tuple[FlaskClient, ToolContext]:
    """The application with changed settings."""
    given = Settings(**{**settings.model_dump(), **changes})
    context = ToolContext.build(given)
    return create_app(queue=open_queue(context)).test_client(), context


def test_many_logins_of_one_client_are_stopped(sqlite_settings: Settings) -> None:
    asking, context = client(sqlite_settings, trusted_proxies=("127.0.0.1",))
    with context.sessions.begin() as session:
        session.add(
            Platform(
                lms="other",
                issuer="https://lms.example",
                client_id="c",
                auth_login_url="https://lms.example/a",
                auth_token_url="https://lms.example/t",
                key_set_url="https://lms.example/k",
            )
        )
    asked = {
        "iss": "https://lms.example",
        "login_hint": "1",
        "target_link_uri": f"{context.settings.base_url}/lti/launch",
    }
    statuses = [asking.post("/lti/login", data=asked).status_code for _ in range(300)]
    assert 302 in statuses
    assert 429 in statuses
    with context.sessions() as session:
        assert (session.scalar(select(func.count()).select_from(Login)) or 0) < 200
    other = asking.post("/lti/login", data=asked, headers={"X-Forwarded-For": "203.0.113.7"})
    assert other.status_code == 302
    context.close()


def test_nobody_guesses_whose_a_credential_is(sqlite_settings: Settings) -> None:
    asking, context = client(sqlite_settings)
    url = f"/credentials/{uuid4()}"
    statuses = [
        asking.post(url, data={"email": f"{number}@example.org"}).status_code
        for number in range(40)
    ]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    context.close()


def test_a_stranger_names_no_address_of_its_own(sqlite_settings: Settings) -> None:
    asking, context = client(sqlite_settings)
    seen = {
        asking.get("/lti/register", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for number in range(40)
    }
    assert 429 in seen
    context.close()


def asked(asking: FlaskClient, times: int) -> list[int]:
    """The answers to a recipient's question, whose bucket holds 20."""
    return [
        asking.post(f"/credentials/{uuid4()}", data={"email": "a@example.org"}).status_code
        for _ in range(times)
    ]


def test_all_processes_count_together(settings: Settings) -> None:
    first, one = client(settings)
    second, other = client(settings)
    assert 429 not in asked(first, 15)
    told = asked(second, 15)
    assert told[:3] == [404, 404, 404]
    assert told[-1] == 429
    assert asked(first, 1) == [429]
    with one.sessions() as session:
        kept = session.scalars(select(LimitBucket.key)).all()
    assert len(kept) == 1
    assert "127.0.0.1" not in kept[0]
    one.close()
    other.close()


@pytest.mark.redis
def test_they_count_in_redis_where_the_queue_is(sqlite_settings: Settings, redis_url: str) -> None:
    first, one = client(sqlite_settings, queue_url=redis_url)
    second, other = client(sqlite_settings, queue_url=redis_url)
    assert 429 not in asked(first, 15)
    assert asked(second, 15)[-1] == 429
    with one.sessions() as session:
        assert session.scalars(select(LimitBucket.key)).all() == []
    one.close()
    other.close()


def test_a_silent_redis_refuses_nobody_and_is_told_of(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    asking, context = client(sqlite_settings, queue_url=f"redis://127.0.0.1:{free_port()}/0")
    told = asked(asking, 40)
    assert told[:15] == [404] * 15
    assert told[-1] == 429  # by this process's own count
    said = capsys.readouterr()
    assert (said.out + said.err).count("shared_limits_unavailable") == 1
    context.close()


def test_a_bucket_fills_again_and_is_forgotten(settings: Settings) -> None:
    context = ToolContext.build(settings)
    buckets = StoredBuckets(context.database)
    assert [buckets.take("a", rate=1000.0, size=1.0) for _ in range(1)] == [True]
    assert [buckets.take("b", rate=0.000001, size=2.0) for _ in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    until(lambda: buckets.take("a", rate=1000.0, size=1.0))
    with context.sessions.begin() as session:
        session.execute(update(LimitBucket).values(at=LimitBucket.at - 7200))
    assert buckets.forget_full() == 2
    assert buckets.take("b", rate=0.000001, size=2.0)
    context.close()


def test_figures_are_for_this_machine_or_for_their_token(sqlite_settings: Settings) -> None:
    asking, context = client(sqlite_settings)
    elsewhere = {"REMOTE_ADDR": "203.0.113.1"}
    assert asking.get("/metrics").status_code == 200
    assert asking.get("/metrics", environ_base=elsewhere).status_code == 403
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"):
        assert asking.get("/metrics", headers={name: "127.0.0.1"}).status_code == 403, name
    assert asking.get("/metrics", headers={"Host": "badges.example.edu"}).status_code == 403
    context.close()
    asking, context = client(sqlite_settings, metrics_token="s3cret")
    assert asking.get("/metrics").status_code == 401
    wrong = {"Authorization": "Bearer s3creT"}
    assert asking.get("/metrics", headers=wrong).status_code == 401
    right = {"Authorization": "Bearer s3cret"}
    assert asking.get("/metrics", headers=right, environ_base=elsewhere).status_code == 200
    context.close()


def test_robots_and_the_contact_for_holes(sqlite_settings: Settings) -> None:
    asking, context = client(sqlite_settings)
    robots = RobotFileParser()
    robots.parse(asking.get("/robots.txt").text.splitlines())
    for path in ("/credentials/x", "/achievements/x/image.png", "/static/app.css"):
        assert robots.can_fetch("LinkedInBot", f"https://tool.example{path}")
    for path in ("/", "/lti/launch", "/admin/", "/me", "/verify"):
        assert not robots.can_fetch("LinkedInBot", f"https://tool.example{path}")
    assert asking.get("/.well-known/security.txt").status_code == 404
    context.close()
    asking, context = client(sqlite_settings, security_contact="mailto:security@example.edu")
    said = asking.get("/.well-known/security.txt", headers={"Host": "evil.example"}).text
    assert "Contact: mailto:security@example.edu" in said
    assert "Expires: " in said
    assert "evil.example" not in said
    context.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("trusted_proxies", "somewhere"), ("frame_origins", "lms.example"), ("security_contact", "x")],
)
def test_bad_settings_are_named(sqlite_settings: Settings, name: str, value: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Settings(**{**sqlite_settings.model_dump(), name: value})
