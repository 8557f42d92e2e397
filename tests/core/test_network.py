"""Outbound calls: which addresses are connected, and that a dripped answer ends in time."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from lti_badges.core.errors import HttpError, NotSent
from lti_badges.core.http import Http
from lti_badges.core.network import is_public

REFUSED = [
    "https://localhost/",
    "https://localhost./",
    "https://anything.localhost/",
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://192.168.1.1/",
    "https://172.16.0.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "http://example.org/",
    "ftp://example.org/",
    "https:///x",
]


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize("public_only", [True, False])
def test_a_tool_in_production_calls_no_address_inside(url: str, public_only: bool) -> None:
    with Http(allow_loopback=False) as http, pytest.raises(NotSent) as refused:
        http.request("GET", url, public_only=public_only)
    assert refused.value.code in {"address", "not_sent"}
    assert "can't be reached" not in refused.value.message  # nothing was even tried


def test_public_addresses_are_public() -> None:
    for address in ("8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"):
        assert is_public(ipaddress.ip_address(address)), address


def test_a_private_network_is_called_when_the_admin_names_it() -> None:
    networks = (ipaddress.ip_network("198.18.0.0/15"),)
    with Http(allow_loopback=False, networks=networks, total_s=1) as http:
        with pytest.raises(NotSent) as tried:
            http.request("GET", "https://198.18.0.1:1/")
        assert tried.value.code != "address"
        with pytest.raises(NotSent) as refused:
            http.request("GET", "https://198.18.0.1:1/", public_only=True)
        assert refused.value.code == "address"


def test_the_address_that_was_checked_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers with another address the second time gains nothing."""
    asked: list[str] = []

    def rebinding(host: str, port: int, *_: object, **__: object) -> list[object]:
        asked.append(host)
        address = "203.0.113.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[object] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", connect)
    networks = (ipaddress.ip_network("203.0.113.0/24"),)
    with Http(allow_loopback=False, networks=networks) as http, pytest.raises(NotSent):
        http.request("GET", "https://rebinding.example/")
    assert asked == ["rebinding.example"]
    assert connected == ["203.0.113.1"]


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a header, byte by byte, and never comes to an end."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
                while not ended.wait(0.05):
                    try:
                        connection.sendall(b"a")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        ended.set()
    thread.join()


def test_dripped_headers_end_with_the_calls_time(dripping: str) -> None:
    began = time.monotonic()
    with Http(allow_loopback=True, total_s=0.6) as http, pytest.raises(HttpError) as late:
        http.post(dripping)
    assert late.value.code == "timeout"
    assert time.monotonic() - began < 10
