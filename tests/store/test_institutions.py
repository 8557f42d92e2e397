"""Institutions in the store: a session sees one, whatever is asked; old databases get a default."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import delete, exists, func, select, text, update
from sqlalchemy.orm import Session, aliased, sessionmaker

from lti_badges.backends import ensure_default
from lti_badges.context import ToolContext
from lti_badges.settings import Settings
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    Achievement,
    AuditEvent,
    BackendRow,
    Course,
    CourseMember,
    Deployment,
    Institution,
    LineItem,
    MemberResult,
    Platform,
    Share,
    WrongInstitution,
    open_engine,
    upgrade,
)
from lti_badges.store.migrate import _config
from tests.support.campus import Campus
from tests.support.databases import empty_postgres, postgres_answers
from tests.support.rows import Rows, rows_of


@pytest.fixture
def two(context: ToolContext) -> tuple[Rows, Rows]:
    """Everything there is, once in the default institution and once in another."""
    with context.sessions.begin() as session:
        other = Institution(name="Other university")
        session.add(other)
        session.flush()
        platform = Platform(
            institution_id=None,
            lms="blackboard",
            issuer="https://blackboard.com",
            client_id="shared",
            auth_login_url="https://a.example",
            auth_token_url="https://a.example",
            key_set_url="https://a.example",
        )
        session.add(platform)
        session.flush()
        other_id = other.id
    ensure_default(context.sessions)
    with context.sessions.begin() as session:
        return (
            rows_of(session, platform.id, DEFAULT_INSTITUTION),
            rows_of(session, platform.id, other_id),
        )


def test_every_kind_of_query_sees_one_institution(
    context: ToolContext, two: tuple[Rows, Rows]
) -> None:
    own, foreign = two
    with context.within(DEFAULT_INSTITUTION).sessions() as session:
        for model, key in own.keys.items():
            assert session.get(model, key) is not None, model
        for model, key in foreign.keys.items():
            assert session.get(model, key) is None, model
            first = model.__mapper__.primary_key[0]
            column = model.__mapper__.get_property_by_column(first).class_attribute
            assert _count(session, select(model)) == 1, model
            wanted = key[0] if isinstance(key, tuple) else key
            assert session.scalar(select(exists().where(column == wanted))) is False, model
            other = aliased(model)
            assert session.scalar(select(func.count()).select_from(other)) == 1, model
        joined = session.execute(
            select(CourseMember.id, MemberResult.id)
            .join(MemberResult, MemberResult.member_id == CourseMember.id)
            .join(LineItem, LineItem.id == MemberResult.line_item_id)
        ).all()
        assert joined == [(own.keys[CourseMember], own.keys[MemberResult])]
        platform = session.scalars(select(Platform)).one()
        assert [each.id for each in platform.deployments] == [own.keys[Deployment]]


def _count(session: Session, query: Any) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _shapes(rows: Rows, theirs: Rows) -> Iterator[tuple[Any, set[Any]]]:
    """Statements of many forms, and what `rows`' institution must be answered."""
    for model in rows.keys:
        key = model.__mapper__.get_property_by_column(
            model.__mapper__.primary_key[0]
        ).class_attribute
        mine, other = (
            (k[0] if isinstance(k, tuple) else k) for k in (rows.keys[model], theirs.keys[model])
        )
        alias = aliased(model)
        aliased_key = getattr(alias, key.key)
        yield select(key), {mine}
        yield select(key).where(key.in_([mine, other])), {mine}
        yield select(aliased_key).where(aliased_key == other), set()
        yield select(key).where(key.in_(select(key).where(key == mine))), {mine}
        yield select(func.max(key)).having(func.count() > 1), set()
        yield select(exists().where(key == other)), {False}
        yield select(key).union(select(key)), {mine}
    mine = rows.keys[Course]
    yield select(Course.id).join(LineItem).join(MemberResult), {mine}
    yield select(Course.id).where(Course.id == select(LineItem.course_id).scalar_subquery()), {mine}
    cte = select(CourseMember.course_id).cte("members_of")
    yield select(Course.id).join(cte, cte.c.course_id == Course.id), {mine}


