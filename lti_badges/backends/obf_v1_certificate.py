"""The TLS client certificate of Open Badge Factory's API version 1, got in exchange for an API key.

Source: obf-moodle (2023-09), obf-wordpress, obc 2.1.0, the vendor's guide to version 1.
Quirks: a key is exchanged once, within ten minutes; it names the organisation, under the server's
signature; nginx before the server answers 495 and 496 for a certificate that no longer counts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from lti_badges.backends.api import call, lost, said
from lti_badges.backends.base import BackendConfig
from lti_badges.backends.obf import segment
from lti_badges.backends.tokens import TokenStore
from lti_badges.core.errors import Unauthorized
from lti_badges.core.http import Reply, host_of

KEY_BITS = 2048
NO_CERTIFICATE = {495: "the certificate no longer counts", 496: "it wants a certificate"}


class ClientCertificate:
    """That of one configured backend, stored with its secrets."""

    def __init__(self, config: BackendConfig, base_url: str, tokens: TokenStore) -> None:
        self._config = config
        self._base_url = base_url
        self._tokens = tokens

    def pem(self) -> tuple[str, str]:
        """(certificate, key) as PEM. A key that was entered since is exchanged for a new one."""
        shown = _shown(self._config.load_secrets())
        if shown:
            return shown
        with self._tokens.alone():
            held = self._config.load_secrets()
            shown = _shown(held)  # another worker may have been faster: a key may work once
            if shown:
                return shown
            entered = held.get("api_key", "")
            if not entered:
                raise Unauthorized("Make an API key in Open Badge Factory and enter it here.")
            certificate, private_key = self._exchanged(entered)
            earned = {
                "certificate": certificate,
                "private_key": private_key,
                "exchanged_key": entered,
            }
            self._config.save_secrets({**held, **earned})
            return certificate, private_key

    def organisation(self) -> str:
        """The client id, which is its common name; empty if it has none."""
        names = self._parsed().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else ""

    def end(self) -> str:
        """The day until which it counts, as “3 May 2027”."""
        return f"{self._parsed().not_valid_after_utc:%-d %B %Y}"

    def _parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.pem()[0].encode())

    def _exchanged(self, api_key: str) -> tuple[str, str]:
        """The key names the organisation, under the server's signature; it signs our request."""
        client = _organisation(api_key, self._get("/v1/client/OBF.rsa.pub"))
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, client)]))
            .sign(private_key, hashes.SHA256())
        )
        body = {
            "signature": api_key,
            "request": request.public_bytes(serialization.Encoding.PEM).decode(),
        }
        url = f"{self._base_url}/v1/client/{client}/sign_request"
        reply = call(self._config.http, "POST", url, writes=False, json_body=body)
        if not reply.ok or "BEGIN CERTIFICATE" not in reply.text:
            raise Unauthorized(
                f"{host_of(url)} does not take this API key ({explain(reply) or reply.status}); "
                "it works for ten minutes. Make a new one, enter it and test at once."
            )
        pem = private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return reply.text, pem.decode()

    def _get(self, path: str) -> bytes:
        reply = call(self._config.http, "GET", f"{self._base_url}{path}", writes=False)
        if not reply.ok:
            raise lost(f"{host_of(reply.url)} answered with error {reply.status}.", writes=False)
        return reply.body


def explain(reply: Reply) -> str:
    """The server's words; nginx before it answers 495 and 496 by a web page."""
    if reply.status in NO_CERTIFICATE:
        return f"{NO_CERTIFICATE[reply.status]} (error {reply.status}); make a new API key"
    return said(reply, "message", "error")


def _shown(held: Mapping[str, str]) -> tuple[str, str] | None:
    """The certificate and key that stand for the API key as it was entered last."""
    if held.get("certificate") and held.get("exchanged_key") == held.get("api_key"):
        return held["certificate"], held["private_key"]
    return None


def _organisation(api_key: str, public_key: bytes) -> str:
    """The client id in an API key. Raises Unauthorized for what the server did not sign."""
    try:
        signer = serialization.load_pem_public_key(public_key)
        if not isinstance(signer, rsa.RSAPublicKey):
            raise TypeError("not an RSA key")
        blob = base64.b64decode("".join(api_key.split()), validate=True)
        signed = signer.recover_data_from_signature(blob, padding.PKCS1v15(), None)
        return segment(str(json.loads(signed)["id"]), "client_id")
    except (ValueError, KeyError, TypeError, InvalidSignature):
        raise Unauthorized(
            "This is not an API key of this server; copy the whole key from Admin tools → API key."
        ) from None
