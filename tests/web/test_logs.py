"""The log: nobody's name or e-mail in it, tracebacks included; JSON lines on request."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError

from lti_badges.core.logs import configure_logs, described
from lti_badges.store import CourseMember
from tests.support.campus import TEACHER, Campus

SECRET = "ben.carter@example.org"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[list[dict[str, Any]]]:
    """The JSON lines that were logged, filled by `read`."""
    structlog.reset_defaults()
    configure_logs(as_json=True)
    found: list[dict[str, Any]] = []
    yield found
    structlog.reset_defaults()
    configure_logs()


def read(capsys: pytest.CaptureFixture[str]) -> str:
    """What was logged until now."""
    return capsys.readouterr().err


def test_launches_readings_and_failures_name_no_learner(
    campus: Campus, lines: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    campus.rule()
    campus.enter(TEACHER)
    campus.enter("5")
    campus.sync()
    campus.deliver()
    httpx.post(f"{campus.tool}/lti/launch", data={"id_token": SECRET, "state": SECRET})
    httpx.get(f"{campus.tool}/lti/login", params={"login_hint": SECRET})
    with campus.context.sessions() as session:
        people = list(session.scalars(select(CourseMember)))
        values = {value for each in people for value in (each.name, each.email) if value}
        course_id, sub = people[0].course_id, people[0].sub
    assert len(values) > 20
    # A failure inside the database that quotes whole rows in its message.
    try:
        with campus.context.sessions.begin() as session:
            session.execute(
                insert(CourseMember).values(
                    id="x", course_id=course_id, sub=sub, email=SECRET, name="Ben Carter"
                )
            )
    except SQLAlchemyError:
        structlog.get_logger("test").exception("failed")
    else:
        pytest.fail("the row was taken")
    logged = read(capsys)
    assert "launch_accepted" in logged
    assert '"exception"' in logged
    for value in values | {SECRET}:
        assert value not in logged, value
    assert "Ben Carter" not in logged
    for line in logged.splitlines():
        if line.startswith("{"):
            assert json.loads(line)["event"]


def test_an_exceptions_message_is_not_told_but_its_place_is() -> None:
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise KeyError(SECRET) from error
    except KeyError as error:
        told = described(error)
    assert SECRET not in told
    assert "ValueError" in told
    assert "KeyError" in told
    assert "test_logs.py" in told


def test_what_libraries_log_carries_no_values(
    lines: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("some.library").exception("Could not take %s", SECRET)
    logged = read(capsys)
    assert "some.library" in logged
    assert SECRET not in logged


def test_a_log_that_cant_be_written_stops_no_request(
    lite: Campus, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert lite.enter(TEACHER).status_code == 200
        assert httpx.get(f"{lite.tool}/lti/register").status_code in {400, 403}
        monkeypatch.undo()
        with suppress(OSError):
            full.close()


def test_a_request_has_one_id_in_the_log_and_in_its_answer(
    lite: Campus, lines: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"X-Request-Id": "from-the-proxy-1"}
    assert httpx.get(f"{lite.tool}/course", headers=asked).status_code in {401, 404}
    answer = httpx.get(f"{lite.tool}/lti/register", headers=asked)
    assert answer.headers["X-Request-Id"] == "from-the-proxy-1"
    odd = httpx.get(f"{lite.tool}/lti/register", headers={"X-Request-Id": "a b"})
    assert odd.headers["X-Request-Id"] != "a b"
    logged = [json.loads(line) for line in read(capsys).splitlines() if line.startswith("{")]
    assert {each.get("request") for each in logged} >= {
        "from-the-proxy-1",
        odd.headers["X-Request-Id"],
    }
