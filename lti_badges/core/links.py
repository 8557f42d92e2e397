"""Addresses: which may be shown and stored, which hosts are this machine itself, which lie at the
same server, and one with more in its query."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are this machine itself; they alone may be called without TLS."""

MAX_ADDRESS = 4000

_PORTS = {"http": 80, "https": 443}
# Browsers read `\` as `/`, and drop tabs and line breaks: what we check must be what they open.
_UNFIT = re.compile('[\x00-\x20\x7f-\xa0\\\\<>"\u2028\u2029\ud800-\udfff\ufffe\uffff]')


def web_address(value: object) -> str | None:
    """An http(s) address from outside that may be stored and shown as a link, its case and query
    untouched; None for anything else (`javascript:`, `data:`, relative ones, user names in it).

    Every address that a backend, an LMS or a form gives goes through here.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text or len(text) > MAX_ADDRESS or _UNFIT.search(text):
        return None
    origin = origin_of(text)
    if origin is None or origin[0] not in _PORTS or "@" in urlsplit(text).netloc:
        return None
    return text


def origin_of(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port (a default port is named too); None for what is no usable address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    return (scheme, host, port or _PORTS.get(scheme)) if scheme and host else None


def web_origin(url: str) -> str | None:
    """The origin as browsers write it (`https://lms.example.edu`, `http://[::1]:8080`), for
    postMessage and Content-Security-Policy; None for what is no http(s) address. RFC 6454 §6.2."""
    origin = origin_of(url) if web_address(url) else None
    if origin is None:
        return None
    scheme, host, port = origin
    named = f"[{host}]" if ":" in host else host
    try:
        named = named.encode("idna").decode() if not named.isascii() else named
    except UnicodeError:
        return None
    return f"{scheme}://{named}" + ("" if port == _PORTS[scheme] else f":{port}")


def with_query(url: str, /, **parameters: str) -> str:
    """Adds query parameters to those that are there already."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *parameters.items()]
    return urlunsplit(parts._replace(query=urlencode(query)))


def same_origin(url: str, other: str) -> bool:
    """Whether both addresses have one scheme, host and port: a token for one may go to the other
    (RFC 6454 §5)."""
    origin = origin_of(url)
    return origin is not None and origin == origin_of(other)


def is_loopback(url: str) -> bool:
    """Whether the address names this machine itself, by its host."""
    origin = origin_of(url)
    return origin is not None and is_loopback_host(origin[1])


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
