"""Migrations one by one: a single line, and what the newer ones do to rows that are there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, select

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.store import Award, HoldingChange, is_current
from lti_badges.store.institutions import DEFAULT_INSTITUTION
from lti_badges.store.migrate import _config, _connected
from lti_badges.store.session import for_writing
from tests.support.platform import TestPlatform
from tests.support.rows import rows_of


def move(engine: Engine, to: Callable[[Config], None]) -> None:
    with _connected(for_writing(engine)) as connection, connection.begin():
        config = _config()
        config.attributes["connection"] = connection
        to(config)


def test_the_migrations_are_one_line() -> None:
    assert len(ScriptDirectory.from_config(_config()).get_heads()) == 1


def test_badges_that_expire_are_noted_when_the_notes_are_new(context: ToolContext) -> None:
    """Those that ended before it too: nobody had told who builds on them."""
    platform_id = TestPlatform(base="http://127.0.0.1:1").register(context.sessions)
    with context.sessions.begin() as session:
        first = rows_of(session, platform_id, DEFAULT_INSTITUTION).keys[Award]
        award = session.get_one(Award, first)
        expires_at = clock.now() + timedelta(days=30)
        award.expires_at, award.state = expires_at, "issued"
        kept = {name: getattr(award, name) for name in ("course_id", "member_id", "backend_id")}
        kept |= {"achievement_id": award.achievement_id, "recipient_key": "x", "explanation": "x"}
        for number, state, ends in ((2, "issued", None), (3, "revoked", expires_at)):
            session.add(
                Award(number=number, state=state, expires_at=ends, achieved_at=clock.now(), **kept)
            )
    move(context.database, lambda config: command.downgrade(config, "0017"))
    assert not is_current(context.database)
    move(context.database, lambda config: command.upgrade(config, "head"))
    assert is_current(context.database)
    with context.sessions() as session:
        noted = session.execute(select(HoldingChange.award_id, HoldingChange.due_at)).all()
    assert [tuple(each) for each in noted] == [(first, expires_at)]
