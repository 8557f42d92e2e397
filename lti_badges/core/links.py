"""`Link` headers (RFC 8288) as servers really write them: where the next page is.

Seen in the wild: curly quotes and `&amp;` (Moodle AGS), `rel=next` without quotes, several links
in one header, several headers, relative addresses, case-sensitive bookmarks (Canvas).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Protocol
from urllib.parse import urljoin

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are this machine itself; they alone may be called without TLS."""


class Headers(Protocol):
    """Header look-up that returns every line of a name."""

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """All lines."""


_LINK = re.compile(r"<([^>]*)>([^<]*)")
_REL = re.compile(r"""\brel\s*=\s*["'“”„]?([^"'“”„;,]*)""", re.IGNORECASE)


def next_page(headers: Headers, base_url: str) -> str | None:
    """The address of `rel="next"`, its case untouched, or None."""
    for line in headers.get_list("link"):
        for target, relations in _links(line):
            if "next" in relations:
                return urljoin(base_url, target)
    return None


def _links(line: str) -> Iterator[tuple[str, set[str]]]:
    for target, parameters in _LINK.findall(line):
        named = _REL.search(parameters)
        relations = set(named.group(1).lower().split()) if named else set()
        yield unescape(target.strip()), relations
