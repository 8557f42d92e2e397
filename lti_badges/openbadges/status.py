"""Revocation by W3C Bitstring Status List 1.0."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lti_badges.openbadges.canonical import VC_CONTEXT
from lti_badges.openbadges.documents import date_time
from lti_badges.openbadges.errors import CredentialError

LENGTH = 131_072
"""Entries of a list: the least that hides one holder among many (§6.1)."""

MAX_BYTES = 8 * LENGTH


def encode(revoked: Iterable[int], length: int = LENGTH) -> str:
    """`u` + base64url of the gzipped bits; index 0 is the leftmost bit."""
    bits = bytearray(length // 8)
    for index in revoked:
        bits[index // 8] |= 0x80 >> (index % 8)
    packed = gzip.compress(bytes(bits), mtime=0)
    return "u" + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(encoded: str) -> bytes:
    """The bits. Raises CredentialError; a list that unpacks to more than a sane size is refused."""
    if not encoded.startswith("u"):
        raise CredentialError("The status list is not encoded as expected.")
    try:
        packed = base64.urlsafe_b64decode(encoded[1:] + "=" * (-len(encoded[1:]) % 4))
        unpacker = zlib.decompressobj(wbits=31)
        bits = unpacker.decompress(packed, MAX_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise CredentialError("The status list can't be read.") from error
    if unpacker.unconsumed_tail:
        raise CredentialError("The status list is too long.")
    return bits


def is_set(encoded: str, index: int) -> bool:
    """Whether the bit at `index` is set. Raises CredentialError when the list is too short."""
    bits = decode(encoded)
    if not 0 <= index < len(bits) * 8:
        raise CredentialError("The credential's place is not in the status list.")
    return bool(bits[index // 8] & (0x80 >> (index % 8)))


def build_status_list(
    url: str, issuer_id: str, revoked: Iterable[int], valid_from: datetime, valid_until: datetime
) -> dict[str, Any]:
    """The BitstringStatusListCredential without proof."""
    return {
        "@context": [VC_CONTEXT],
        "id": url,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer_id,
        "validFrom": date_time(valid_from),
        "validUntil": date_time(valid_until),
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": encode(revoked),
        },
    }
