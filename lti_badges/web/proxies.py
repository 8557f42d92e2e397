"""`X-Forwarded-For` from trusted proxies alone. Scheme and host of our addresses come from the
settings, never from a header."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

PROXIED = "lti_badges.proxied"
"""In the WSGI environment: whether a proxy says that it stands between, trusted or not."""
_PROXY_HEADERS = (
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_VIA",
)


class TrustedProxies:
    """WSGI middleware: the client's address, as the proxies named in the settings tell it."""

    def __init__(self, application: Any, networks: Sequence[str]) -> None:
        self._application = application
        self._networks = [ipaddress.ip_network(each, strict=False) for each in networks]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """From the last hop backwards, the first address that is no trusted proxy."""
        given = environ.pop("HTTP_X_FORWARDED_FOR", "")
        environ[PROXIED] = bool(given or any(name in environ for name in _PROXY_HEADERS))
        for name in ("HOST", "PROTO", "PORT", "PREFIX"):
            environ.pop(f"HTTP_X_FORWARDED_{name}", None)
        if given and self._is_trusted(environ.get("REMOTE_ADDR", "")):
            for hop in reversed(given.split(",")[-20:]):
                address = hop.strip()
                if not _is_address(address):
                    break
                environ["REMOTE_ADDR"] = address
                if not self._is_trusted(address):
                    break
        found: Iterable[bytes] = self._application(environ, start_response)
        return found

    def _is_trusted(self, text: str) -> bool:
        if not _is_address(text):
            return False
        address = ipaddress.ip_address(text)
        return any(address in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
