"""Lists in pages are read to their end, or told as not readable; and how long to wait."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_badges.core.backoff import Bucket, wait_after
from lti_badges.core.links import same_origin
from lti_badges.core.paging import addressed, by_offset, pages


class Unreadable(Exception):
    """The caller's error."""


@given(st.lists(st.integers(), max_size=60, unique=True), st.integers(1, 20))
def test_every_row_is_read_once_by_offset(rows: list[int], size: int) -> None:
    assert list(by_offset(size, lambda at: rows[at : at + size], Unreadable)) == rows


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(Unreadable, match="more than 50 pages"):
        list(pages(0, lambda at: (at, at + 1), Unreadable, most=50))
    asked = count()
    with pytest.raises(Unreadable, match="read already"):
        list(pages("a", lambda _: (next(asked), "b"), Unreadable))
    assert next(asked) == 2


def test_a_server_that_ignores_the_offset_is_found_out() -> None:
    calls = count()

    def stubborn(_at: int) -> list[int]:
        assert next(calls) < 3
        return [1, 2]

    with pytest.raises(Unreadable):
        list(by_offset(2, stubborn, Unreadable))


@pytest.mark.parametrize(
    "named", ["https://b/x", "http://a/x", "https://a:8443/x", "//b/x", "https://[x"]
)
def test_a_next_address_elsewhere_is_refused(named: str) -> None:
    with pytest.raises(Unreadable, match="another host, port or scheme"):
        list(addressed("https://a/list", lambda _: ([], named), Unreadable))


@pytest.mark.parametrize("named", [None, "", 7, {}, []])
def test_what_is_no_address_ends_the_list(named: object) -> None:
    assert list(addressed("https://a/list", lambda _: (1, named), Unreadable)) == [1]


@given(st.text(), st.text())
def test_no_text_is_of_the_same_origin_by_accident(one: str, other: str) -> None:
    assert isinstance(same_origin(one, other), bool)
    assert not same_origin("https://a.example", f"https://a.example.{one}")


def test_a_default_port_is_the_same_origin() -> None:
    assert same_origin("https://a/x", "https://A:443/y")
    assert not same_origin("https://a/x", "https://a:80/y")


@given(st.integers(0, 10_000), st.floats(0, 1e6))
def test_waits_grow_to_a_bound_and_never_undercut_the_server(failures: int, asked: float) -> None:
    first, most = timedelta(seconds=5), timedelta(hours=1)
    wait = wait_after(failures, first, most)
    assert 0.7 * first <= wait <= 1.3 * most
    assert wait_after(failures, first, most, retry_after=asked).total_seconds() >= asked - 1e-3


@given(st.lists(st.floats(0, 5), max_size=80), st.integers(1, 10), st.floats(0.1, 20))
def test_a_bucket_never_gives_more_than_it_holds(gaps: list[float], size: int, rate: float) -> None:
    bucket, now, taken = Bucket.full(rate, size), 0.0, 0
    for gap in gaps:
        now += gap
        left = bucket.taken(now)
        if left is not None:
            bucket, taken = left, taken + 1
    assert taken <= size + rate * now + 1e-6
