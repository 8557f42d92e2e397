"""What an institution is set up by in the console: profile, look, permissions, LMSes, keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from lti_badges.core import clock
from lti_badges.people.permissions import DEFAULTS, table
from lti_badges.settings import Settings
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    AuditEvent,
    Award,
    Deployment,
    Institution,
    Platform,
    PlatformChange,
)
from tests.support.campus import TEACHER, Campus, campus
from tests.web.test_admin import Console
from tests.web.test_branding import LOGO

ADDRESSES = {
    "auth_login_url": "https://lms.example.edu/auth",
    "auth_token_url": "https://lms.example.edu/token",
    "key_set_url": "https://lms.example.edu/keys",
}


def platform_of(campus: Campus) -> Platform:
    with campus.context.sessions() as session:
        return session.scalars(select(Platform)).one()


def test_profile_and_look_are_saved_and_bad_ones_are_not(lite: Campus) -> None:
    console = Console(lite, DEFAULT_INSTITUTION)
    fields = {"name": "University of Example", "url": "https://www.example.edu", "address": "A\nB"}
    assert "Saved." in console.post("/profile", **fields).text
    form = console.get("/profile").text
    assert 'value="University of Example"' in form
    assert "A\nB</textarea>" in form
    refused = console.post("/profile", **fields | {"email": "nobody"})
    assert (refused.status_code, "badges@example.edu" in refused.text) == (422, True)
    assert 'value="University of Example"' in console.get("/profile").text
    saved = httpx.post(
        f"{console.base}/branding",
        headers=console.headers,
        data={"colour": "#7a1fa2"},
        files={"logo": ("l.svg", LOGO)},
    )
    assert 'alt="The logo now"' in saved.text
    refused = console.post("/branding", colour="#ffee00")
    assert refused.status_code == 422
    assert "is the nearest that can be read" in refused.text
    assert 'value="#7a1fa2"' in console.get("/profile").text  # and the logo stays as it is
    assert 'alt="The logo now"' in console.get("/profile").text
    assert 'alt="The logo now"' not in console.post("/branding", no_logo="on").text


def test_an_operator_adds_and_renames_institutions(lite: Campus) -> None:
    console = Console(lite)
    assert "was added" in console.post("/institutions", name="Second university").text
    assert console.post("/institutions", name="Second university").status_code == 422
    assert "Renamed" in console.post("/institutions/rename", name="First university").text
    with lite.context.sessions() as session:
        names = set(session.scalars(select(Institution.name)))
    assert names == {"First university", "Second university"}


def test_the_permissions_table_counts_from_the_next_launch(lite: Campus) -> None:
    console = Console(lite, DEFAULT_INSTITUTION)
    form = console.get("/permissions").text
    ticked = re.findall(r'name="may" value="([^"]+)" checked', form)
    assert set(ticked) == {f"{role}:{p}" for role, held in DEFAULTS.items() for p in held}
    assert "Add a badge" in lite.enter(TEACHER).text
    less = [each for each in ticked if each != "Instructor:edit_rules"]
    assert "Saved." in console.post("/permissions", whole="1", may=less).text
    own = lite.context.within(DEFAULT_INSTITUTION)
    assert table(own)["Instructor"] == DEFAULTS["Instructor"] - {"edit_rules"}
    assert "Add a badge" not in lite.enter(TEACHER).text
    with lite.context.sessions() as session:
        (event,) = session.scalars(select(AuditEvent).where(AuditEvent.kind == "permissions_set"))
    assert (event.actor, event.detail["role"]) == ("An admin", "Instructor")
    assert console.post("/permissions", may=[]).status_code == 422  # half a form
    assert table(own)["Instructor"]


def test_an_lms_is_edited_and_its_launches_follow(lite: Campus) -> None:
    row = platform_of(lite)
    given = {name: getattr(row, name) for name in ADDRESSES} | {"name": "Our LMS"}
    console = Console(lite, DEFAULT_INSTITUTION)
    form = console.get(f"/platforms/{row.id}").text
    assert row.key_set_url in form
    assert "Our LMS" in console.post(f"/platforms/{row.id}", **given).text
    assert lite.enter(TEACHER).status_code == 200
    for wrong in ("", "ftp://x", "http://lms.example.edu/keys", "javascript:x"):
        refused = console.post(f"/platforms/{row.id}", **given | {"key_set_url": wrong})
        assert refused.status_code == 422, wrong
        assert "key set address" in refused.text
    assert platform_of(lite).key_set_url == row.key_set_url
    console.post(f"/platforms/{row.id}", **given | ADDRESSES, trust_all_deployments="on")
    now = platform_of(lite)
    assert (now.key_set_url, now.trust_all_deployments) == (ADDRESSES["key_set_url"], True)
    with lite.context.sessions() as session:
        events = list(
            session.scalars(select(AuditEvent).where(AuditEvent.kind == "platform_edited"))
        )
    assert events[-1].actor == "An admin"
    assert events[-1].detail["changes"]["key_set_url"] == [row.key_set_url, now.key_set_url]
    assert console.get("/platforms/nothing").status_code == 404


def test_a_shared_lms_is_only_the_operators_to_edit(lite: Campus) -> None:
    row = platform_of(lite)
    with lite.context.sessions.begin() as session:
        session.get_one(Platform, row.id).institution_id = None
    console = Console(lite, DEFAULT_INSTITUTION)
    assert "Sandbox campus" in console.get("/platforms").text
    assert f"/platforms/{row.id}&#34;" not in console.get("/platforms").text
    for answer in (
        console.get(f"/platforms/{row.id}"),
        console.post(f"/platforms/{row.id}", **ADDRESSES),
    ):
        assert answer.status_code == 403
        assert "only an operator" in answer.text
    assert platform_of(lite).key_set_url == row.key_set_url
    assert Console(lite).post(f"/platforms/{row.id}", **ADDRESSES).status_code == 200
    assert platform_of(lite).key_set_url == ADDRESSES["key_set_url"]


def test_what_a_registration_changes_of_a_shared_lms_is_the_operators_to_confirm(
    lite: Campus,
) -> None:
    row = platform_of(lite)
    evil = "https://evil.example/keys"
    with lite.context.sessions.begin() as session:
        session.get_one(Platform, row.id).institution_id = None
        change = PlatformChange(
            platform_id=row.id,
            institution_id=DEFAULT_INSTITUTION,
            proposed={"key_set_url": evil},
            source="evil.example",
        )
        session.add(change)
        session.flush()
        path = f"/changes/{change.id}/confirm"
    refused = Console(lite, DEFAULT_INSTITUTION).post(path)
    assert (refused.status_code, "only an operator" in refused.text) == (403, True)
    assert platform_of(lite).key_set_url == row.key_set_url
    assert Console(lite).post(path).status_code == 200
    assert platform_of(lite).key_set_url == evil


def test_what_reads_a_shared_lms_for_all_is_the_operators_to_connect(
    sqlite_settings: Settings,
) -> None:
    """Whoever names the address of its interface says what grades all its institutions have."""
    with campus(sqlite_settings, "canvas") as here:
        row = platform_of(here)
        with here.context.sessions.begin() as session:
            session.get_one(Platform, row.id).institution_id = None
        before = here.context.cipher.unseal(row.connection)
        assert before
        console = Console(here, DEFAULT_INSTITUTION)
        form = console.get(f"/platforms/{row.id}/connect").text
        assert before["url"] not in form
        assert "all deployments" not in form
        with here.context.sessions() as session:
            own = session.scalars(select(Deployment.deployment_id)).one()
        theirs = {"url": "https://evil.example", "token": "theirs"}
        refused = console.post(f"/platforms/{row.id}/connect", **theirs)
        assert (refused.status_code, "one of your deployments" in refused.text) == (403, True)
        assert here.context.cipher.unseal(platform_of(here).connection) == before
        saved = console.post(f"/platforms/{row.id}/connect", **theirs, deployment=own)
        assert saved.status_code == 200
        assert here.context.cipher.unseal(platform_of(here).connection) == before
        operator = Console(here)
        assert before["url"] in operator.get(f"/platforms/{row.id}/connect").text
        assert operator.post(f"/platforms/{row.id}/connect", **theirs).status_code == 200
        assert here.context.cipher.unseal(platform_of(here).connection)["url"] == theirs["url"]


def test_an_lms_is_registered_by_hand_once(lite: Campus) -> None:
    console = Console(lite, DEFAULT_INSTITUTION)
    form = console.get("/platforms/new").text
    assert f"{lite.tool}/lti/launch" in form
    fields: dict[str, Any] = {
        "lms": "other",
        "issuer": "https://lms.example.edu",
        "client_id": "abc",
        "deployment": "1",
        **ADDRESSES,
    }
    assert "Registered." in console.post("/platforms", **fields).text
    again = console.post("/platforms", **fields)
    assert (again.status_code, "registered already" in again.text) == (422, True)
    for wrong in ({"lms": "odd"}, {"issuer": " "}, {"client_id": ""}, {"auth_login_url": "x"}):
        assert (
            console.post("/platforms", **fields | {"client_id": "new"} | wrong).status_code == 422
        )
    with lite.context.sessions() as session:
        (row,) = session.scalars(select(Platform).where(Platform.client_id == "abc"))
        assert row.institution_id == DEFAULT_INSTITUTION
        assert [(each.deployment_id, each.state) for each in row.deployments] == [("1", "approved")]


@pytest.mark.parametrize("kind", ["canvas", "blackboard"])
def test_an_issuer_that_customers_share_needs_the_vendors_own_hosts(
    lite: Campus, kind: str
) -> None:
    from lti_badges.lms import LMSES

    console = Console(lite, DEFAULT_INSTITUTION)
    fields = {"lms": kind, "issuer": LMSES[kind].shared_issuers[0], "client_id": "x", **ADDRESSES}
    refused = console.post("/platforms", **fields)
    assert refused.status_code == 422
    assert "none of that LMS’s own hosts" in refused.text


def test_keys_are_listed_and_an_operator_makes_new_ones(lite: Campus) -> None:
    own = Console(lite, DEFAULT_INSTITUTION)
    page = own.get("/keys").text
    assert page.count("signs now") == 3
    assert "Make new keys" not in page
    console = Console(lite)
    page = console.post("/keys/rotate").text
    assert page.count("<h3>") == 6
    assert page.count("signs now") == 3
    assert page.count("retired ") == 2
    assert "Keys rotated" in console.get("/audit", all="on").text


def test_what_the_background_has_to_do_is_told(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    with lite.context.sessions.begin() as session:
        awards = list(session.scalars(select(Award)))
        awards[0].state, awards[0].next_attempt_at = "rejected", None
        awards[1].next_attempt_at = clock.now() + timedelta(hours=2)
        awards[2].next_attempt_at = clock.now() - timedelta(hours=2)
        for each in awards[3:]:
            each.next_attempt_at = clock.now()
    page = Console(lite).get("/work").text

    def number(what: str) -> int:
        found = re.search(rf"{what}.*?<span class=\"pill[^>]*>(\d+)</span>", page, re.DOTALL)
        assert found, what
        return int(found.group(1))

    assert number("to be sent or revoked now") == len(awards) - 2
    assert number("tried again later") == 1
    assert number("wait for a person") == 1
    assert "since 2 hours ago" in page
    assert "No background process gives a sign of life" in page
    seen = re.search(r"seen=(\w+)", page)
    assert seen
    assert Console(lite).get("/work", seen=seen.group(1)).status_code in {200, 204}
