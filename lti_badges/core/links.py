"""Addresses: which hosts are this machine itself, and which addresses lie at the same server."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are this machine itself; they alone may be called without TLS."""

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port (a default port is named too); None for what is no usable address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    return (scheme, host, port or _PORTS.get(scheme)) if scheme and host else None


def same_origin(url: str, other: str) -> bool:
    """Whether both addresses have one scheme, host and port: a token for one may go to the other
    (RFC 6454 §5)."""
    origin = origin_of(url)
    return origin is not None and origin == origin_of(other)
