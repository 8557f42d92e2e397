"""Launches good and bad, over HTTP, in the manner of the certification suite and beyond."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from sqlalchemy import func, select

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.store import Course, CourseMember, Deployment, Login
from tests.support.platform import (
    INSTITUTION,
    MEMBERSHIP,
    Browser,
    FromNow,
    TestPlatform,
    deep_linking,
    ec_key,
    rsa_key,
)

TEACHER = [f"{MEMBERSHIP}Instructor"]
LEARNER = [f"{MEMBERSHIP}Learner"]
TEACHER_PAGE, LEARNER_PAGE = "Badges of this course", "My badges"


def rows(context: ToolContext) -> tuple[int, int, int]:
    """How many courses, members and deployments are stored."""
    with context.sessions() as session:
        return tuple(  # type: ignore[return-value]
            session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Course, CourseMember, Deployment)
        )


def assert_refused(
    answer: httpx.Response, context: ToolContext, before: tuple[int, int, int]
) -> None:
    """A 4xx with a sentence for a person, no traceback, nothing stored."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:400])
    assert "<h1>" in answer.text
    assert "Traceback" not in answer.text
    assert rows(context) == before


GOOD: dict[str, tuple[dict[str, Any], str]] = {
    "teacher with everything": ({}, TEACHER_PAGE),
    "learner with everything": ({"roles": LEARNER}, LEARNER_PAGE),
    "teacher with several roles": ({"roles": [*TEACHER, f"{INSTITUTION}Faculty"]}, TEACHER_PAGE),
    "learner with several roles": (
        {"roles": [*LEARNER, f"{INSTITUTION}Student", f"{MEMBERSHIP}Mentor"]},
        LEARNER_PAGE,
    ),
    "short teacher role": ({"roles": ["Instructor"]}, TEACHER_PAGE),
    "short learner role": ({"roles": ["Learner"]}, LEARNER_PAGE),
    "teacher with an unknown role": (
        {"roles": [*TEACHER, "http://purl.imsglobal.org/vocab/lis/v2/unknownrole#Helper"]},
        TEACHER_PAGE,
    ),
    "learner with an unknown role": (
        {"roles": [*LEARNER, "http://purl.imsglobal.org/vocab/lis/v2/unknownrole#Helper"]},
        LEARNER_PAGE,
    ),
    "empty role": ({"roles": [""]}, "Your role in this course"),
    "no role": ({"roles": []}, "Your role in this course"),
    "teaching assistant": (
        {
            "roles": [
                "http://purl.imsglobal.org/vocab/lis/v2/membership/Instructor#TeachingAssistant"
            ]
        },
        TEACHER_PAGE,
    ),
    "a student here who teaches elsewhere": (
        {"roles": [*LEARNER, f"{INSTITUTION}Instructor", f"{INSTITUTION}Administrator"]},
        LEARNER_PAGE,
    ),
    "an admin who is not in the course": (
        {"roles": [f"{INSTITUTION}Administrator"]},
        "Your role in this course",
    ),
    "an observer": ({"roles": [f"{MEMBERSHIP}Mentor"]}, "as an observer"),
    "e-mail only, teacher": ({"name": None, "given_name": None, "family_name": None}, TEACHER_PAGE),
    "e-mail only, learner": (
        {"roles": LEARNER, "name": None, "given_name": None, "family_name": None},
        LEARNER_PAGE,
    ),
    "names only, teacher": ({"email": None}, TEACHER_PAGE),
    "names only, learner": ({"roles": LEARNER, "email": None}, LEARNER_PAGE),
    "no personal data, teacher": (
        {"name": None, "given_name": None, "family_name": None, "email": None},
        TEACHER_PAGE,
    ),
    "no personal data, learner": (
        {"roles": LEARNER, "name": None, "given_name": None, "family_name": None, "email": None},
        LEARNER_PAGE,
    ),
    "empty strings for absent values": (
        {"name": "", "email": "", "lis": {"person_sourcedid": ""}, "custom": {"a": "", "b": "$X"}},
        TEACHER_PAGE,
    ),
    "no context, teacher": ({"context": None}, "outside any course"),
    "no context, learner": ({"roles": LEARNER, "context": None}, "outside any course"),
    "audience as a list": ({"aud": ["client-1"]}, TEACHER_PAGE),
    "our azp": ({"aud": ["client-1"], "azp": "client-1"}, TEACHER_PAGE),
    "odd words in every claim for people": (
        {
            "name": "Lau\0ren\ud800" + "x" * 900,
            "given_name": "\0",
            "family_name": "\udfff",
            "email": "\0@\ud800" + "m" * 500,
            "context": {"id": "course-1", "label": "\0" * 300, "title": "T\ud800" * 900},
            "resource_link": {"id": "link-1", "title": "\0\ud800" + "t" * 900},
            "lis": {"person_sourcedid": "s" * 900 + "\0"},
            "custom": {"\0": "\ud800", "k" * 900: "v" * 9000, "n": 10**400, "f": 1e300, "deep": {}},
            "launch_presentation": {"return_url": "javascript:alert(1)", "locale": "\0" * 90},
            "tool_platform": {"guid": "g\0" * 300},
            "ags": {"lineitems": "data:,x", "scope": ["s" * 9000, "\0", 7], "lineitem": "\0"},
            "nrps": {"context_memberships_url": "file:///etc/passwd"},
            "for_user": {"user_id": "\0"},
            "role_scope_mentor": ["\0", {}, "m" * 900],
        },
        TEACHER_PAGE,
    ),
    "custom values that are numbers": ({"custom": {"course": 5, "none": None}}, TEACHER_PAGE),
    "junk in every optional claim": (
        {"lis": 5, "custom": "x", "launch_presentation": [], "tool_platform": None, "ags": "x"},
        TEACHER_PAGE,
    ),
    "a clock that is 60 s ahead": (
        {"iat": FromNow(60), "exp": FromNow(360)},
        TEACHER_PAGE,
    ),
    "a token of 60 s that took its time": (
        {"iat": FromNow(-75), "exp": FromNow(-15)},
        TEACHER_PAGE,
    ),
    "a target with a path and query of ours": (
        {"target_link_uri": "{tool}/lti/launch?badge=7#x"},
        TEACHER_PAGE,
    ),
    "names in every script": ({"name": "Zoë \u202eمحمد 李雷 <b>x</b>"}, TEACHER_PAGE),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_launch_opens_the_page_of_its_role(
    name: str, browser: Browser, platform: TestPlatform
) -> None:
    changes, page = GOOD[name]
    state, nonce = browser.begun()
    claims = platform.claims(browser.tool, nonce, **changes)
    claims = {
        k: v.format(tool=browser.tool) if "{tool}" in str(v) else v for k, v in claims.items()
    }
    answer = browser.post(state, platform.signed(claims))
    assert answer.status_code == 200, answer.text
    assert page in answer.text
    assert "<b>x</b>" not in answer.text


HOUR = 3600
BAD: dict[str, dict[str, Any]] = {
    "wrong version": {"version": "11.3"},
    "no version": {"version": None},
    "version as a number": {"version": 1.3},
    "no message type": {"message_type": None},
    "unknown message type": {"message_type": "LtiSomethingElse"},
    "message type as a list": {"message_type": ["LtiResourceLinkRequest"]},
    "start of an assessment": {"message_type": "LtiStartAssessment"},
    "no roles": {"roles": None},
    "roles as a text": {"roles": f"{MEMBERSHIP}Instructor"},
    "no deployment": {"deployment_id": None},
    "empty deployment": {"deployment_id": ""},
    "a deployment id without end": {"deployment_id": "d" * 5000},
    "no resource link": {"resource_link": None},
    "a resource link without id": {"resource_link": {"title": "x"}},
    "a resource link that is a text": {"resource_link": "x"},
    "no user": {"sub": None},
    "an empty user": {"sub": ""},
    "several claims missing": {"message_type": None, "version": None, "roles": None, "sub": None},
    "no target": {"target_link_uri": None},
    "a foreign target": {"target_link_uri": "https://evil.example/lti/launch"},
    "a foreign target that begins like us": {"target_link_uri": "{tool}.evil.example/"},
    "no exp": {"exp": None},
    "no iat": {"iat": None},
    "exp as a text": {"exp": "tomorrow"},
    "iat as true": {"iat": True},
    "times from long ago": {"iat": 11111, "exp": 22222},
    "expired": {"iat": FromNow(-HOUR), "exp": FromNow(300 - HOUR)},
    "fresh, but ended": {"iat": FromNow(-240), "exp": FromNow(-200)},
    "a week old with a far end": {
        "iat": FromNow(-7 * 24 * HOUR),
        "exp": FromNow(HOUR),
    },
    "from tomorrow": {"iat": FromNow(24 * HOUR), "exp": FromNow(25 * HOUR)},
    "not before tomorrow": {"nbf": FromNow(24 * HOUR)},
    "another issuer": {"iss": "https://other.example"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "client-2"},
    "no audience": {"aud": None},
    "an audience that contains ours": {"aud": "client-1-and-more"},
    "two audiences and a foreign azp": {"aud": ["client-1", "client-2"], "azp": "client-2"},
    "two audiences and no azp": {"aud": ["client-1", "client-2"]},
    "a foreign azp": {"azp": "client-2"},
    "an untrusted audience beside ours": {"aud": ["client-1", "x"], "azp": "client-1"},
    "an audience that is no text beside ours": {"aud": ["client-1", 7], "azp": "client-1"},
    "azp as a list": {"azp": ["client-1"]},
    "azp as an object": {"azp": {"client-1": 1}},
    "good for more than a day": {"exp": int(clock.now().timestamp()) + 30 * HOUR},
    "a user with a NUL": {"sub": "user-1\0"},
    "a user with a lone surrogate": {"sub": "user\ud800"},
    "a user that is a huge number": {"sub": 10**4000},
    "a user without end": {"sub": "u" * 256},
    "a course with a NUL": {"context": {"id": "c\0"}},
    "a course with a lone surrogate": {"context": {"id": "c\udfff"}},
    "a deployment with a NUL": {"deployment_id": "deployment-1\0"},
    "a link with a NUL": {"resource_link": {"id": "l\0"}},
    "a link that is a huge number": {"resource_link": {"id": 10**4000}},
    "a target with a backslash": {"target_link_uri": "{tool}\\@evil.example/"},
    "a target with a user name": {"target_link_uri": "http://x@127.0.0.1/"},
    "a nonce with a lone surrogate": {"nonce": "\ud800"},
    "an endless time": {"exp": 1e308},
    "no nonce": {"nonce": None},
    "another nonce": {"nonce": "made-up"},
    "a nonce that is a number": {"nonce": 5},
    "a learner's deep linking": {
        "message_type": "LtiDeepLinkingRequest",
        "roles": LEARNER,
        "deep_linking_settings": deep_linking(),
    },
    "deep linking without settings": {"message_type": "LtiDeepLinkingRequest"},
    "deep linking without a return address": {
        "message_type": "LtiDeepLinkingRequest",
        "deep_linking_settings": deep_linking(deep_link_return_url=None),
    },
    "deep linking back to javascript": {
        "message_type": "LtiDeepLinkingRequest",
        "deep_linking_settings": deep_linking(deep_link_return_url="javascript:alert(1)"),
    },
    "deep linking without our type": {
        "message_type": "LtiDeepLinkingRequest",
        "deep_linking_settings": deep_linking(accept_types=["file"]),
    },
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_launch_is_refused_and_leaves_nothing(
    name: str, browser: Browser, platform: TestPlatform, tool_context: ToolContext
) -> None:
    before = rows(tool_context)
    state, nonce = browser.begun()
    claims = platform.claims(browser.tool, nonce, **BAD[name])
    claims = {
        k: v.format(tool=browser.tool) if "{tool}" in str(v) else v for k, v in claims.items()
    }
    assert_refused(browser.post(state, platform.signed(claims)), tool_context, before)


def forged(platform: TestPlatform, claims: dict[str, Any], how: str) -> str | None:
    """A token that something is wrong with besides its claims."""
    public = rsa_key("first").public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    good = platform.signed(claims)
    header, payload, signature = good.split(".")
    ways: dict[str, Callable[[], str | None]] = {
        "no kid": lambda: platform.signed(claims, headers={"badtestonly": "12345"}),
        "unknown kid": lambda: platform.signed(claims, headers={"kid": "imstester_66067"}),
        "a kid that is no text": lambda: (
            "eyJhbGciOiJSUzI1NiIsImtpZCI6NX0." + payload + "." + signature
        ),
        "somebody else's key": lambda: platform.signed(claims, key=rsa_key("thief")),
        "another algorithm than the key's own": lambda: platform.signed(claims, algorithm="RS512"),
        "a number of 5,000 digits": lambda: jwt.api_jws.PyJWS().encode(
            b'{"sub": ' + b"9" * 5000 + b"}", rsa_key("first"), "RS256", headers={"kid": "key-1"}
        ),
        "nested without end": lambda: jwt.api_jws.PyJWS().encode(
            b'{"a":' * 20_000, rsa_key("first"), "RS256", headers={"kid": "key-1"}
        ),
        "the public key as HMAC secret": lambda: jwt.api_jws.PyJWS().encode(
            jwt.utils.base64url_decode(payload), pem.hex(), "HS256", headers={"kid": "key-1"}
        ),
        "alg none": lambda: jwt.encode(claims, "", "none", headers={"kid": "key-1"}),
        "a changed payload": lambda: header + "." + payload[:-4] + "AAAA." + signature,
        "a cut signature": lambda: good[:-20],
        "no signature": lambda: f"{header}.{payload}.",
        "two parts": lambda: f"{header}.{payload}",
        "not a token": lambda: "hello",
        "an empty token": lambda: "",
        "a list as payload": lambda: jwt.api_jws.PyJWS().encode(
            b"[1]", rsa_key("first"), "RS256", headers={"kid": "key-1"}
        ),
        "a payload that is no JSON": lambda: jwt.api_jws.PyJWS().encode(
            b"\xff\x00", rsa_key("first"), "RS256", headers={"kid": "key-1"}
        ),
        "a bad launch payload": lambda: platform.signed({"name": "badltilaunch"}),
        "a token without end": lambda: good + "A" * 200_000,
        "no token": lambda: None,
    }
    return ways[how]()


FORGED = (
    *("another algorithm than the key's own", "a number of 5,000 digits", "nested without end"),
    *("no kid", "unknown kid", "a kid that is no text", "somebody else's key"),
    *("the public key as HMAC secret", "alg none", "a changed payload", "a cut signature"),
    *("no signature", "two parts", "not a token", "an empty token", "a list as payload"),
    *("a payload that is no JSON", "a bad launch payload", "a token without end", "no token"),
)


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_is_refused(
    how: str, browser: Browser, platform: TestPlatform, tool_context: ToolContext
) -> None:
    before = rows(tool_context)
    state, nonce = browser.begun()
    token = forged(platform, platform.claims(browser.tool, nonce), how)
    assert_refused(browser.post(state, token), tool_context, before)


def test_a_replayed_launch_is_refused_in_the_same_browser_and_in_another(
    browser: Browser, platform: TestPlatform, tool_context: ToolContext
) -> None:
    state, nonce = browser.begun()
    token = platform.signed(platform.claims(browser.tool, nonce))
    assert browser.post(state, token).status_code == 200
    before = rows(tool_context)
    assert_refused(browser.post(state, token), tool_context, before)
    assert_refused(Browser(browser.tool, platform).post(state, token), tool_context, before)


def test_of_many_at_once_one_launch_is_let_in(browser: Browser, platform: TestPlatform) -> None:
    state, nonce = browser.begun()
    token = platform.signed(platform.claims(browser.tool, nonce))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: browser.post(state, token).status_code, range(8)))
    assert sorted(answers) == [200, *[403] * 7]


