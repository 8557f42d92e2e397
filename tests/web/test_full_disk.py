"""A disk without room: visitors are told, nothing is half done, and it goes on once there is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, func, select

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.jobs import open_queue
from lti_badges.settings import Settings
from lti_badges.store import Login
from tests.support.platform import TestPlatform


def test_a_full_disk_is_said_and_passes(sqlite_settings: Settings) -> None:
    context = ToolContext.build(Settings(**{**sqlite_settings.model_dump(), "limits": 0}))
    asking = create_app(queue=open_queue(context)).test_client()
    platform = TestPlatform(base="http://127.0.0.1:1")
    platform.register(context.sessions)
    given = platform.login_request(context.settings.base_url)
    assert asking.post("/lti/login", data=given).status_code == 302

    def no_room(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # as many as there are, and no more

    context.database.dispose()
    event.listen(context.database, "connect", no_room)
    answers = [asking.post("/lti/login", data=given) for _ in range(400)]
    refused = [each for each in answers if each.status_code != 302]
    assert refused
    assert {each.status_code for each in refused} == {503}
    assert "disk is full or read-only" in refused[0].text
    kept = 1 + len(answers) - len(refused)
    with context.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Login)) == kept

    event.remove(context.database, "connect", no_room)
    context.database.dispose()
    assert asking.post("/lti/login", data=given).status_code == 302
    context.close()
