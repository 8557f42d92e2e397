"""Canvas registers the tool, tells it of copied courses, and is configured by address."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from lti_badges.catalogue.notices import due_notice_orders, order_for
from lti_badges.courses.copy import TOLD_ORIGINS
from lti_badges.lti.registration import NOTICE_SCOPE, invite
from lti_badges.sandbox.canvas.notices import send_copy_notice
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.sandbox.model import Course as SandboxCourse
from lti_badges.settings import Settings
from lti_badges.store import Course, Deployment, Platform
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus


@pytest.fixture
def campus(sqlite_settings: Settings) -> Iterator[Campus]:
    with running_campus(sqlite_settings, "canvas") as both:
        yield both


def registered(campus: Campus, query: str = "") -> None:
    """Dynamically, in place of the demo's registration."""
    campus.world.tools.clear()
    with campus.context.sessions.begin() as session:
        session.delete(session.scalars(select(Platform)).one())
    url = f"{invite(campus.context.sessions, campus.tool, 'canvas')}{query}"
    page = campus.client.get(
        f"{campus.world.base_url}/register-tool", params={"url": url}, follow_redirects=True
    )
    assert page.status_code == 200, page.text


def test_a_bare_host_as_authorization_server_is_no_audience(campus: Campus) -> None:
    registered(campus)
    assert "Badges of this course" in campus.enter(TEACHER).text
    report = campus.sync()
    assert not report.errors
    assert report.members > 20
    with campus.context.sessions.begin() as session:
        platform = session.scalars(select(Platform)).one()
        assert platform.auth_audience is None
        platform.auth_audience = "canvas.instructure.com"  # as an earlier version stored it
    campus.context.tokens.__init__(campus.context.http, campus.context.keys)  # type: ignore[misc]
    assert not campus.sync().errors


def test_registration_asks_for_the_notices_scope_and_all_pickers(campus: Campus) -> None:
    registered(campus)
    tool = next(iter(campus.world.tools.values()))
    assert NOTICE_SCOPE in tool.scopes
    found = httpx.get(f"{campus.tool}/lti/config/canvas.json").json()
    assert NOTICE_SCOPE in found["scopes"]
    placements = found["extensions"][0]["settings"]["placements"]
    assert {each["placement"] for each in placements} == {
        "course_navigation",
        "link_selection",
        "assignment_selection",
        "submission_type_selection",
        "editor_button",
        "course_assignments_menu",
        "module_index_menu_modal",
        "module_menu_modal",
    }
    assert placements[0]["default"] == "disabled"
    shown = httpx.get(f"{campus.tool}/lti/config/canvas.json?navigation=enabled").json()
    assert shown["extensions"][0]["settings"]["placements"][0]["default"] == "enabled"


def test_a_copied_course_is_known_before_anybody_opens_it(campus: Campus) -> None:
    registered(campus)
    campus.enter(TEACHER)
    (due,) = due_notice_orders(campus.context)
    order_for(campus.context, due)
    handlers = campus.world.vendor.state.notice_handlers
    assert {kind: kept["handler"] for kind, kept in handlers.items()} == {
        "LtiHelloWorldNotice": f"{campus.tool}/lti/notices",
        "LtiContextCopyNotice": f"{campus.tool}/lti/notices",
    }
    assert due_notice_orders(campus.context) == []
    campus.enter(TEACHER)
    assert due_notice_orders(campus.context) == []  # not with every launch
    copy = SandboxCourse("77", "STAT102", "Statistics, next year")
    assert send_copy_notice(campus.world, copy, COURSE) == 200
    with campus.context.sessions() as session:
        course = session.scalars(select(Course).where(Course.context_id == "77")).one()
        assert course.settings[TOLD_ORIGINS] == [COURSE]


def test_a_platform_that_refuses_notices_is_asked_again_another_day(campus: Campus) -> None:
    registered(campus)
    campus.enter(TEACHER)
    campus.world.faults.next("/api/lti/notice-handlers", "403")
    (due,) = due_notice_orders(campus.context)
    order_for(campus.context, due)
    with campus.context.sessions() as session:
        assert session.get_one(Deployment, due).notices_error
    assert due_notice_orders(campus.context) == []
