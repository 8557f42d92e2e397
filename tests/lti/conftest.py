"""One tool and one platform for all launches: they share nothing but their rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.jobs import open_queue
from lti_badges.settings import Settings
from tests.support.databases import new_postgres, new_sqlite, postgres_answers
from tests.support.platform import Browser, TestPlatform
from tests.support.serving import free_port, served


@pytest.fixture(scope="module")
def platform() -> Iterator[TestPlatform]:
    """An LMS whose keys answer."""
    with TestPlatform().running() as running:
        yield running


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def tool_context(
    request: pytest.FixtureRequest, keys_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ToolContext]:
    """The tool's context, on a database of each kind."""
    with ExitStack() as stack:
        if request.param == "postgres" and not postgres_answers():
            pytest.skip("no PostgreSQL answers")
        settings = Settings(
            base_url=f"http://127.0.0.1:{free_port()}",
            database_url=stack.enter_context(new_postgres())
            if request.param == "postgres"
            else new_sqlite(tmp_path_factory.mktemp("tool"), "tool.db"),
            keys_dir=keys_folder,
            limits=0,  # one client plays hundreds here
        )
        context = ToolContext.build(settings)
        stack.callback(context.close)
        yield context


@pytest.fixture(scope="module")
def tool(tool_context: ToolContext, platform: TestPlatform) -> Iterator[str]:
    """The tool's address."""
    base = tool_context.settings.base_url
    app = create_app(queue=open_queue(tool_context))
    platform.register(tool_context.sessions)
    with served(app, int(base.rpartition(":")[2])):
        yield base


@pytest.fixture
def browser(tool: str, platform: TestPlatform) -> Browser:
    """A fresh browser."""
    return Browser(tool, platform)
