"""A database that the previous release filled: upgraded, nothing lost, and work goes on.

`releases/` holds what a real run of that release left: six learners, two rules (one edited), awards
issued, revoked and pending, a fallen grade in its days of grace, a second backend.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic import command
from sqlalchemy import JSON, Boolean, DateTime, Engine, MetaData, insert, select

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.delivery.deliver import deliver_due
from lti_badges.jobs import open_queue
from lti_badges.openbadges.verify import Verification, verify_document, verify_jwt
from lti_badges.settings import Settings
from lti_badges.store import Award, BackendRow, Platform, is_current, open_engine, upgrade
from lti_badges.store.migrate import _config
from lti_badges.store.session import for_writing
from tests.support.databases import empty_postgres, postgres_answers

RELEASE: dict[str, Any] = json.loads(
    (Path(__file__).parent / "releases" / "0.1.0.json").read_text("utf-8")
)
ADDRESS = "http://127.0.0.1:5990"
"""Where that release ran: its credentials say so for ever."""


@contextmanager
def left_by_the_release(kind: str, folder: Path) -> Iterator[str]:
    """A database of that schema with those rows."""
    if kind == "sqlite":
        url = f"sqlite:///{folder}/old.db"
        fill(url)
        yield url
        return
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers")
    with empty_postgres() as url:
        fill(url)
        yield url


def fill(url: str) -> None:
    engine = open_engine(Settings(database_url=url).database_url)
    with for_writing(engine).begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, RELEASE["revision"])
    schema = MetaData()
    schema.reflect(engine)
    with for_writing(engine).begin() as connection:
        for table in schema.sorted_tables:
            for row in RELEASE["tables"].get(table.name, ()):
                # A number that the database counts by itself is left to it.
                values = {
                    name: _typed(table.c[name].type, each)
                    for name, each in row.items()
                    if table.c[name] is not table.autoincrement_column
                }
                connection.execute(insert(table).values(values))
    engine.dispose()


def _typed(column: object, value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    if value is None:
        return None
    if isinstance(column, DateTime):
        # As UtcDateTime keeps it: SQLite without a zone, PostgreSQL with one.
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if column.timezone else moment
    if isinstance(column, Boolean):
        return bool(value)
    return json.loads(value) if isinstance(column, JSON) else value


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ToolContext]:
    """The tool of this version on that database, with that release's key files."""
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name, text in RELEASE["keys"].items():
        (keys / name).write_text(text)
        (keys / name).chmod(0o600)
    with left_by_the_release(request.param, tmp_path) as url:
        settings = Settings(
            base_url=ADDRESS,
            database_url=url,
            queue_url=f"sqlite:///{tmp_path}/queue.db",
            keys_dir=keys,
        )
        context = ToolContext.build(settings)
        assert not is_current(context.database)
        upgrade(context.database)
        assert is_current(context.database)
        yield context
        context.close()


def rows_of(engine: Engine, name: str) -> list[dict[str, Any]]:
    schema = MetaData()
    schema.reflect(engine, only=[name])
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(schema.tables[name])).mappings()]


def test_no_row_is_lost_and_what_was_written_still_stands(upgraded: ToolContext) -> None:
    for name in ("awards", "credentials", "courses", "members", "award_rules", "rule_versions"):
        before = {row["id"]: row for row in RELEASE["tables"][name] if "id" in row}
        found = rows_of(upgraded.database, name)
        assert len(found) == len(RELEASE["tables"][name]), name
        for row in found:
            old = before.get(row.get("id"), {})
            kept = [each for each in old if each in row and isinstance(old[each], str)]
            for each in kept:
                if isinstance(row[each], str):
                    assert row[each] == old[each], (name, each)


def test_work_goes_on_where_the_release_left_it(upgraded: ToolContext) -> None:
    with upgraded.sessions() as session:
        before = {award.id: award.state for award in session.scalars(select(Award))}
        platform = session.scalars(select(Platform)).one()
        backend = session.scalars(select(BackendRow).where(BackendRow.name == "badgr")).one()
    # The secret that sealed them still opens them.
    assert upgraded.cipher.unseal(platform.connection)["token"]
    assert upgraded.cipher.unseal(backend.secrets) == {"password": "hush"}
    assert sorted(before.values()) == ["issued"] * 4 + ["pending"] * 2 + ["revoked"]
    assert deliver_due(upgraded) == 2
    with upgraded.sessions() as session:
        after = {award.id: award.state for award in session.scalars(select(Award))}
    assert {each: after[each] for each in before if before[each] != "pending"} == {
        each: state for each, state in before.items() if state != "pending"
    }
    assert sorted(after.values()) == ["issued"] * 6 + ["revoked"]
    names = {row["name"] for row in rows_of(upgraded.database, "members")}
    assert {"Ben Carter", "Ada Lindqvist"} <= names


def test_credentials_of_the_release_verify_and_the_revoked_one_does_not(
    upgraded: ToolContext,
) -> None:
    with upgraded.sessions() as session:
        states = {award.id: award.state for award in session.scalars(select(Award))}
    app = create_app(queue=open_queue(upgraded))
    # Its credentials name the address where it ran; nobody needs that very port for this.
    with httpx.Client(transport=httpx.WSGITransport(app), base_url=ADDRESS) as client:

        def fetch(url: str) -> dict[str, Any] | None:
            answer = client.get(url, headers={"Accept": "application/json"})
            return dict(answer.json()) if answer.status_code == 200 else None

        for award_id, state in states.items():
            url = f"{ADDRESS}/credentials/{award_id}"
            if state == "pending":
                assert client.get(url).status_code == 200
                continue
            expected = [] if state == "issued" else ["Status"]
            as_jwt = verify_jwt(client.get(f"{url}.jwt").text, fetch, clock.now())
            as_json = verify_document(client.get(f"{url}.json").json(), fetch, clock.now())
            assert (failed(as_jwt), failed(as_json)) == (expected, expected), state


def failed(verification: Verification) -> list[str]:
    return [check.name for check in verification.checks if not check.passed]