def test_a_statement_that_was_compiled_for_one_institution_serves_another(
    context: ToolContext, two: tuple[Rows, Rows]
) -> None:
    """Compiled statements are shared: the same ones asked by turns, and by many at once."""
    sides = [(rows, other) for rows, other in (two, two[::-1])]

    def ask(turn: int) -> None:
        rows, other = sides[turn % 2]
        with context.within(rows.keys[Institution]).sessions() as session:
            for statement, expected in _shapes(rows, other):
                assert set(session.scalars(statement)) == expected, str(statement)
            (platform,) = session.scalars(select(Platform)).unique()
            assert [each.id for each in platform.deployments] == [rows.keys[Deployment]]

    for turn in range(4):
        ask(turn)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(24)))


def test_no_update_or_delete_reaches_another_institution(
    context: ToolContext, two: tuple[Rows, Rows]
) -> None:
    _, foreign = two
    with context.within(DEFAULT_INSTITUTION).sessions.begin() as session:
        changed: Any = session.execute(update(CourseMember).values(name="changed"))
        assert changed.rowcount == 1
        gone: Any = session.execute(
            delete(CourseMember).where(CourseMember.id == foreign.keys[CourseMember])
        )
        assert gone.rowcount == 0
    with context.sessions() as session:
        assert session.get_one(CourseMember, foreign.keys[CourseMember]).name is None


def test_what_a_session_adds_belongs_to_its_institution(
    context: ToolContext, two: tuple[Rows, Rows]
) -> None:
    _, foreign = two
    other = foreign.keys[Institution]
    tool = context.within(other)
    with tool.sessions.begin() as session:
        session.add(BackendRow(name="another", kind="builtin"))
    with context.sessions() as session:
        row = session.scalars(select(BackendRow).where(BackendRow.name == "another")).one()
        assert row.institution_id == other
    with pytest.raises(WrongInstitution), tool.sessions.begin() as session:
        session.add(BackendRow(name="third", kind="builtin", institution_id=DEFAULT_INSTITUTION))
    with pytest.raises(WrongInstitution):
        tool.within(DEFAULT_INSTITUTION)


def test_a_session_that_names_no_institution_can_ask_nothing(context: ToolContext) -> None:
    with sessionmaker(context.database)() as session, pytest.raises(WrongInstitution):
        session.scalar(select(Course.id))


def test_only_what_the_operator_shares_is_seen(
    context: ToolContext, two: tuple[Rows, Rows]
) -> None:
    own, foreign = two
    with context.sessions.begin() as session:
        session.add(
            Share(
                institution_id=DEFAULT_INSTITUTION,
                kind="backend",
                item_id=foreign.keys[BackendRow],
            )
        )
    with context.within(DEFAULT_INSTITUTION).sessions() as session:
        assert session.get(BackendRow, foreign.keys[BackendRow]) is not None
        assert session.get(Achievement, foreign.keys[Achievement]) is None  # made in a course there
        assert session.get(Course, foreign.keys[Course]) is None
    with context.within(foreign.keys[Institution]).sessions() as session:
        assert session.get(BackendRow, own.keys[BackendRow]) is None


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/old.db"
        return
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers")
    with empty_postgres() as url:
        yield url


def test_a_filled_database_comes_to_the_default_institution(old_database: str) -> None:
    engine = open_engine(Settings(database_url=old_database).database_url)
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0010")
    with engine.begin() as connection:
        for statement in OLD_ROWS:
            connection.execute(text(statement))
    upgrade(engine)
    with engine.connect() as connection:
        for table in ("platforms", "deployments", "courses", "backends", "achievements"):
            owners = connection.scalars(text(f"SELECT institution_id FROM {table}")).all()
            assert set(owners) == {DEFAULT_INSTITUTION}, table
        assert connection.scalar(text("SELECT backend_id FROM courses")) == "b"
        people = connection.execute(text("SELECT id, sub, name FROM people ORDER BY sub")).all()
        assert [tuple(each)[1:] for each in people] == [("ada", "Ada"), ("ben", None)]
        members = connection.execute(text("SELECT sub, person_id FROM members")).all()
        assert {tuple(each) for each in members} == {(each.sub, each.id) for each in people}
    engine.dispose()


