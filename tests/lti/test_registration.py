"""Dynamic registration over HTTP, good and bad; notices; the configuration by address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import time_machine
from flask import Flask, Response, jsonify, request
from sqlalchemy import func, select

from lti_badges.catalogue.institutions import add_institution
from lti_badges.catalogue.platforms import decide_change, pending_changes
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import HttpError, NotFound
from lti_badges.core.http import Http
from lti_badges.lms import LMSES
from lti_badges.lti.platform_configuration import PLATFORM_CONFIGURATION
from lti_badges.lti.registration import TOOL_CONFIGURATION, invite
from lti_badges.settings import Settings
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    AuditEvent,
    Course,
    Deployment,
    Invitation,
    Platform,
)
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus
from tests.support.platform import Browser, TestPlatform
from tests.support.serving import served


@pytest.mark.parametrize("kind", list(LMSES))
def test_an_invitation_registers_each_lms_and_its_first_launch_opens(
    sqlite_settings: Settings, kind: str
) -> None:
    with running_campus(sqlite_settings, kind) as campus:
        campus.world.tools.clear()
        with campus.context.sessions.begin() as session:
            session.delete(session.scalars(select(Platform)).one())
        url = invite(campus.context.sessions, campus.tool)
        page = campus.client.get(
            f"{campus.world.base_url}/register-tool", params={"url": url}, follow_redirects=True
        )
        assert page.status_code == 200, page.text
        assert 'data-subject="org.imsglobal.lti.close"' in page.text
        assert f'data-origin="{campus.world.base_url}"' in page.text
        with campus.context.sessions() as session:
            row = session.scalars(select(Platform)).one()
            assert row.lms == kind
        launch = campus.enter(TEACHER)
        if kind in {
            "other",
            "blackboard",
        }:  # one client id, many institutions: an admin approves
            assert launch.status_code == 403
            with campus.context.sessions.begin() as session:
                session.scalars(select(Deployment)).one().state = "approved"
            launch = campus.enter(TEACHER)
        assert "Badges of this course" in launch.text
        again = campus.client.get(
            f"{campus.world.base_url}/register-tool", params={"url": url}, follow_redirects=True
        )
        assert again.status_code == 403


@pytest.fixture
def config() -> Iterator[dict[str, Any]]:
    """A platform whose configuration and answer a test bends."""
    state: dict[str, Any] = {"answer": {"client_id": "c1"}, "status": 200, "seen": []}
    app = Flask("platform")

    @app.get("/config")
    def configuration() -> Response:
        state["seen"].append(request.headers.get("Authorization"))
        return jsonify(state["configuration"])

    @app.post("/register")
    def register() -> Response:
        state["body"] = request.get_json()
        return Response(json.dumps(state["answer"]), state["status"])

    with served(app) as base:
        state["base"] = base
        state["configuration"] = {
            "issuer": base,
            "authorization_endpoint": f"{base}/auth",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            "registration_endpoint": f"{base}/register",
            "scopes_supported": ["openid"],
            PLATFORM_CONFIGURATION: {"product_family_code": "moodle"},
        }
        yield state


def register(
    tool: str, context: ToolContext, config: dict[str, Any], **more: str
) -> httpx.Response:
    given = {"openid_configuration": f"{config['base']}/config", "registration_token": "t0k"}
    return httpx.get(f"{tool}/lti/register", params={**_query(context, tool), **given, **more})


def _query(context: ToolContext, tool: str) -> dict[str, str]:
    url = httpx.URL(invite(context.sessions, tool))
    return dict(url.params)


def platforms(context: ToolContext) -> int:
    with context.sessions() as session:
        return session.scalar(select(func.count()).select_from(Platform)) or 0


def test_the_registration_says_what_platforms_want(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    answer = register(tool, tool_context, config)
    assert answer.status_code == 200
    assert "Activate" in answer.text
    assert config["seen"] == ["Bearer t0k"]
    body = config["body"]
    assert body["redirect_uris"] == [f"{tool}/lti/launch"]
    assert "lti-ags/scope/lineitem.readonly" in body["scope"]
    assert {"name", "email"} <= set(body[TOOL_CONFIGURATION]["claims"])
    types = {message["type"] for message in body[TOOL_CONFIGURATION]["messages"]}
    assert types == {"LtiResourceLinkRequest", "LtiDeepLinkingRequest"}


def test_only_what_the_platform_lists_is_asked_for(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    offers = config["configuration"][PLATFORM_CONFIGURATION]
    offers["product_family_code"] = "canvas"
    register(tool, tool_context, config)
    asked = config["body"][TOOL_CONFIGURATION]
    assert "$Canvas.masqueradingUser.id" in asked["custom_parameters"].values()
    offers["variables"] = ["Canvas.user.id", "$Context.id.history"]
    offers["messages_supported"] = [
        {"type": "LtiResourceLinkRequest", "placements": ["course_navigation"]},
        {"type": "LtiDeepLinkingRequest", "placements": ["editor_button", "link_selection"]},
    ]
    register(tool, tool_context, config)
    asked = config["body"][TOOL_CONFIGURATION]
    assert set(asked["custom_parameters"].values()) == {"$Canvas.user.id", "$Context.id.history"}
    assert [set(message["placements"]) for message in asked["messages"]] == [
        {"course_navigation"},
        {"editor_button", "link_selection"},
    ]
    offers["messages_supported"] = [{"type": "LtiResourceLinkRequest"}, "odd", {"type": 5}]
    offers["variables"] = "odd"
    register(tool, tool_context, config)
    asked = config["body"][TOOL_CONFIGURATION]
    assert [message["type"] for message in asked["messages"]] == ["LtiResourceLinkRequest"]
    assert len(asked["custom_parameters"]) > 2


def test_registering_again_changes_nothing_until_an_admin_confirms_it(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    config["answer"] = {"client_id": "same", TOOL_CONFIGURATION: {"deployment_id": "1"}}
    before = platforms(tool_context)
    assert register(tool, tool_context, config).status_code == 200
    assert "is registered" in register(tool, tool_context, config).text
    assert pending_changes(tool_context) == []  # the same again asks nobody
    old = config["configuration"]["jwks_uri"]
    config["configuration"]["jwks_uri"] = f"{config['base']}/new-jwks"
    answer = register(tool, tool_context, config)
    assert "waits for confirmation" in answer.text
    assert platforms(tool_context) == before + 1
    assert _key_set(tool_context, "same") == old
    (waiting,) = pending_changes(tool_context)
    assert waiting.changes[0] == ("Key set address", old, f"{config['base']}/new-jwks")
    with pytest.raises(NotFound):
        decide_change(tool_context, "made-up", confirm=True, by="a test")
    decide_change(tool_context, waiting.id, confirm=True, by="a test")
    assert _key_set(tool_context, "same").endswith("/new-jwks")
    assert pending_changes(tool_context) == []
    with pytest.raises(NotFound):
        decide_change(tool_context, waiting.id, confirm=False, by="a test")


def _key_set(context: ToolContext, client_id: str) -> str:
    with context.sessions() as session:
        row = session.scalars(select(Platform).where(Platform.client_id == client_id)).one()
        assert len({each.deployment_id for each in row.deployments}) == len(row.deployments)
        return row.key_set_url


def test_another_institutions_invitation_takes_nothing_over(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    """The attack: claim the issuer and client id of somebody else's registration."""
    config["answer"] = {"client_id": "victim", TOOL_CONFIGURATION: {"deployment_id": "1"}}
    register(tool, tool_context, config)
    before = _key_set(tool_context, "victim")
    other = add_institution(tool_context, "Attackers", by="a test")
    url = httpx.URL(invite(tool_context.sessions, tool, None, other))
    config["answer"] = {"client_id": "victim", TOOL_CONFIGURATION: {"deployment_id": "2"}}
    config["configuration"]["jwks_uri"] = f"{config['base']}/attacker"
    given = {"openid_configuration": f"{config['base']}/config"}
    answer = httpx.get(f"{tool}/lti/register", params={**dict(url.params), **given})
    assert "waits for confirmation" in answer.text
    assert _key_set(tool_context, "victim") == before
    with tool_context.within(other).sessions() as session:
        assert session.scalars(select(Platform)).all() == []
        assert session.scalars(select(Deployment)).all() == []
    assert pending_changes(tool_context.within(other)) == []
    (waiting,) = pending_changes(tool_context.within(DEFAULT_INSTITUTION))
    decide_change(tool_context, waiting.id, confirm=False, by="a test")
    assert _key_set(tool_context, "victim") == before


