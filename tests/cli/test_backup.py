"""A backup made while the tool runs, restored elsewhere, and the tool started from it."""

from __future__ import annotations

import stat
import tarfile
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.jobs import open_queue
from lti_badges.settings import Settings
from lti_badges.store import Award, State
from tests.cli.test_commands import Tool
from tests.support.campus import Campus
from tests.support.databases import empty_postgres
from tests.support.serving import served

BEST = "16"


def test_the_tool_starts_from_a_restored_backup_and_its_credentials_verify(
    campus: Campus, tmp_path: Path
) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    award = campus.award_of(BEST)
    file = tmp_path / "backup.tar.gz"
    said = Tool(campus.context.settings, tmp_path).run("backup", str(file))
    assert "with the secret that opens it" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    is_sqlite = campus.context.database.dialect.name == "sqlite"
    place = nullcontext(f"sqlite:///{tmp_path}/new/new.db") if is_sqlite else empty_postgres()
    with place as url:
        restored = Settings(
            base_url=campus.tool,
            database_url=url,
            queue_url=f"sqlite:///{tmp_path}/new-queue.db",
            keys_dir=tmp_path / "new-keys",
        )
        told = Tool(restored, tmp_path).run("restore", str(file))
        assert "the signing keys open" in told
        context = ToolContext.build(restored)
        try:
            with served(create_app(queue=open_queue(context))) as address:
                asked = {"Accept": "text/html"}
                page = httpx.get(f"{address}/credentials/{award.id}", headers=asked)
                document = httpx.get(f"{address}/credentials/{award.id}.json")
        finally:
            context.close()
        assert page.status_code == 200
        assert "This credential is valid" in page.text
        assert document.json()["proof"]

        again = Tool(restored, tmp_path).run("restore", str(file), code=1)
        assert "not empty" in again


def test_what_waited_in_a_backup_is_looked_up_before_it_is_sent(
    lite: Campus, tmp_path: Path
) -> None:
    lite.rule()
    lite.sync()
    file = tmp_path / "backup.tar.gz"
    Tool(lite.context.settings, tmp_path).run("backup", str(file))
    restored = Settings(database_url=f"sqlite:///{tmp_path}/new.db", keys_dir=tmp_path / "new-keys")
    Tool(restored, tmp_path).run("restore", str(file))

    context = ToolContext.build(restored)
    with context.sessions() as session:
        waiting = list(session.scalars(select(Award).where(Award.state == State.PENDING.value)))
    context.close()
    assert waiting
    assert {award.sends for award in waiting} == {1}


def test_a_backup_is_not_opened_with_another_secret(lite: Campus, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    Tool(lite.context.settings, tmp_path).run("backup", str(file), "--without-secret")
    with tarfile.open(file) as archive:
        assert "secret" not in archive.getnames()
    fresh = Settings(database_url=f"sqlite:///{tmp_path}/new.db", keys_dir=tmp_path / "new-keys")
    tool = Tool(fresh, tmp_path)

    assert "without its secret" in tool.run("restore", str(file), code=1)
    wrong = {"LTI_BADGES_SECRET_KEY": "x" * 40}
    assert "another one" in tool.run("restore", str(file), code=1, **wrong)
    secret = (lite.context.settings.keys_dir / "secret.key").read_text()
    tool.run("restore", str(file), LTI_BADGES_SECRET_KEY=secret)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8b\x08broken"])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.tar.gz"
    file.write_bytes(content)
    fresh = Settings(database_url=f"sqlite:///{tmp_path}/new.db", keys_dir=tmp_path / "keys")

    assert "is not a backup" in Tool(fresh, tmp_path).run("restore", str(file), code=1)
    assert not (tmp_path / "new.db").exists()


def test_no_file_is_overwritten(lite: Campus, tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("mine")

    assert "exists already" in Tool(lite.context.settings, tmp_path).run(
        "backup", str(file), code=1
    )
    assert file.read_text() == "mine"
