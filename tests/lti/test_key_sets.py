"""Platforms' keys: rotation is noticed, and nobody can make us fetch at will."""

from __future__ import annotations

import json

import pytest
from flask import Response

from lti_badges.core.errors import LaunchError
from lti_badges.core.http import Http
from lti_badges.lti.keysets import BURST, KeySets
from tests.support.platform import Browser, TestPlatform


def test_a_rotated_key_is_picked_up_on_the_next_launch(
    browser: Browser, platform: TestPlatform
) -> None:
    assert browser.launch().status_code == 200
    kids = platform.kids
    platform.kids = {"key-2": "second"}
    try:
        assert browser.launch().status_code == 200
    finally:
        platform.kids = {**platform.kids, **kids}


def test_launches_fetch_the_key_set_once(platform: TestPlatform) -> None:
    sets = KeySets(Http(allow_loopback=True))
    before = platform.key_set_fetches
    for _ in range(20):
        sets.key(f"{platform.base}/jwks", next(iter(platform.kids)))
    assert platform.key_set_fetches - before == 1


def test_made_up_kids_make_us_fetch_a_few_times_only(platform: TestPlatform) -> None:
    sets = KeySets(Http(allow_loopback=True))
    before = platform.key_set_fetches
    for number in range(50):
        with pytest.raises(LaunchError):
            sets.key(f"{platform.base}/jwks", f"made-up-{number}")
    assert platform.key_set_fetches - before == BURST


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>", 200),
        Response("", 500),
        Response("[]", 200),
        Response('{"keys": 5}', 200),
        Response('{"keys": [5, {"kty": "RSA", "kid": "key-1", "n": "x"}]}', 200),
        Response('{"keys": [{"kty": "oct", "kid": "key-1", "k": "c2VjcmV0"}]}', 200),
    ],
)
def test_a_key_set_that_can_not_be_used_refuses_the_launch(
    platform: TestPlatform, answer: Response
) -> None:
    sets = KeySets(Http(allow_loopback=True))
    platform.key_set_answer = answer
    try:
        with pytest.raises(LaunchError) as refused:
            sets.key(f"{platform.base}/jwks", "key-1")
        assert 400 <= refused.value.status < 500
    finally:
        platform.key_set_answer = None


def test_a_set_of_nearly_a_megabyte_is_read(platform: TestPlatform) -> None:
    key = platform.key_set()["keys"][0]
    stuffed = [{"kty": "RSA", "kid": f"other-{n}", "x5c": ["x" * 1000]} for n in range(900)]
    body = json.dumps({"keys": [*stuffed, key]})
    assert 900_000 < len(body) < 1_048_576
    platform.key_set_answer = Response(body, 200)
    try:
        assert KeySets(Http(allow_loopback=True)).key(f"{platform.base}/jwks", key["kid"])
        platform.key_set_answer = Response(body + " " * 200_000, 200)
        with pytest.raises(LaunchError):
            KeySets(Http(allow_loopback=True)).key(f"{platform.base}/jwks", key["kid"])
    finally:
        platform.key_set_answer = None


def test_an_old_set_serves_while_the_platform_is_away(platform: TestPlatform) -> None:
    sets = KeySets(Http(allow_loopback=True))
    kid = next(iter(platform.kids))
    url = f"{platform.base}/jwks"
    sets.key(url, kid)
    platform.key_set_answer = Response("", 503)
    try:
        with pytest.raises(LaunchError):
            sets.key(url, "another")
        assert sets.key(url, kid)
    finally:
        platform.key_set_answer = None