@pytest.mark.parametrize(
    "bend",
    [
        {"jwks_uri": "https://evil.example/jwks"},
        {"token_endpoint": "https://evil.example/token"},
        {"authorization_endpoint": "https://canvaslms.com.evil.example/auth"},
        {"authorization_endpoint": "https://evilcanvaslms.com/auth"},
        {"jwks_uri": "BASE/jwks"},
    ],
)
def test_a_shared_issuer_is_claimed_with_the_vendors_own_hosts_only(
    tool: str, tool_context: ToolContext, config: dict[str, Any], bend: dict[str, Any]
) -> None:
    vendors = {
        "issuer": "https://canvas.instructure.com",
        "authorization_endpoint": "https://sso.canvaslms.com/api/lti/authorize_redirect",
        "token_endpoint": "https://sso.canvaslms.com/login/oauth2/token",
        "jwks_uri": "https://sso.canvaslms.com/api/lti/security/jwks",
        PLATFORM_CONFIGURATION: {"product_family_code": "canvas"},
    }
    bent = {name: value.replace("BASE", config["base"]) for name, value in bend.items()}
    config["configuration"] |= {**vendors, **bent}
    before = platforms(tool_context)
    answer = register(tool, tool_context, config)
    assert answer.status_code == 400
    assert "own hosts" in answer.text
    assert platforms(tool_context) == before
    config["configuration"] |= vendors
    config["answer"] = {"client_id": "c" + uuid4().hex}
    assert register(tool, tool_context, config).status_code == 200