def test_a_nonce_from_another_login_is_refused(browser: Browser, platform: TestPlatform) -> None:
    state, _ = browser.begun()
    _, other = browser.begun()
    token = platform.signed(platform.claims(browser.tool, other))
    assert browser.post(state, token).status_code == 400


def test_states_nobody_gave_out_are_refused(
    browser: Browser, platform: TestPlatform, tool_context: ToolContext
) -> None:
    before = rows(tool_context)
    token = platform.signed(platform.claims(browser.tool, "n"))
    for state in (None, "", "made-up", "x" * 5000, "\x00", "ü"):
        assert_refused(browser.post(state, token), tool_context, before)


def test_a_login_of_eleven_minutes_ago_is_over(
    browser: Browser, platform: TestPlatform, tool_context: ToolContext
) -> None:
    state, nonce = browser.begun()
    with tool_context.sessions.begin() as session:
        for login in session.scalars(select(Login)):
            login.expires_at = clock.now()
    answer = browser.post(state, platform.signed(platform.claims(browser.tool, nonce)))
    assert answer.status_code == 403
    assert "Open the link in your course again" in answer.text


def test_a_launch_in_a_browser_without_our_cookie_needs_one_click_that_names_the_person(
    browser: Browser, platform: TestPlatform
) -> None:
    state, nonce = browser.begun()
    token = platform.signed(platform.claims(browser.tool, nonce))
    other = Browser(browser.tool, platform)
    page = other.post(state, token)
    assert page.status_code == 403
    assert "as Lauren Hutton" in page.text
    ticket = page.text.partition('name="ticket" value="')[2].partition('"')[0]
    window = other.client.post(f"{browser.tool}/lti/launch/window", data={"ticket": ticket})
    assert window.status_code == 403
    assert "Continue as Lauren Hutton" in window.text
    assert TEACHER_PAGE not in window.text
    assert "frame-ancestors 'none'" in window.headers["content-security-policy"]
    assert "SameSite=Strict" in window.headers["set-cookie"]
    confirm = f"{browser.tool}/lti/launch/confirm"
    for stranger in (Browser(browser.tool, platform), browser):
        assert stranger.client.post(confirm, data={"ticket": ticket}).status_code == 403
    opened = other.client.post(confirm, data={"ticket": ticket})
    assert opened.status_code == 200
    assert TEACHER_PAGE in opened.text
    again = other.client.post(confirm, data={"ticket": ticket})
    assert again.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}],
)
@pytest.mark.parametrize("path", ["proof", "window", "confirm"])
def test_another_sites_page_finishes_no_launch(
    path: str, headers: dict[str, str], browser: Browser, platform: TestPlatform
) -> None:
    page = browser.login(lti_storage_target="_parent")
    secret = page.text.partition('data-value="')[2].partition('"')[0]
    target = page.text.partition('data-next="')[2].partition('"')[0].replace("&amp;", "&")
    asked = httpx.URL(target).params
    token = platform.signed(platform.claims(browser.tool, asked["nonce"]))
    victim = Browser(browser.tool, platform)
    waiting = victim.post(asked["state"], token)
    ticket = waiting.text.partition('name="ticket" value="')[2].partition('"')[0]
    answer = victim.client.post(
        f"{browser.tool}/lti/launch/{path}",
        data={"ticket": ticket, "secret": secret},
        headers=headers,
    )
    assert answer.status_code == 403
    assert "another site" in answer.text


