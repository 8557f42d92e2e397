"""Who holds up whom in the database: readers nobody, a writer only writers, and never for long."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from lti_badges.catalogue.connections import lms_of
from lti_badges.context import ToolContext
from lti_badges.queries.awards_csv import awards_csv
from lti_badges.settings import Settings
from lti_badges.store import Course, Platform, is_busy
from lti_badges.store.session import CONNECTIONS
from tests.support.campus import TEACHER, Campus

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


def test_a_reader_holds_up_no_writer(campus: Campus) -> None:
    campus.course_id()
    with campus.context.sessions() as reader:
        reader.get(Course, campus.course_id())
        with campus.context.sessions.begin() as writer:
            writer.get_one(Course, campus.course_id()).title = "Renamed meanwhile"
    assert campus.enter(TEACHER).status_code == 200


def test_an_export_that_nobody_reads_on_holds_up_nobody(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    lines = awards_csv(campus.context, campus.course_id())
    next(lines), next(lines)
    campus.grade("5", 50)
    assert campus.enter("5").status_code == 200
    assert campus.sync().errors == []
    assert not any(line.startswith("name,") for line in lines)


def test_an_export_of_several_pages_names_everybody_once(
    campus: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lti_badges.queries.awards_csv.EXPORTED", 3)
    campus.rule()
    campus.sync()
    lines = "".join(awards_csv(campus.context, campus.course_id())).splitlines()
    assert len(lines) == 1 + len(campus.awards())
    urls = [line.rpartition(",")[2] for line in lines[1:]]
    assert len(set(urls)) == len(urls)


def test_a_busy_database_is_told_as_busy(lite: Campus, monkeypatch: pytest.MonkeyPatch) -> None:
    lite.course_id()
    monkeypatch.setattr("lti_badges.store.session.BUSY_TIMEOUT_MS", 50)
    lite.context.database.dispose()
    with lite.context.sessions.begin() as writer:
        writer.get_one(Course, lite.course_id()).title = "Held"
        writer.flush()
        answer = httpx.post(
            f"{lite.tool}/lti/login",
            data={
                "iss": lite.world.base_url,
                "login_hint": "1",
                "target_link_uri": f"{lite.tool}/lti/launch",
                "client_id": next(iter(lite.world.tools)),
            },
        )
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "busy" in answer.text


def test_a_mistake_of_ours_is_not_called_busy(campus: Campus) -> None:
    with pytest.raises(SQLAlchemyError) as raised, campus.context.sessions() as session:
        session.execute(text("SELECT * FROM no_such_table"))
    assert not is_busy(raised.value)


@pytest.mark.postgres
def test_no_process_takes_more_connections_than_it_may(campus: Campus) -> None:
    tool = ToolContext.build(campus.context.settings)
    if tool.database.dialect.name != "postgresql":
        tool.close()
        return
    gate = threading.Event()

    def hold() -> None:
        with tool.sessions() as session:
            session.execute(text("SELECT 1"))
            gate.wait(5)

    with ThreadPoolExecutor(40) as pool:
        for _ in range(40):
            pool.submit(hold)
        seen = 0
        for _ in range(200):
            with campus.context.sessions() as session:
                seen = session.scalar(text(COUNT)) or 0
            if seen >= CONNECTIONS:
                break
        gate.set()
    tool.close()
    assert seen <= 2 * CONNECTIONS
    assert 5 * CONNECTIONS <= 97  # PostgreSQL keeps three of its 100 for its superuser


def test_settings_name_the_connections() -> None:
    assert Settings().database_connections == CONNECTIONS


def test_a_slow_token_answer_holds_up_nobody(campus: Campus) -> None:
    tool, course_id = campus.context, campus.course_id()
    opened = lms_of(tool, course_id)

    def slow(values: Mapping[str, str]) -> Mapping[str, str]:
        """What somebody else does while the LMS takes its time."""
        with tool.sessions.begin() as session:
            session.get_one(Platform, session.scalars(select(Platform.id)).one()).name = "Renamed"
        assert campus.enter(TEACHER).status_code == 200
        return {**values, "token": "renewed"}

    assert opened.course.update_connection(slow)["token"] == "renewed"
    assert lms_of(tool, course_id).course.connection["token"] == "renewed"
    with tool.sessions() as session:
        assert session.scalars(select(Platform)).one().name == "Renamed"
