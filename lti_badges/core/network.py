"""Connections to addresses that were checked: a name is resolved, and the very address that passed
is connected. No later answer of the name server leads elsewhere.

A call's deadline holds for every read of it, so that an answer dripped byte by byte ends in time.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpcore

from lti_badges.core.errors import NotSent

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS = tuple(
    map(
        ipaddress.IPv6Network,
        # Local NAT64, 6to4, Teredo, IPv4-compatible, site-local: each leads to an IPv4 or a
        # network that the address itself does not show. RFC 8215, 3056, 4380, 4291, 3879.
        ("64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10"),
    )
)
_call = threading.local()


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """This thread's call ends by `deadline` (`time.monotonic()` seconds)."""
    _call.deadline = deadline
    try:
        yield
    finally:
        _call.deadline = None


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, through any form of IPv4 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(address in tunnel for tunnel in _TUNNELS):
            return False
    return address.is_global and not address.is_multicast


class CheckedBackend(httpcore.NetworkBackend):
    """Opens connections for httpcore. `loopback`: this machine itself may be called, too;
    `networks` are private ones that the admin let be called."""

    def __init__(self, *, loopback: bool, networks: Sequence[Network] = ()) -> None:
        self._loopback = loopback
        self._networks = tuple(networks)
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises NotSent for a name that leads to no address we call."""
        addresses = self._checked(host, port)
        for last, address in enumerate(addresses, 1 - len(addresses)):
            try:
                stream = self._sockets.connect_tcp(
                    str(address), port, _left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last == 0:
                    raise
                continue
            return _TimedStream(stream)
        raise NotSent(f"{host} can't be found (no such host name).")

    def connect_unix_socket(self, *_args: Any, **_options: Any) -> httpcore.NetworkStream:
        """No address leads to a socket file."""
        raise NotSent("Only https:// addresses can be called.", code="address")

    def sleep(self, seconds: float) -> None:
        """Between httpcore's own retries, of which we ask none."""
        time.sleep(seconds)

    def _checked(self, host: str, port: int) -> list[Address]:
        found = _resolved(host, port)
        for address in found:
            if not self._may_call(address):
                raise NotSent(
                    f"{host} is not a public address. If it is inside your own network, name that "
                    "network in LTI_BADGES_PRIVATE_NETWORKS.",
                    code="address",
                )
        return found

    def _may_call(self, address: Address) -> bool:
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain.is_loopback:
            return self._loopback
        if plain.is_link_local or plain.is_unspecified or plain.is_multicast:
            return False  # cloud metadata services, and this host by another name
        allowed = any(
            plain.version == network.version and plain in network for network in self._networks
        )
        return allowed or is_public(plain)


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None) -> float | None:
    deadline: float | None = getattr(_call, "deadline", None)
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the call's time is over")
    return left if timeout is None else min(left, timeout)


def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotSent(f"{host} can't be found (no such host name).") from None
    named = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ipaddress.ip_address(each) for each in named]