def test_only_the_registered_platform_may_frame_a_launch(
    browser: Browser, platform: TestPlatform
) -> None:
    presentation = {"return_url": "https://school.example/back", "document_target": "iframe"}
    policy = browser.launch(launch_presentation=presentation).headers["content-security-policy"]
    ancestors = policy.partition("frame-ancestors ")[2].split()
    assert set(ancestors) == {
        "'self'",
        "https://lms.example",
        platform.base,
        "https://school.example",
    }
    for path in ("/lti/login", "/lti/setup"):
        other = browser.client.get(f"{browser.tool}{path}").headers["content-security-policy"]
        assert "https:" not in other.replace("https://", "").split()
        assert "http://localhost:*" not in other


def test_a_launch_begun_in_another_browser_that_keeps_cookies_is_refused(
    browser: Browser, platform: TestPlatform
) -> None:
    state, nonce = browser.begun()
    other = Browser(browser.tool, platform)
    other.begun()
    answer = other.post(state, platform.signed(platform.claims(browser.tool, nonce)))
    assert answer.status_code == 403
    assert "another browser" in answer.text


def test_tickets_nobody_gave_out_open_nothing(browser: Browser) -> None:
    for ticket in ("", "x", "a.b", "\x00", "x" * 9000):
        for path in ("window", "proof", "confirm"):
            answer = browser.client.post(
                f"{browser.tool}/lti/launch/{path}", data={"ticket": ticket, "secret": "s"}
            )
            assert 400 <= answer.status_code < 500


