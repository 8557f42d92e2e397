"""The border for strings, dates, JSON and addresses from outside."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_badges.core import clock
from lti_badges.core.links import is_loopback, web_address, web_origin
from lti_badges.core.text import (
    MAX_DEPTH,
    OddText,
    clean,
    clean_tree,
    custom_parameters,
    email,
    identifier,
    line,
    paragraph,
    read_json,
)

anything = st.text(st.characters(exclude_categories=()), max_size=60)


@given(anything, st.integers(1, 40))
def test_a_line_is_storable_short_and_one_line(text: str, limit: int) -> None:
    found = line(text, limit)
    if found is not None:
        assert 0 < len(found) <= limit
        assert "\0" not in found
        assert "\n" not in found
        found.encode()  # no lone surrogate


@given(anything)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    clean(text).encode()


@given(anything)
def test_an_id_is_kept_exactly_or_refused(text: str) -> None:
    try:
        assert identifier(text) == text
    except OddText:
        return
    assert not set(text) & set("\0\n\r\t")


def test_words_for_people_are_cut_and_cleaned() -> None:
    assert line("  Ada\r\n\0Lovelace\x07 ") == "Ada Lovelace"
    assert line("\ud800Ada") == "Ada"
    assert line("x" * 600) == "x" * 499 + "…"
    assert line(7) == "7"
    assert line(True) is line([]) is line(10**5000) is line("\0") is None
    assert paragraph("one\r\ntwo\u2028three\0", 100) == "one\ntwo\nthree"
    assert email("a@b.example") == "a@b.example"
    assert email("a" * 320 + "@b.example") is email("a\0@b.example") is None


@pytest.mark.parametrize(
    "odd", ["", " ", None, True, {}, "a\0", "a\n", "\udfff", "x" * 256, 10**999]
)
def test_an_odd_id_is_refused(odd: object) -> None:
    with pytest.raises(OddText):
        identifier(odd)


def test_a_number_without_measure_spoils_only_its_own_row() -> None:
    rows = read_json(b'[{"score": ' + b"9" * 5000 + b'}, {"score": 7}]')
    assert rows[1] == {"score": 7}
    assert rows[0]["score"] == float("inf")


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe", b"", b"nope"])
def test_json_that_can_not_be_read_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"nested|line|decode|utf"):
        read_json(body)


def test_a_tree_is_storable_in_every_database() -> None:
    deep: object = "end"
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    odd = {"a\0": ["b\ud800", float("nan"), 10**999, 10.5, True, None, deep, b"bytes"]}
    found = clean_tree(odd)
    assert found["a"][:6] == ["b", None, None, 10.5, True, None]
    json.dumps(found, allow_nan=False).encode()


def test_custom_parameters_that_say_nothing_are_left_out() -> None:
    given_ = {"a": "1", "b": "$User.id", "c": "@X@user.id@X@", "d": "", "e": {}, "f": 3, "g": True}
    assert custom_parameters(given_) == {"a": "1", "f": "3", "g": "True"}
    assert custom_parameters([]) == custom_parameters({"\0": "x", "y": "\0"}) == {}


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9999-12-31", "0001-01-01"]
)
def test_dates_at_the_ends_of_the_calendar_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="year"):
        clock.parse_iso(text)


@pytest.mark.parametrize(
    "odd",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example/x",
        "/relative",
        "https:///x",
        "https://",
        "https:\\\\evil.example",
        "https://good.example\\@evil.example/",
        "https://user:pass@evil.example/",
        "https://a.example/\0",
        "https://a.example/ b",
        "https://[::1",
        "https://a.example:port/",
        "https://a.example/" + "x" * 4000,
        None,
        7,
        ["https://a.example/"],
    ],
)
def test_what_is_no_web_address_is_never_stored_or_shown(odd: object) -> None:
    assert web_address(odd) is None


@pytest.mark.parametrize(
    "good",
    [
        "https://a.example",
        "HTTPS://A.example/Path?q=A%20b&x=https://b/#f",
        "http://127.0.0.1:8080/x",
        "https://bücher.example/ß?ü",
        "https://[2001:db8::1]:8443/",
    ],
)
def test_a_web_address_stays_as_it_came(good: str) -> None:
    assert web_address(f" {good} ") == good


def test_origins_are_written_as_browsers_write_them() -> None:
    assert web_origin("https://LMS.example.edu:443/auth?x") == "https://lms.example.edu"
    assert web_origin("http://[::1]:8080/a") == "http://[::1]:8080"
    assert web_origin("https://bücher.example/") == "https://xn--bcher-kva.example"
    assert web_origin("javascript:x") is None


def test_loopback_is_told_by_the_host_alone() -> None:
    for url in ("http://localhost:1", "https://127.9.9.9/", "http://[::1]/", "http://LOCALHOST./"):
        assert is_loopback(url), url
    for url in ("https://localhost.example", "https://x.example/?u=http://localhost", "https://a"):
        assert not is_loopback(url), url