def test_deployments_of_a_shared_client_id_wait_until_they_are_given_away(
    context: ToolContext, two: tuple[Rows, Rows]
) -> None:
    with context.sessions.begin() as session:
        platform = session.scalars(select(Platform)).one()
        platform.deployments.append(Deployment(deployment_id="unknown"))
    with context.sessions() as session:
        row = session.scalars(select(Deployment).where(Deployment.deployment_id == "unknown")).one()
        assert row.institution_id is None


def test_events_belong_to_their_courses_institution(
    context: ToolContext, two: tuple[Rows, Rows]
) -> None:
    _, foreign = two
    with context.sessions.begin() as session:
        session.add(AuditEvent(kind="test", course_id=foreign.keys[Course]))
    with context.sessions() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.kind == "test")).one()
        assert event.institution_id == foreign.keys[Institution]


def test_the_models_that_belong_to_an_institution_are_all_filtered() -> None:
    """A new table must be placed: filtered, or named here as one that belongs to nobody."""
    code = (
        "from lti_badges.store import Base\n"
        "from lti_badges.store.scope import _conditions\n"
        "named = {m.__tablename__ for m, _ in _conditions('x')}\n"
        "print(*sorted(set(Base.metadata.tables) - named))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(said.stdout.split()) <= {
        "admin_links",
        "admin_sessions",
        "delivery_locks",
        "drawn_pictures",
        "limit_buckets",
        "logins",
        "processes",
        "signing_keys",
    }


NOW = "2026-05-03 10:00:00"
OLD_ROWS = (
    (
        "INSERT INTO platforms (id, lms, name, issuer, client_id, auth_login_url, auth_token_url, "
        "key_set_url, trust_all_deployments, product, created_at, updated_at) VALUES "
        f"('p', 'other', '', 'i', 'c', 'u', 'u', 'u', false, '{{}}', '{NOW}', '{NOW}')"
    ),
    (
        "INSERT INTO deployments (id, platform_id, deployment_id, state, first_seen_at) VALUES "
        f"('d', 'p', '1', 'approved', '{NOW}')"
    ),
    (
        "INSERT INTO backends (id, name, kind, settings, is_default, failures, created_at) VALUES "
        f"('b', 'builtin', 'builtin', '{{}}', true, 0, '{NOW}')"
    ),
    *(
        "INSERT INTO courses (id, deployment_id, context_id, title, label, scopes, custom, "
        "settings, backend_id, created_at, sync_failures, concluded) VALUES "
        f"('{each}', 'd', '{each}', '', '', '[]', '{{}}', '{{}}', 'b', '{NOW}', 0, false)"
        for each in ("c1", "c2")
    ),
    *(
        "INSERT INTO members (id, course_id, sub, name, roles, status, can_earn, present, dirty, "
        f"custom, changed_at) VALUES ('{key}', '{course}', '{sub}', {name}, '[]', 'Active', true, "
        f"true, false, '{{}}', '{NOW}')"
        for key, course, sub, name in (
            ("m1", "c1", "ada", "NULL"),
            ("m2", "c2", "ada", "'Ada'"),
            ("m3", "c2", "ben", "NULL"),
        )
    ),
    (
        "INSERT INTO achievements (id, backend_id, ref, name, description, criteria, archived, "
        f"created_at, updated_at) VALUES ('a', 'b', 'r', 'n', 'd', 'c', false, '{NOW}', '{NOW}')"
    ),
)


def test_the_database_and_the_queue_are_nobody_elses(lite: Campus) -> None:
    database = Path(lite.context.settings.database_url.removeprefix("sqlite:///"))
    made = [*database.parent.glob("*.db*")]
    assert len(made) >= 2
    for each in made:
        assert each.stat().st_mode & 0o777 & ~0o640 == 0, each
