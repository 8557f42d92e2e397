"""An instructor signs in for a course; an institution has its own credentials; both are proved."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import time_machine
from sqlalchemy import select

from lti_badges.catalogue.configuration import connect_platform
from lti_badges.catalogue.connections import check_connection, due_connections, lms_of
from lti_badges.core import clock
from lti_badges.core.errors import NoRight, NotFound, Unsupported
from lti_badges.store import Course, Deployment, Platform
from tests.lms.test_rest import CanvasServer
from tests.support.campus import TEACHER, Campus
from tests.support.serving import served
from tests.web.test_course_pages import Pages

STUDENT = "5"


@pytest.fixture
def canvas(lite: Campus, monkeypatch: pytest.MonkeyPatch) -> Iterator[CanvasServer]:
    """The campus is a Canvas whose admin gave an application, but no account."""
    lite.course_id()
    server = CanvasServer()
    monkeypatch.setattr("tests.lms.test_rest.BACK", f"{lite.tool}/lms/signed-in")
    with served(server.app()) as base:
        server.base = base
        with lite.context.sessions.begin() as session:
            row = session.scalars(select(Platform)).one()
            row.lms, row.connection = "canvas", None
            platform_id = row.id
        given = {"url": base, "client_id": "k"}
        said = connect_platform(lite.context, platform_id, given, {"client_secret": "s"})
        assert "an instructor signs in" in said
        yield server


def begun(asked: str, browser: httpx.Client, tool: str) -> dict[str, str]:
    """Press the button; what the LMS is asked for."""
    start = re.search(r'name="start" value="([^"]+)"', asked)
    assert start, asked
    gone = browser.post(f"{tool}/lms/sign-in", data={"start": html.unescape(start.group(1))})
    assert gone.status_code == 200, gone.text
    assert "frame-ancestors 'none'" in gone.headers["content-security-policy"]
    link = re.search(r'href="(http[^"]+)"', gone.text)
    assert link
    return dict(httpx.QueryParams(html.unescape(link.group(1)).partition("?")[2]))


def test_a_course_is_read_as_its_instructor(lite: Campus, canvas: CanvasServer) -> None:
    page, browser = Pages(lite, TEACHER), httpx.Client()
    assert "Sign in…" in page.get("/course/sources").text
    assert "Sign in on the page “Sources”" in page.get("/course/rules/new").text
    asked = page.post("/course/sign-in").text
    query = begun(asked, browser, lite.tool)
    assert query["redirect_uri"] == f"{lite.tool}/lms/signed-in"
    back = query["redirect_uri"]
    denied = {"state": query["state"], "error": "access_denied"}
    assert browser.get(back, params={"state": "bent", "code": "c0de"}).status_code == 401
    assert browser.get(back, params=denied).status_code == 422
    assert browser.get(back, params=denied).status_code == 401  # a state counts once
    wrong = {"state": begun(asked, browser, lite.tool)["state"], "code": "wrong"}
    assert browser.get(back, params=wrong).status_code == 422
    state = begun(asked, browser, lite.tool)["state"]
    elsewhere = httpx.get(back, params={"state": state, "code": "c0de"})
    assert elsewhere.status_code == 401
    assert "another browser" in elsewhere.text
    done = browser.get(back, params={"state": state, "code": "c0de"})
    assert "let us in as Badge service" in done.text
    assert browser.get(back, params={"state": state, "code": "c0de"}).status_code == 401
    shown = page.get("/course/sources").text
    assert "with the rights of Ada Lindqvist" in shown
    assert "Sign in anew" in shown
    with lite.context.sessions() as session:
        course = session.scalars(select(Course)).one()
        platform = session.scalars(select(Platform)).one()
    held = lite.context.cipher.unseal(course.connection)
    assert held["refresh_token"] == "refresh-1"
    assert "client_secret" not in held  # that stays the admin's to change
    assert "refresh_token" not in lite.context.cipher.unseal(platform.connection)
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=True):
        assert lms_of(lite.context, course.id).check()
    with lite.context.sessions() as session:
        renewed = lite.context.cipher.unseal(session.get_one(Course, course.id).connection)
    assert renewed["access_token"] != held["access_token"]
    assert "client_secret" not in renewed


def test_a_learner_signs_in_for_nothing(lite: Campus, canvas: CanvasServer) -> None:
    learner = Pages(lite, STUDENT)
    assert learner.post("/course/sign-in").status_code == 403


def test_a_sign_in_counts_for_ten_minutes(lite: Campus, canvas: CanvasServer) -> None:
    browser = httpx.Client()
    state = begun(Pages(lite, TEACHER).post("/course/sign-in").text, browser, lite.tool)["state"]
    back = f"{lite.tool}/lms/signed-in"
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=True):
        late = browser.get(back, params={"state": state, "code": "c0de"})
    assert late.status_code == 401


def test_another_sites_page_begins_no_sign_in(lite: Campus, canvas: CanvasServer) -> None:
    asked = Pages(lite, TEACHER).post("/course/sign-in").text
    start = re.search(r'name="start" value="([^"]+)"', asked)
    assert start
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = httpx.post(
            f"{lite.tool}/lms/sign-in", data={"start": start.group(1)}, headers=headers
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_an_institution_of_a_shared_registration_has_credentials_of_its_own(
    lite: Campus, canvas: CanvasServer
) -> None:
    with lite.context.sessions() as session:
        platform, deployment = session.execute(select(Platform, Deployment).join(Deployment)).one()
    values, secrets = {"url": canvas.base}, {"token": "t-of-the-institution"}
    with pytest.raises(NoRight):
        connect_platform(lite.context, platform.id, values, secrets, deployment.deployment_id)
    canvas.valid = {"t-of-the-institution"}
    said = connect_platform(lite.context, platform.id, values, secrets, deployment.deployment_id)
    assert "let us in as Badge service" in said
    opened = lms_of(lite.context, lite.course_id())
    assert opened.is_connected
    assert not opened.asks_instructors
    with pytest.raises(NotFound):
        connect_platform(lite.context, platform.id, values, secrets, "another")


def test_connections_are_proved_once_a_day(lite: Campus, canvas: CanvasServer) -> None:
    with lite.context.sessions() as session:
        platform_id = session.scalars(select(Platform.id)).one()
    values, secrets = {"url": canvas.base}, {"token": "t1"}
    canvas.valid = {"t1"}
    connect_platform(lite.context, platform_id, values, secrets)
    assert due_connections(lite.context) == []
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=True):
        assert due_connections(lite.context) == [platform_id]
        canvas.valid = set()
        with pytest.raises(NoRight):
            check_connection(lite.context, platform_id)
        assert due_connections(lite.context) == []
    with lite.context.sessions() as session:
        assert session.get_one(Platform, platform_id).connection_error


def test_a_key_set_of_events_alone_is_no_connection_to_prove(
    lite: Campus, canvas: CanvasServer
) -> None:
    with lite.context.sessions() as session:
        platform_id = session.scalars(select(Platform.id)).one()
    values = {"url": canvas.base, "events_key_set": f"{canvas.base}/keys"}
    with pytest.raises(Unsupported):
        connect_platform(lite.context, platform_id, values, {})
    assert due_connections(lite.context) == []
    with lite.context.sessions() as session:
        assert session.get_one(Platform, platform_id).connection_error is None
