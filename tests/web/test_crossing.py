"""Nothing crosses: every address and every command, tried with every id of another institution."""

from __future__ import annotations

import re
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from lti_badges.app import create_app
from lti_badges.awarding.guard import keep_fallen_badges
from lti_badges.awarding.manual import award_by_hand, keep_after_flag
from lti_badges.backends import ensure_default
from lti_badges.cli.main import cli
from lti_badges.core.errors import NotFound
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    Achievement,
    Award,
    AwardRule,
    BackendRow,
    Base,
    Course,
    CourseMember,
    Institution,
    Platform,
    Standing,
)
from tests.support.campus import TEACHER, Campus
from tests.support.rows import Rows, rows_of
from tests.web.test_admin import Console
from tests.web.test_course_pages import Pages

FIELDS = (
    "achievement",
    "achievements",
    "award",
    "awards",
    "backend",
    "course",
    "deployment",
    "institution",
    "member",
    "person",
    "platform",
    "rule",
)
OPERATORS = {
    "admin",
    "backup",
    "db",
    "demo",
    "deployments",
    "doctor",
    "institutions",
    "keys",
    "platforms",
    "restore",
    "serve",
    "worker",
}
"""Commands of whoever runs the installation: they see all institutions."""
WORDS = {"at_least": "80", "reason": "r", "criteria": "c", "description": "d", "kind": "builtin"}


@pytest.fixture
def foreign(lite: Campus) -> Rows:
    """Everything there is, of another institution on the same platform."""
    lite.rule()
    lite.sync()
    with lite.context.sessions.begin() as session:
        other = Institution(name="Other university")
        session.add(other)
        session.flush()
        other_id = other.id
        platform_id = session.scalars(select(Platform.id)).one()
    ensure_default(lite.context.sessions)
    with lite.context.sessions.begin() as session:
        return rows_of(session, platform_id, other_id)


def everything(session: Session) -> dict[str, list[Any]]:
    """All rows of what belongs to somebody."""
    return {
        name: [tuple(row) for row in session.execute(text(f"SELECT * FROM {name} ORDER BY 1, 2"))]
        for name in Base.metadata.tables
        if name not in {"logins", "admin_sessions", "admin_links", "processes", "platforms"}
    }


def ids_of(rows: Rows) -> list[str]:
    """Each id once."""
    found = []
    for key in rows.keys.values():
        found += [str(each) for each in (key if isinstance(key, tuple) else (key,))]
    return [each for each in dict.fromkeys(found) if len(each) == 36]


def theirs(session: Session, rows: Rows) -> dict[str, list[Any]]:
    """What the other institution has, as it stands."""
    ids = set(ids_of(rows))
    return {
        name: [row for row in all_rows if ids & {str(value) for value in row}]
        for name, all_rows in everything(session).items()
    }


def test_no_address_takes_an_id_of_another_institution(lite: Campus, foreign: Rows) -> None:
    teacher, console = Pages(lite, TEACHER), Console(lite, DEFAULT_INSTITUTION)
    with lite.context.sessions() as session:
        before = theirs(session, foreign)
    app = create_app(queue=lite.queue)
    tried = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/course", "/me", "/picker", "/admin")):
            continue
        headers = console.headers if rule.rule.startswith("/admin") else teacher.headers
        for key in ids_of(foreign):
            path = _filled(rule.rule, key)
            data = dict.fromkeys(FIELDS, key) | {"reason": "r", "kind": "builtin"}
            for method in (rule.methods or set()) & {"GET", "POST"}:
                answer = httpx.request(
                    method,
                    lite.tool + path,
                    headers=headers,
                    data=data if method == "POST" else None,
                    params=data if method == "GET" else None,
                    timeout=60,
                )
                tried += 1
                assert answer.status_code < 500, (path, answer.text)
                if rule.arguments:
                    assert answer.status_code >= 400, (method, path, answer.text[:300])
                assert "Other university" not in answer.text, path
                assert "A badge" not in answer.text.replace("A badge needs", ""), path
                assert "ada@example.org" not in answer.text or not path.endswith(key), path
            if not rule.arguments:
                break
    assert tried > 100
    with lite.context.sessions() as session:
        assert theirs(session, foreign) == before