def test_an_invitation_for_one_lms_is_no_good_for_another(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    url = httpx.URL(invite(tool_context.sessions, tool, "canvas"))
    given = {"openid_configuration": f"{config['base']}/config"}
    answer = httpx.get(f"{tool}/lti/register", params={**dict(url.params), **given})
    assert answer.status_code == 403
    assert "is for Canvas" in answer.text


@pytest.mark.parametrize(
    "bend",
    [
        {"issuer": "https://another.example"},
        {"issuer": None},
        {"registration_endpoint": "https://another.example/register"},
        {"registration_endpoint": "http://another.example/register"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": "http://169.254.169.254/latest"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": 5},
    ],
)
def test_a_configuration_that_lies_is_refused(
    tool: str, tool_context: ToolContext, config: dict[str, Any], bend: dict[str, Any]
) -> None:
    config["configuration"] |= bend
    before = platforms(tool_context)
    answer = register(tool, tool_context, config)
    assert answer.status_code == 400
    assert "nothing was stored" in answer.text
    assert platforms(tool_context) == before


def test_what_the_platform_says_against_it_is_shown_and_the_invitation_stays_good(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    config |= {"answer": {"error": "invalid_redirect_uris"}, "status": 400}
    answer = register(tool, tool_context, config)
    assert answer.status_code == 400
    assert "invalid_redirect_uris" in answer.text


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://example.org/c", "https://127.0.0.1:1/c", "ftp://x/c"]
)
def test_addresses_that_are_none_are_refused(
    tool: str, tool_context: ToolContext, url: str
) -> None:
    answer = httpx.get(
        f"{tool}/lti/register",
        params={**_query(tool_context, tool), "openid_configuration": url},
    )
    assert 400 <= answer.status_code < 500


def test_without_a_good_invitation_nothing_is_fetched(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    url = {"openid_configuration": f"{config['base']}/config"}
    secret = _query(tool_context, tool)["invitation"]
    with tool_context.sessions.begin() as session:
        for row in session.scalars(select(Invitation)):
            row.expires_at = clock.now()
    for given in ({}, {"invitation": "made-up"}, {"invitation": secret}):
        assert httpx.get(f"{tool}/lti/register", params={**url, **given}).status_code == 403
    assert config["seen"] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "https://localhost/",
        "https://0.0.0.0/",
        "https://[::ffff:127.0.0.1]/",
    ],
)
def test_a_tool_on_the_internet_never_calls_private_addresses(url: str) -> None:
    with pytest.raises(HttpError):
        Http(allow_loopback=False, total_s=2).get(url, public_only=True)


def test_a_configuration_without_end_is_not_read_to_its_end(
    tool: str, tool_context: ToolContext, config: dict[str, Any]
) -> None:
    config["configuration"]["padding"] = "x" * 2_000_000
    assert register(tool, tool_context, config).status_code == 400


def test_a_redirect_to_another_host_is_not_followed(tool: str, tool_context: ToolContext) -> None:
    app = Flask("redirecting")
    reached: list[str] = []

    @app.get("/config")
    def away() -> Response:
        return Response("", 302, headers={"Location": f"{elsewhere}/secret"})

    target = Flask("target")

    @target.get("/secret")
    def secret() -> str:
        reached.append(request.headers.get("Authorization", ""))
        return "{}"

    with served(target, host="127.0.0.1") as other, served(app) as base:
        elsewhere = other.replace("127.0.0.1", "localhost")
        answer = httpx.get(
            f"{tool}/lti/register",
            params={
                **_query(tool_context, tool),
                "openid_configuration": f"{base}/config",
                "registration_token": "t0k",
            },
        )
    assert answer.status_code == 400
    assert not any(reached)


def test_keys_rotate_without_a_failed_token(lite: Campus) -> None:
    old = lite.context.keys.signing_key().kid
    lite.enter(TEACHER)
    lite.context.keys.rotate()
    kids = [key["kid"] for key in httpx.get(f"{lite.tool}/lti/jwks.json").json()["keys"]]
    assert len(kids) >= 2
    assert lite.context.keys.signing_key().kid == old
    for hours, expected in ((23, {old}), (25, set(kids) - {old})):
        with time_machine.travel(clock.now() + timedelta(hours=hours), tick=True):
            assert lite.context.keys.signing_key().kid in expected
            lite.world.tokens.clear()
            lite.context.tokens.__init__(lite.context.http, lite.context.keys)  # type: ignore[misc]
            assert not lite.sync().errors


def test_the_developer_key_configuration_is_served(tool: str) -> None:
    found = httpx.get(f"{tool}/lti/config/canvas.json").json()
    assert found["oidc_initiation_url"] == f"{tool}/lti/login"
    placements = found["extensions"][0]["settings"]["placements"]
    assert {each["placement"] for each in placements} >= {"course_navigation", "link_selection"}
    assert httpx.get(f"{tool}/lti/config/moodle.json").status_code == 404
    assert httpx.get(f"{tool}/lti/config/x.json").status_code == 404


@pytest.mark.parametrize("kind", ["canvas", "moodle", "blackboard", "brightspace", "other"])
def test_each_lms_has_a_guide_with_every_value_filled_in(tool: str, kind: str) -> None:
    page = httpx.get(f"{tool}/lti/setup/{kind}")
    assert page.status_code == 200
    for path in ("/lti/login", "/lti/launch", "/lti/jwks.json"):
        assert tool + path in page.text
    assert "badges.example.edu" not in page.text


def notice(platform: TestPlatform, tool: str, kind: str, **changes: Any) -> str:
    claims = platform.claims(tool, "n", **{"notice": {"id": "1", "type": kind}, **changes})
    claims.pop("nonce")
    return platform.signed(claims)


def test_notices_are_taken_when_they_are_signed(
    tool: str, tool_context: ToolContext, platform: TestPlatform, browser: Browser
) -> None:
    assert browser.launch().status_code == 200
    for kind in ("LtiHelloWorldNotice", "LtiContextCopyNotice", "LtiSomethingNewNotice"):
        token = notice(platform, tool, kind, origin_contexts=["old-course"])
        answer = httpx.post(f"{tool}/lti/notices", json={"notices": [{"jwt": token}]})
        assert answer.status_code == 200, answer.text
    with tool_context.sessions() as session:
        (event,) = session.scalars(select(AuditEvent).where(AuditEvent.kind == "course_copied"))
        assert event.detail == {"origins": ["old-course"]}
        assert session.get(Course, event.course_id) is not None


def test_one_bad_notice_loses_no_other(
    tool: str, tool_context: ToolContext, platform: TestPlatform, browser: Browser
) -> None:
    assert browser.launch().status_code == 200
    good = notice(platform, tool, "LtiContextCopyNotice", origin_contexts=["one-of-four"])
    forged = f"{good[:-8]}AAAAAAAA"
    body = {"notices": [{"jwt": each} for each in (forged, "x", good, None)]}
    answer = httpx.post(f"{tool}/lti/notices", json=body)
    assert (answer.status_code, answer.json()) == (200, {"refused": 3})
    with tool_context.sessions() as session:
        copied = session.scalars(select(AuditEvent).where(AuditEvent.kind == "course_copied"))
        assert [each.detail for each in copied].count({"origins": ["one-of-four"]}) == 1


def test_notices_that_are_none_are_refused(
    tool: str, platform: TestPlatform, browser: Browser
) -> None:
    forged = notice(platform, tool, "LtiHelloWorldNotice")[:-8] + "AAAAAAAA"
    foreign = notice(platform, tool, "LtiHelloWorldNotice", iss="https://other.example")
    other = notice(platform, tool, "LtiHelloWorldNotice", aud="client-9")
    old = notice(platform, tool, "LtiHelloWorldNotice", iat=11111, exp=22222)
    launch = platform.signed(platform.claims(tool, "n"))
    no_version = notice(platform, tool, "LtiHelloWorldNotice", version=None)
    no_type = notice(platform, tool, "LtiHelloWorldNotice", notice={"id": "1"})
    bad = (forged, foreign, other, old, launch, no_version, no_type, "x", 5, None)
    for body in (
        *({"notices": [{"jwt": each}]} for each in bad),
        {"notices": []},
        {"notices": [{}]},
        {"notices": "x"},
        {},
        [],
    ):
        answer = httpx.post(f"{tool}/lti/notices", json=body)
        assert 400 <= answer.status_code < 500, body
    assert httpx.post(f"{tool}/lti/notices", content=b"\xff").status_code == 400


def test_an_activity_with_its_own_consumer_key_opens_once_an_admin_lets_it(
    lite: Campus, platform: TestPlatform
) -> None:
    platform.register(lite.context.sessions, lms="moodle")
    browser = Browser(lite.tool, platform)
    refused = browser.launch(aud="12345")
    assert refused.status_code == 400
    assert "consumer key" in refused.text
    with lite.context.sessions.begin() as session:
        row = session.scalar(select(Platform).where(Platform.client_id == platform.client_id))
        assert row is not None
        row.product = {"audiences": ["12345"]}
    assert browser.launch(aud="12345").status_code == 200
    assert browser.launch(aud="123456").status_code == 400
