"""The admin console: who gets in, and that everything on it does what it says."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import httpx
import pytest
import time_machine
from click.testing import CliRunner
from sqlalchemy import select

from lti_badges.catalogue.institutions import add_institution
from lti_badges.cli.main import cli
from lti_badges.core import clock
from lti_badges.people.admins import admin_link, setup_link
from lti_badges.store import DEFAULT_INSTITUTION, Award, BackendRow, Deployment, Platform
from tests.support.badgr_server import TOKENS, BadgrServer
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages


class Console:
    """The open console of an operator, or of the admin of one institution."""

    def __init__(self, campus: Campus, institution: str | None = None) -> None:
        ticket = admin_link(campus.context, "An admin", institution, by="a test")
        self.base = f"{campus.tool}/admin"
        self.first = httpx.post(f"{self.base}/", data={"ticket": ticket})
        assert self.first.status_code == 200
        found = re.search(r"hx-headers='([^']+)'", self.first.text)
        assert found
        self.headers = {**json.loads(html.unescape(found.group(1))), "HX-Request": "true"}

    def get(self, path: str, **params: Any) -> httpx.Response:
        return httpx.get(self.base + path, headers=self.headers, params=params)

    def post(self, path: str, **data: Any) -> httpx.Response:
        return httpx.post(self.base + path, headers=self.headers, data=data)


def test_the_command_prints_the_address(lite: Campus) -> None:
    settings = lite.context.settings
    env = {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }
    printed = CliRunner().invoke(cli, ["admin"], env=env).output.strip()
    address, _, ticket = printed.partition("#")
    assert httpx.get(address).status_code == 200
    assert "Admin console" in httpx.post(address, data={"ticket": ticket}).text


@pytest.mark.parametrize("ticket", ["", "x", "ImFkbWluIg.aaaa.bbbb"])
def test_nobody_gets_in_without_a_ticket(lite: Campus, ticket: str) -> None:
    answer = httpx.post(f"{lite.tool}/admin/", data={"ticket": ticket})
    assert answer.status_code == 401
    assert "lti-badges admin" in answer.text
    for path in ("/overview", "/platforms", "/backends", "/backends/form"):
        assert httpx.get(f"{lite.tool}/admin{path}").status_code == 401


def test_an_instructors_token_opens_nothing_here_and_tickets_age(lite: Campus) -> None:
    instructor = Pages(lite, TEACHER)
    assert instructor.get("/admin/overview").status_code == 401
    assert instructor.post("/admin/deployments", platform="x").status_code == 401
    ticket = admin_link(lite.context, "An admin", None, by="a test")
    with time_machine.travel(clock.now().timestamp() + 601):
        assert httpx.post(f"{lite.tool}/admin/", data={"ticket": ticket}).status_code == 401


def test_the_console_is_never_framed(lite: Campus) -> None:
    policy = Console(lite).first.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in policy


def test_a_waiting_deployment_is_let_in(lite: Campus) -> None:
    with lite.context.sessions.begin() as session:
        row = session.scalars(select(Deployment)).one()
        row.state = "pending"
        platform, name = row.platform_id, row.deployment_id
    assert lite.enter(TEACHER).status_code == 403
    console = Console(lite)
    assert "Does it belong to you?" in console.first.text
    console.post("/deployments", platform=platform, deployment=name)
    assert lite.enter(TEACHER).status_code == 200


def test_a_backend_is_added_tested_edited_and_removed(lite: Campus) -> None:
    console = Console(lite)
    with BadgrServer().running() as server:
        form = console.get("/backends/form", kind="badgr").text
        assert 'name="password"' in form
        fields = {"kind": "badgr", "name": "Our Badgr", "url": server.base, "username": "a@b.c"}
        refused = console.post("/backends", **fields | {"name": " "})
        assert refused.status_code == 422
        assert "needs a name" in refused.text
        saved = console.post("/backends", **fields, password=TOKENS["password"], default="on")
        assert "Our Badgr" in saved.text
        with lite.context.sessions() as session:
            row = session.scalars(select(BackendRow).where(BackendRow.kind == "badgr")).one()
        assert row.is_default
        assert "✓" in console.post(f"/backends/{row.id}/check").text
        edit = console.get("/backends/form", name="Our Badgr").text
        assert TOKENS["password"] not in edit
        console.post("/backends", **fields | {"username": "new@b.c"})
        assert "✓" in console.post(f"/backends/{row.id}/check").text
        console.post("/backends", **fields, password="wrong")
        assert "✗" in console.post(f"/backends/{row.id}/check").text
        with lite.context.sessions() as session:
            builtin = session.scalars(select(BackendRow).where(BackendRow.kind == "builtin")).one()
        console.post(f"/backends/{builtin.id}/default")
        assert "Our Badgr" not in console.post(f"/backends/{row.id}/remove").text


def test_awards_that_wait_go_on_by_one_click(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    with lite.context.sessions.begin() as session:
        for award in session.scalars(select(Award)):
            award.state, award.error = "rejected", "The issuer's terms have to be accepted."
            award.next_attempt_at = None
            backend_id = award.backend_id
    console = Console(lite)
    assert f"{len(lite.expected())} awards at" in console.first.text
    assert "terms have to be accepted" in console.first.text
    assert "Nothing waits." in console.post(f"/backends/{backend_id}/retry").text
    lite.deliver()
    assert {award.state for award in lite.awards()} == {"issued"}


def test_platforms_are_invited_checked_and_connected(lite: Campus) -> None:
    console = Console(lite)
    page = console.post("/platforms/invite", lms="moodle").text
    address = re.search(r"<code[^>]*>([^<]+)</code>", page)
    assert address
    assert "invitation=" in address.group(1)
    with lite.context.sessions() as session:
        platform = session.scalars(select(Platform)).one()
        kept = lite.context.cipher.unseal(platform.connection)
    assert console.post(f"/platforms/{platform.id}/check").text.count("✓") == 4
    form = console.get(f"/platforms/{platform.id}/connect").text
    assert kept["token"] not in form
    assert console.post(f"/platforms/{platform.id}/connect", token="").status_code == 422
    saved = console.post(f"/platforms/{platform.id}/connect", token="another")
    assert "own interface connected" in saved.text
    assert "does not work: Moodle refuses the web-service token" in saved.text
    assert "no longer works: Moodle refuses" in console.get("/overview").text
    mended = console.post(f"/platforms/{platform.id}/connect", token=kept["token"])
    assert "Connected. Sandbox campus let us in as badge-service." in mended.text
    assert "no longer works" not in console.get("/overview").text
    assert console.post("/platforms/nothing/check").status_code == 404


def test_a_course_chooses_its_badges_from_the_backends_own_list(lite: Campus) -> None:
    with BadgrServer().running() as server:
        for number in range(10):
            server.badges[f"B{number}"] = server.badge(f"B{number}", f"Their badge {number}")
        console = Console(lite)
        console.post(
            "/backends",
            kind="badgr",
            name="Theirs",
            url=server.base,
            username="a@b.c",
            password=TOKENS["password"],
        )
        with lite.context.sessions() as session:
            theirs = session.scalars(select(BackendRow).where(BackendRow.name == "Theirs")).one()
        page = Pages(lite, TEACHER)
        assert "Theirs" in page.get("/course/rules/new").text
        form = page.post("/course/backend", backend=theirs.id).text
        assert "Their badge 7" in form
        assert "data-filter" in form
        assert page.post("/course/backend", backend="nothing").status_code == 404
    with time_machine.travel(clock.now().timestamp() + 3600, tick=True):
        late = Pages(lite, TEACHER).get("/course/rules/new").text
    assert "could not be read anew" in late
    assert "Their badge 7" in late


def test_somebody_lets_the_tool_in_by_the_connected_apps_consent_page(lite: Campus) -> None:
    console = Console(lite)
    with BadgrServer().running() as server:
        fields = {"kind": "badgr", "name": "app", "url": server.base, "client_id": "app"}
        console.post("/backends", **fields, client_secret="hush")
        with lite.context.sessions() as session:
            row = session.scalars(select(BackendRow).where(BackendRow.name == "app")).one()
        assert "first" in console.post(f"/backends/{row.id}/consent").text
        page = "https://badgr.example/auth/oauth2/authorize"
        console.post("/backends", **fields, client_secret="hush", authorize_url=page)
        link = re.search(r'href="([^"]+)"', console.post(f"/backends/{row.id}/consent").text)
        assert link
        asked = dict(httpx.QueryParams(html.unescape(link.group(1)).partition("?")[2]))
        assert asked["redirect_uri"] == f"{lite.tool}/admin/consent"
        assert asked["scope"] == "rw:issuer"
        state = {"state": asked["state"]}
        back = asked["redirect_uri"]
        assert httpx.get(back, params={**state, "error": "access_denied"}).status_code == 422
        assert httpx.get(back, params={"state": "x", "code": "c0de"}).status_code == 401
        done = httpx.get(back, params={**state, "code": "c0de"})
        assert "app is connected" in done.text
        assert httpx.get(back, params={**state, "code": "c0de"}).status_code == 422
        for _ in range(2):  # refresh tokens rotate: each new login spends one
            server.tokens.clear()
            assert "✓" in console.post(f"/backends/{row.id}/check").text


def test_an_address_opens_the_console_once(lite: Campus) -> None:
    secret = admin_link(lite.context, "Grace", None, by="a test")
    assert httpx.post(f"{lite.tool}/admin/", data={"ticket": secret}).status_code == 200
    assert httpx.post(f"{lite.tool}/admin/", data={"ticket": secret}).status_code == 401


def test_sessions_are_listed_and_ended(lite: Campus) -> None:
    first, second = Console(lite), Console(lite)
    page = first.get("/sessions").text
    assert page.count("An admin</h3>") + page.count("An admin <span") == 2
    own = re.search(r"This one.*?/sessions/([0-9a-f-]+)/end", page, re.DOTALL)
    assert own
    others = set(re.findall(r"/sessions/([0-9a-f-]+)/end", page)) - {own.group(1)}
    assert first.post(f"/sessions/{others.pop()}/end").status_code == 200
    assert second.get("/overview").status_code == 401
    assert first.get("/overview").status_code == 200


def test_the_first_admin_comes_by_the_setup_address(lite: Campus) -> None:
    assert setup_link(lite.context) is None  # an LMS is registered: not fresh
    with lite.context.sessions.begin() as session:
        session.delete(session.scalars(select(Platform)).one())
    older, secret = setup_link(lite.context), setup_link(lite.context)
    where = f"{lite.tool}/admin/"
    assert httpx.post(where, data={"ticket": older}).status_code == 401
    asked = httpx.post(where, data={"ticket": secret})
    assert "You are the first admin" in asked.text
    opened = httpx.post(where, data={"ticket": secret, "name": "Grace Hopper"})
    assert "Overview" in opened.text
    assert httpx.post(where, data={"ticket": secret, "name": "Eve"}).status_code == 401
    assert setup_link(lite.context) is None


def test_an_institutions_admin_sees_their_own(lite: Campus) -> None:
    other = add_institution(lite.context, "Other university", by="a test")
    secret = admin_link(lite.context, "Olga", other, by="a test")
    page = httpx.post(f"{lite.tool}/admin/", data={"ticket": secret})
    found = re.search(r"hx-headers='([^']+)'", page.text)
    assert found
    headers = json.loads(html.unescape(found.group(1))) | {"X-Institution": DEFAULT_INSTITUTION}
    listed = httpx.get(f"{lite.tool}/admin/platforms", headers=headers)
    assert "Sandbox campus" not in listed.text
    assert "Sandbox campus" in Console(lite).get("/platforms").text