def test_lists_and_files_of_the_console_hold_one_institution(lite: Campus, foreign: Rows) -> None:
    other = str(foreign.keys[Institution])
    own, theirs_, operator = Console(lite, DEFAULT_INSTITUTION), Console(lite, other), Console(lite)
    pages = ("/courses", "/people", "/awards", "/audit", "/platforms", "/backends", "/overview")
    for path in (*pages, "/work", "/profile"):
        page = own.get(path).text
        for name in ("A course", "A badge", ">Ada<", "ada@example.org", other):
            assert name not in page, (path, name)
        assert "Statistics" not in theirs_.get(path).text
    assert "A badge" in theirs_.get("/awards").text
    assert ">Ada<" in theirs_.get("/people").text
    # What an operator may choose, an institution's admin can't, however it is said.
    operator.headers["X-Institution"] = other
    assert "A badge" in operator.get("/awards").text
    own.headers["X-Institution"] = other
    assert "A badge" not in own.get("/awards").text
    assert "A badge" not in own.post("/awards/retry/review", shown=other).text
    assert "A course" not in own.post("/audit.csv", shown=other).text
    assert "A course" in theirs_.post("/audit.csv").text
    assert own.post("/audit.csv", all="on").status_code == 403
    assert own.get("/audit", all="on").status_code == 403
    for path in ("/institutions", "/institutions/rename", "/keys/rotate"):
        assert own.post(path, name="Mine").status_code == 403


def _filled(pattern: str, key: str) -> str:
    """`/rules/<rule_id>/<any(pause, remove):change>` with the id, and the first of what is said."""
    return re.sub(
        r"<(?:any\(([^)]*)\):|\w+:)?\w+>",
        lambda found: found.group(1).split(",")[0] if found.group(1) else key,
        pattern,
    )


def test_no_command_takes_an_id_of_another_institution(lite: Campus, foreign: Rows) -> None:
    settings = lite.context.settings
    env = {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }
    with lite.context.sessions() as session:
        before = theirs(session, foreign)
    ids = ids_of(foreign)
    tried = 0
    for path, command in _leaves(cli, ()):
        if path[0] in OPERATORS:
            continue
        for key in ids:
            # What `add` is given first is the name of something new.
            asked = _arguments(command, "new" if path[-1] == "add" else key)
            if asked is None:
                break
            done = CliRunner().invoke(cli, [*path, *asked], env=env, input="")
            tried += 1
            assert not isinstance(done.exception, AssertionError), done.exception
            for other in ids:
                assert other == key or other not in done.output, (path, done.output)
            assert "Other university" not in done.output
            assert "A badge" not in done.output
            if not any(key in each for each in asked):
                break
    assert tried > 60
    with lite.context.sessions() as session:
        assert theirs(session, foreign) == before


def _leaves(group: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(group, click.Group):
        return [(path, group)]
    return [leaf for name, each in group.commands.items() for leaf in _leaves(each, (*path, name))]


def _arguments(command: click.Command, key: str) -> list[str] | None:
    """Every argument, and every option that takes a name or an id, filled with the id."""
    given: list[str] = []
    for each in command.params:
        if isinstance(each.type, click.Path | click.File):
            return None if isinstance(each, click.Argument) else given
        if isinstance(each, click.Argument):
            given.append(key)
        elif not getattr(each, "is_flag", False) and each.name in {
            "achievement",
            "backend",
            "context_id",
            "names",
            "items",
            "percents",
            *WORDS,
        }:
            value = "80" if each.name == "percents" else WORDS.get(each.name or "", key)
            given += [each.opts[0], value]
        elif each.required:
            given += [each.opts[0], "x"]
    return given


def test_ids_of_another_course_write_nothing(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    with lite.context.sessions.begin() as session:
        here = session.scalars(select(Course)).one()
        other = Course(
            deployment_id=here.deployment_id, context_id="x", custom={}, scopes=[], settings={}
        )
        session.add(other)
        rule = session.scalars(select(AwardRule)).one()
        rule.stopped = {"why": "w", "grants": 0, "revocations": 1, "learners": 1}
        standing = session.scalars(select(Standing)).first()
        assert standing is not None
        standing.flagged, standing.fallen_at = True, standing.judged_at
        session.flush()
        other_id, rule_id, member_id = other.id, rule.id, standing.member_id
        backend = session.scalars(select(BackendRow)).one()
        private = Achievement(
            backend_id=backend.id,
            ref="r",
            name="Private",
            description="d",
            criteria="c",
            course_id=other.id,
        )
        session.add(private)
        session.flush()
        private_id = private.id
    for refused in (
        lambda: keep_fallen_badges(lite.context, other_id, rule_id, by="t"),
        lambda: keep_after_flag(lite.context, other_id, rule_id, member_id, by="t"),
        lambda: award_by_hand(
            lite.context, here.id, member_id, private_id, by="t", reason="because"
        ),
    ):
        with pytest.raises(NotFound):
            refused()
    with lite.context.sessions() as session:
        standing = session.get_one(Standing, (rule_id, member_id))
        assert standing.flagged
        assert not standing.kept
        assert session.get_one(AwardRule, rule_id).stopped is not None
        assert not session.scalars(select(Award).where(Award.achievement_id == private_id)).all()
        assert session.get_one(CourseMember, member_id).course_id == here.id