def test_platform_storage_proves_a_launch_without_cookies(
    browser: Browser, platform: TestPlatform
) -> None:
    page = browser.login(lti_storage_target="post_message_forwarding")
    assert page.status_code == 200
    value = page.text.partition('data-value="')[2].partition('"')[0]
    target = httpx.URL(
        page.text.partition('data-next="')[2].partition('"')[0].replace("&amp;", "&")
    )
    assert target.params["nonce"]
    other = Browser(browser.tool, platform)  # the same browser, its cookies lost
    token = platform.signed(platform.claims(browser.tool, target.params["nonce"]))
    waiting = other.post(target.params["state"], token)
    assert waiting.status_code == 200
    assert TEACHER_PAGE not in waiting.text
    ticket = waiting.text.partition('name="ticket" value="')[2].partition('"')[0]
    stolen = other.client.post(
        f"{browser.tool}/lti/launch/proof", data={"ticket": ticket, "secret": "guess"}
    )
    assert stolen.status_code == 403
    opened = other.client.post(
        f"{browser.tool}/lti/launch/proof", data={"ticket": ticket, "secret": value}
    )
    assert opened.status_code == 200
    assert TEACHER_PAGE in opened.text


def test_login_redirects_at_once_with_all_that_platforms_want(
    browser: Browser, platform: TestPlatform
) -> None:
    for method in ("GET", "POST"):
        answer = browser.login(method)
        assert answer.status_code == 302
        target = httpx.URL(answer.headers["location"])
        wanted = {
            "tenant": "1",
            "scope": "openid",
            "response_type": "id_token",
            "response_mode": "form_post",
            "prompt": "none",
            "client_id": "client-1",
            "redirect_uri": f"{browser.tool}/lti/launch",
            "login_hint": "hint-1",
            "lti_message_hint": "message-1",
        }
        assert {key: target.params[key] for key in wanted} == wanted
        assert "repost" not in target.params


