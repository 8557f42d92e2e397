"""The Multikey form of Ed25519 keys, for Data Integrity proofs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import base58
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lti_badges.core import clock
from lti_badges.openbadges.errors import CredentialError

ED25519_HEADER = b"\xed\x01"
MAX_TEXT = 200
"""Characters of a key; 34 bytes in base58 are 47, and decoding takes the square of the length."""


def multibase(key: ed25519.Ed25519PublicKey) -> str:
    """`z6Mk…`: base58btc of the multicodec header and the raw key (W3C CID 1.0 §2.2.2)."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return "z" + base58.b58encode(ED25519_HEADER + raw).decode()


def from_multibase(text: str) -> ed25519.Ed25519PublicKey:
    """The key `multibase` wrote. Raises CredentialError."""
    if len(text) > MAX_TEXT:
        raise CredentialError("The issuer's key is not an Ed25519 Multikey.")
    try:
        raw = base58.b58decode(text.removeprefix("z"))
        if not text.startswith("z") or not raw.startswith(ED25519_HEADER):
            raise CredentialError("The issuer's key is not an Ed25519 Multikey.")
        return ed25519.Ed25519PublicKey.from_public_bytes(raw.removeprefix(ED25519_HEADER))
    except ValueError as error:
        raise CredentialError("The issuer's key can't be read.") from error


def multikey_document(
    issuer_id: str, public: str, expires: datetime | None = None
) -> dict[str, Any]:
    """A Multikey verification method of the issuer, from what `multibase` wrote; with `expires` it
    was retired then (W3C CID 1.0 §2.2)."""
    method = {
        "id": f"{issuer_id}#{public}",
        "type": "Multikey",
        "controller": issuer_id,
        "publicKeyMultibase": public,
    }
    return method if expires is None else {**method, "expires": clock.iso(expires)}
