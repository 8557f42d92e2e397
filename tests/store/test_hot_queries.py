"""What runs every two seconds looks nowhere from end to end, however many awards there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from lti_badges.catalogue.notices import due_notice_orders
from lti_badges.context import ToolContext
from lti_badges.delivery.claims import due_awards, recover
from lti_badges.delivery.grade_passback import due_for_pass_back
from lti_badges.jobs.background import due_courses
from lti_badges.ledger.holding import mark_dependents
from lti_badges.queries.award_list import AwardFilter, award_list
from lti_badges.queries.listing import PAGE
from lti_badges.settings import Settings
from lti_badges.store import DEFAULT_INSTITUTION
from tests.support.databases import new_postgres, postgres_answers
from tests.support.platform import TestPlatform
from tests.support.rows import rows_of

COUNT = 20_000
TABLES = ("courses", "members", "awards")


@pytest.fixture(scope="module")
def tool(keys_folder: Any) -> Iterator[ToolContext]:
    """A PostgreSQL database with many courses, members and awards, all long settled."""
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers")
    with new_postgres() as url:
        context = ToolContext.build(
            Settings(base_url="http://127.0.0.1:5999", database_url=url, keys_dir=keys_folder)
        )
        seed(context)
        yield context
        context.close()


def seed(tool: ToolContext) -> None:
    platform_id = TestPlatform(base="http://127.0.0.1:1").register(tool.sessions)
    with tool.sessions.begin() as session:
        institution = session.scalar(text("SELECT id FROM institutions LIMIT 1"))
        rows_of(session, platform_id, institution)
    with tool.database.begin() as connection:
        connection.execute(
            text("UPDATE awards SET state = 'issued', next_attempt_at = NULL, passed_back = 'done'")
        )
        for table in TABLES:
            _multiply(connection, table)
        for table in TABLES:
            connection.execute(text(f"ANALYZE {table}"))


def _multiply(connection: Any, table: str) -> None:
    """Copies of the table's one row, with what is unique made different."""
    names = connection.scalars(
        text("SELECT column_name FROM information_schema.columns WHERE table_name = :table"),
        {"table": table},
    ).all()
    other = {
        "id": "gen_random_uuid()::text",
        "context_id": "'copy ' || n",
        "sub": "'copy ' || n",
        "number": "n + 1",
        "next_sync_at": "now() + n * interval '1 second'",
    }
    values = ", ".join(other.get(name, f't."{name}"') for name in names)
    into = ", ".join(f'"{name}"' for name in names)
    connection.execute(
        text(
            f"INSERT INTO {table} ({into}) SELECT {values} "
            f"FROM (SELECT * FROM {table} LIMIT 1) t, generate_series(1, {COUNT}) n"
        )
    )


@pytest.mark.postgres
def test_the_tick_reads_no_large_table_from_end_to_end(tool: ToolContext) -> None:
    works = (
        recover,
        due_awards,
        due_courses,
        due_for_pass_back,
        due_notice_orders,
        lambda each: mark_dependents(each.sessions),
    )
    assert scans(tool, *works) == []


@pytest.mark.postgres
def test_a_page_of_awards_reads_no_large_table_from_end_to_end(tool: ToolContext) -> None:
    own = tool.within(DEFAULT_INSTITUTION)
    first = award_list(own, AwardFilter())
    assert len(first.rows) == PAGE
    second = award_list(own, AwardFilter(), first.after or "")
    assert not {each.id for each in first.rows} & {each.id for each in second.rows}
    for ask in (
        lambda tool: award_list(tool, AwardFilter()),
        lambda tool: award_list(tool, AwardFilter(sort="oldest"), ""),
        lambda tool: award_list(tool, AwardFilter(), first.after or ""),
    ):
        assert scans(own, ask) == []


def scans(tool: ToolContext, *works: Callable[[ToolContext], object]) -> list[str]:
    """Where the queries of some work read a large table from end to end."""
    ran: list[tuple[str, Any]] = []

    def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        ran.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for work in works:
            work(tool)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    queries = [each for each in ran if each[0].lstrip().startswith("SELECT")]
    assert any("FROM awards" in statement for statement, _ in queries)
    found = []
    with tool.database.connect() as connection:
        for statement, parameters in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
            found += [
                f"{line.strip()}\n{statement}"
                for line in plan
                for table in TABLES
                if f"Seq Scan on {table}" in line
            ]
    return found