BAD_LOGINS: dict[str, dict[str, Any]] = {
    "no issuer": {"iss": None},
    "unknown issuer": {"iss": "https://unknown.example"},
    "an issuer in another case": {"iss": "https://LMS.example"},
    "unknown client": {"client_id": "client-9"},
    "no login hint": {"login_hint": None},
    "no target": {"target_link_uri": None},
    "a foreign target": {"target_link_uri": "https://evil.example/"},
    "a broken target": {"target_link_uri": "http://[::1"},
    "a null byte": {"login_hint": "a\x00b"},
    "markup in the issuer": {"iss": "<script>alert(1)</script>"},
    "nothing at all": dict.fromkeys(
        (
            *("iss", "login_hint", "target_link_uri"),
            *("client_id", "lti_message_hint", "lti_deployment_id"),
        )
    ),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", BAD_LOGINS)
def test_a_bad_login_is_refused_and_leaves_nothing(
    name: str, method: str, browser: Browser, tool_context: ToolContext
) -> None:
    def logins() -> int:
        with tool_context.sessions() as session:
            return session.scalar(select(func.count()).select_from(Login)) or 0

    before, count = rows(tool_context), logins()
    answer = browser.login(method, **BAD_LOGINS[name])
    assert_refused(answer, tool_context, before)
    assert "<script>alert" not in answer.text
    assert logins() == count


def test_a_login_without_client_id_finds_the_only_registration(browser: Browser) -> None:
    assert browser.login(client_id=None).status_code == 302


def test_what_the_platform_posts_back_is_told_in_words(browser: Browser) -> None:
    state, _ = browser.begun()
    for error in ("login_required", "launch_no_longer_valid", "<img src=x>", "x" * 3000):
        answer = browser.post(state, None, error=error, error_description="<b>secret</b>")
        assert 400 <= answer.status_code < 500
        assert "did not let the launch through" in answer.text
        assert "<img" not in answer.text
        assert "<b>" not in answer.text


def test_an_unknown_deployment_waits_for_approval(
    browser: Browser, platform: TestPlatform, tool_context: ToolContext
) -> None:
    back = {"return_url": "https://lms.example/return?course=5"}
    answer = browser.launch(deployment_id="deployment-new", launch_presentation=back)
    assert answer.status_code == 403
    assert "https://lms.example/return?course=5&amp;lti_errormsg=This+place" in answer.text
    assert "deployment-new" in answer.text
    with tool_context.sessions.begin() as session:
        row = session.scalar(select(Deployment).where(Deployment.deployment_id == "deployment-new"))
        assert row is not None
        assert row.state == "pending"
        row.state = "approved"
    assert browser.launch(deployment_id="deployment-new").status_code == 200


def test_other_ways_to_ask_for_the_launch_address_are_refused_politely(browser: Browser) -> None:
    assert browser.client.get(f"{browser.tool}/lti/launch").status_code == 405
    assert browser.client.post(f"{browser.tool}/lti/launch", json={"state": 1}).status_code == 400
    huge = browser.client.post(f"{browser.tool}/lti/launch", data={"id_token": "x" * 4_000_000})
    assert huge.status_code == 413


def test_elliptic_curve_keys_are_taken_too(platform: TestPlatform, browser: Browser) -> None:
    platform.with_ec = True
    state, nonce = browser.begun()
    claims = platform.claims(browser.tool, nonce)
    token = platform.signed(claims, key=ec_key(), algorithm="ES256", headers={"kid": "ec"})
    assert browser.post(state, token).status_code == 200


def test_a_deep_linking_request_opens_the_picker(browser: Browser) -> None:
    answer = browser.launch(
        message_type="LtiDeepLinkingRequest",
        resource_link=None,
        deep_linking_settings=deep_linking(),
    )
    assert answer.status_code == 200
    assert "Place in the course" in answer.text


def test_a_submission_review_shows_the_instructor_that_learner(
    browser: Browser, platform: TestPlatform
) -> None:
    learner = browser.launch(sub="learner-77", roles=LEARNER, name="Carrie Lowell")
    assert learner.status_code == 200
    answer = browser.launch(
        message_type="LtiSubmissionReviewRequest",
        for_user={"user_id": "learner-77"},
        ags={"lineitem": "https://lms.example/items/1", "scope": []},
    )
    assert answer.status_code == 200
    assert "Carrie Lowell" in answer.text


def test_who_acts_as_somebody_else_sees_and_changes_nothing(browser: Browser) -> None:
    page = browser.launch(custom={"masquerading_user": "12"})
    assert TEACHER_PAGE in page.text
    found = re.search(r"hx-headers='([^']+)'", page.text)
    assert found
    headers = json.loads(html.unescape(found.group(1)))
    looked = httpx.get(f"{browser.tool}/course/badges", headers=headers)
    assert looked.status_code == 200
    changed = httpx.post(f"{browser.tool}/course/sync", headers=headers)
    assert changed.status_code == 403
    plain = browser.launch(custom={"masquerading_user": "$Canvas.masqueradingUser.id"})
    assert TEACHER_PAGE in plain.text
    assert '"read_only":true' not in plain.text


def test_the_end_of_an_assessment_is_taken_politely(browser: Browser) -> None:
    answer = browser.launch(message_type="LtiEndAssessment", resource_link=None)
    assert answer.status_code == 200
    assert "nothing to do" in answer.text


def test_a_launch_in_a_window_offers_the_way_back(browser: Browser) -> None:
    back = "https://lms.example/return?course=5&sesskey=x"
    inside = {"return_url": back, "document_target": "iframe"}
    assert "Back to your course" not in browser.launch(launch_presentation=inside).text
    alone = browser.launch(launch_presentation={**inside, "document_target": "window"})
    assert 'href="https://lms.example/return?course=5&amp;sesskey=x&amp;lti_msg=You' in alone.text
    bad = {"return_url": "javascript:alert(1)", "document_target": "window"}
    assert "javascript:" not in browser.launch(launch_presentation=bad).text


def test_a_data_privacy_launch_says_what_is_kept(browser: Browser) -> None:
    answer = browser.launch(
        message_type="DataPrivacyLaunchRequest",
        for_user={"user_id": "learner-77"},
        resource_link=None,
        context=None,
    )
    assert answer.status_code == 200
    assert "What this tool keeps" in answer.text
