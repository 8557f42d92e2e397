"""Lists that come in pages: by `Link` header, by an address in the answer, by offset, by bookmark.

All loops are bounded, never read a page twice, and never lead a token away: the address of a next
page counts only at the server that was asked. What servers really write in `Link` headers: curly
quotes and `&amp;` (Moodle AGS), `rel=next` without quotes, several links in one header, several
headers, relative addresses, case-sensitive bookmarks (Canvas).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin

from lti_badges.core import clock
from lti_badges.core.http import Reply, host_of
from lti_badges.core.links import same_origin

MOST_PAGES = 10_000

Page = TypeVar("Page")
Position = TypeVar("Position", bound=Hashable)
Row = TypeVar("Row")
Fail = Callable[[str], Exception]
"""Makes the caller's error of a sentence."""

_LINK = re.compile(r"<([^>]*)>([^<]*)")
_REL = re.compile(r"""\brel\s*=\s*["'“”„]?([^"'“”„;,]*)""", re.IGNORECASE)
# Only the escaped ampersand is undone: as HTML, `&timestamp=` would become `×tamp=`.
_AMPERSAND = re.compile(r"&(?:amp|#38|#x26);", re.IGNORECASE)


_last_moment: ContextVar[datetime | None] = ContextVar("last_moment", default=None)


@contextmanager
def no_page_after(moment: datetime) -> Iterator[None]:
    """Within it no list asks for a further page once that moment is past; it fails instead, as one
    that was not read to its end."""
    before = _last_moment.set(moment)
    try:
        yield
    finally:
        _last_moment.reset(before)


class Headers(Protocol):
    """Header look-up that returns every line of a name."""

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """All lines."""


def pages(
    first: Position,
    fetch: Callable[[Position], tuple[Page, Position | None]],
    fail: Fail,
    most: int = MOST_PAGES,
) -> Iterator[Page]:
    """Each page from `first` on; `fetch` gives a page and the position of the next, None at the
    end. Raises `fail`'s error for a position that was read already, after `most` pages, and when
    the time is over (`no_page_after`): a list that does not end can't be taken for a whole one."""
    seen: set[Position] = set()
    following: Position | None = first
    while following is not None:
        if following in seen:
            raise fail("A list names a page that was read already; it can't be read to its end.")
        if len(seen) >= most:
            raise fail(f"A list has more than {most} pages.")
        last_moment = _last_moment.get()
        if last_moment is not None and clock.now() > last_moment:
            raise fail(f"A list is too long, or too slow: {len(seen)} pages, and no end in time.")
        seen.add(following)
        page, following = fetch(following)
        yield page


def linked(url: str, fetch: Callable[[str], Reply], fail: Fail) -> Iterator[Reply]:
    """Each answer of a list, by `Link: <…>; rel="next"`. `fetch` gives a successful answer."""

    def one(address: str) -> tuple[Reply, str | None]:
        reply = fetch(address)
        return reply, checked(next_page(reply.headers, reply.url), url, fail)

    return pages(url, one, fail)


def addressed(url: str, fetch: Callable[[str], tuple[Page, Any]], fail: Fail) -> Iterator[Page]:
    """Each page of a list whose answers name the next one's address: `fetch` gives the page and
    what stands there, which is taken only if it is an address (absolute, or a path)."""

    def one(address: str) -> tuple[Page, str | None]:
        page, named = fetch(address)
        target = _joined(address, named) if isinstance(named, str) and named else None
        return page, checked(target, url, fail)

    return pages(url, one, fail)


def by_offset(size: int, fetch: Callable[[int], Sequence[Row]], fail: Fail) -> Iterator[Row]:
    """Each row of a list that is asked for from an offset on; a page shorter than `size` is the
    last."""

    def one(offset: int) -> tuple[Sequence[Row], int | None]:
        rows = fetch(offset)
        return rows, offset + len(rows) if len(rows) >= size else None

    before: Sequence[Row] = ()
    for page in pages(0, one, fail):
        if page and page == before:
            raise fail("A list shows the same page whatever its offset; it can't be read.")
        before = page
        yield from page


def checked(target: str | None, asked: str, fail: Fail) -> str | None:
    """The address of a next page, if it lies at the server that was asked: our token goes nowhere
    else, not to another port and not without TLS."""
    if target is not None and not same_origin(target, asked):
        raise fail(f"{host_of(asked)} names a next page on another host, port or scheme.")
    return target


def next_page(headers: Headers, base_url: str) -> str | None:
    """The address of `rel="next"` (RFC 8288), its case untouched, or None."""
    for line in headers.get_list("link"):
        for target, relations in _links(line):
            if "next" in relations:
                return _joined(base_url, target)
    return None


def _joined(base_url: str, target: str) -> str:
    """The whole address; what is none stays as it is, and is refused where it is checked."""
    try:
        return urljoin(base_url, target)
    except ValueError:
        return target


def _links(line: str) -> Iterator[tuple[str, set[str]]]:
    for target, parameters in _LINK.findall(line):
        named = _REL.search(parameters)
        relations = set(named.group(1).lower().split()) if named else set()
        yield _AMPERSAND.sub("&", target.strip()), relations
