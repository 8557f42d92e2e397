"""Open Badge Factory's first API with its own way in: an API key, exchanged for a certificate
that every further call shows. Real TLS on loopback."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from flask import Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

from lti_badges.backends import Backend
from lti_badges.catalogue.issuance import backend_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import Unauthorized, Unavailable
from lti_badges.settings import Settings
from lti_badges.store import BackendRow
from tests.backends.test_contract import draft, order
from tests.support.databases import new_sqlite
from tests.support.standard_servers import ObfV1Server

PEM = serialization.Encoding.PEM


class Authority:
    """Signs the server's certificate and its clients'."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._signed(self.name, self.key.public_key(), authority=True)

    def server(self) -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        return pem(self._signed(name, key.public_key())) + key_pem(key)

    def client(self, request_pem: str) -> str:
        asked = x509.load_pem_x509_csr(request_pem.encode())
        assert asked.is_signature_valid
        return pem(self._signed(asked.subject, asked.public_key()))

    def _signed(self, name: x509.Name, key: Any, *, authority: bool = False) -> x509.Certificate:
        now = clock.now()
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=700))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(PEM).decode()


def key_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class Vendor(ObfV1Server):
    """As nginx in front of the real one: 496 without a certificate, 495 for a revoked one."""

    def __init__(self) -> None:
        super().__init__()
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public_key = self.key.public_key().public_bytes(
            PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.shown: list[str] = []
        self.turned_away = False

    def api_key(self, client: str = "C1") -> str:
        said = json.dumps({"id": client, "subject": "Test", "ctime": 1, "nonce": "n"}).encode()
        return base64.b64encode(raw_signature(self.key, said)).decode()

    def lets_in(self) -> Response | None:
        peer = request.environ["test.certificate"]
        if peer is None:
            return Response("<html>496 No certificate</html>", 496)
        self.shown.append(peer)
        return Response("<html>495</html>", 495) if self.turned_away else None


def raw_signature(key: rsa.RSAPrivateKey, message: bytes) -> bytes:
    """PKCS#1 v1.5 type 1 around the message itself, which no library signs without a hash."""
    size = key.key_size // 8
    padded = b"\x00\x01" + b"\xff" * (size - len(message) - 3) + b"\x00" + message
    numbers = key.private_numbers()
    signature = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n)
    return signature.to_bytes(size)


class Handler(WSGIRequestHandler):
    def make_environ(self) -> dict[str, Any]:
        peer = self.connection.getpeercert()
        name = None if not peer else peer["subject"][0][0][1]
        return {**super().make_environ(), "test.certificate": name}

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Tests print their own stories."""


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    authority, vendor = Authority(), Vendor()
    vendor.sign = authority.client
    (tmp_path / "ca.pem").write_text(pem(authority.certificate))
    (tmp_path / "server.pem").write_text(authority.server())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    server = make_server(
        "127.0.0.1",
        0,
        vendor.app(),
        threaded=True,
        ssl_context=context,
        request_handler=Handler,
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    vendor.base = f"https://127.0.0.1:{server.server_port}"
    yield vendor
    server.shutdown()
    server.server_close()


@pytest.fixture
def context(tmp_path: Path, keys_folder: Path, vendor: Vendor) -> Iterator[ToolContext]:
    context = ToolContext.build(Settings(database_url=new_sqlite(tmp_path), keys_dir=keys_folder))
    yield context
    context.close()


def opened(context: ToolContext, vendor: Vendor, api_key: str) -> Backend:
    with context.sessions.begin() as session:
        row = BackendRow(
            name=f"obf-{len(api_key)}-{api_key[:6]}",
            kind="obf-v1",
            settings={"url": vendor.base, "send_email": "no"},
            secrets=context.cipher.seal({"api_key": api_key}),
        )
        session.add(row)
        session.flush()
        return backend_of(context, row)


def test_a_key_becomes_a_certificate_that_each_call_shows(
    context: ToolContext, vendor: Vendor
) -> None:
    backend = opened(context, vendor, vendor.api_key())
    said = backend.check()
    assert "as C1" in said
    assert "certificate ends on" in said
    made = backend.create(draft())
    assert [each.ref for each in backend.achievements()] == [made.ref]
    issuance = order(replace(made, id="ours"))
    assert backend.find(issuance) is None
    receipt = backend.issue(issuance)
    (event,) = vendor.events.values()
    assert event["recipient"] == ["Ann Lee <ann.lee@example.org>"]
    found = backend.find(issuance)
    assert found is not None
    assert found.ref == receipt.ref
    backend.revoke(issuance, receipt.ref, "A mistake")
    found = backend.find(issuance)
    assert found is not None
    assert found.revoked
    assert set(vendor.shown) == {"C1"}
    assert len(vendor.signed) == 1


def test_the_certificate_is_kept_and_a_new_key_makes_a_new_one(
    context: ToolContext, vendor: Vendor
) -> None:
    opened(context, vendor, vendor.api_key()).check()
    with context.sessions() as session:
        row = session.query(BackendRow).filter_by(kind="obf-v1").one()
    backend_of(context, row).check()
    assert len(vendor.signed) == 1
    with context.sessions.begin() as session:
        kept = session.get_one(BackendRow, row.id)
        held = context.cipher.unseal(kept.secrets)
        again = vendor.api_key("C1") + "\n"
        kept.secrets = context.cipher.seal({**held, "api_key": again})
    backend_of(context, row).check()
    assert len(vendor.signed) == 2


def test_a_key_that_is_none_or_too_old_says_what_to_do(
    context: ToolContext, vendor: Vendor
) -> None:
    other = Vendor()
    for key in ("bm9uZQ==", "not base64!", other.api_key()):
        with pytest.raises(Unauthorized, match="copy the whole key"):
            opened(context, vendor, key).check()
    vendor.sign = None
    with pytest.raises(Unauthorized, match="ten minutes"):
        opened(context, vendor, vendor.api_key()).check()


def test_a_certificate_that_no_longer_counts_says_what_to_do(
    context: ToolContext, vendor: Vendor
) -> None:
    backend = opened(context, vendor, vendor.api_key())
    backend.check()
    vendor.turned_away = True
    with pytest.raises(Unavailable, match="make a new API key"):
        backend.check()


def test_workers_that_meet_exchange_a_key_once(context: ToolContext, vendor: Vendor) -> None:
    opened(context, vendor, vendor.api_key())
    with context.sessions() as session:
        row = session.query(BackendRow).filter_by(kind="obf-v1").one()
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: backend_of(context, row).check(), range(4)))
    assert all("as C1" in each for each in said)
    assert len(vendor.signed) == 1
