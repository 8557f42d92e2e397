"""Both proofs of Open Badges 3.0: VC-JWT (RS256) and Data Integrity (eddsa-rdfc-2022)."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import base58
import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from lti_badges.openbadges.canonical import canonical_options, canonical_whole
from lti_badges.openbadges.documents import date_time
from lti_badges.openbadges.errors import CredentialError, NotChecked

HashData = Callable[[dict[str, Any], dict[str, Any]], bytes]

CRYPTOSUITE = "eddsa-rdfc-2022"
MAX_PROOF = 200
"""Characters of a proof's value; 64 bytes in base58 are 88."""


def sign_jwt(credential: dict[str, Any], key: rsa.RSAPrivateKey, kid_url: str) -> str:
    """A compact JWS whose payload is the credential with `iss`, `jti`, `sub`, `nbf` and `exp`
    beside its members (OB 3.0 §8.2.4, VC Data Model 2.0). `kid_url` answers with the JWK."""
    claims = {name: value for name, value in credential.items() if name != "proof"}
    claims |= {
        "iss": _issuer_id(credential),
        "jti": credential["id"],
        "sub": credential["credentialSubject"]["id"],
        "nbf": _numeric(credential["validFrom"]),
    }
    if "validUntil" in credential:
        claims["exp"] = _numeric(credential["validUntil"])
    return jwt.encode(claims, key, "RS256", headers={"kid": kid_url})


def sign_data_integrity(
    document: dict[str, Any],
    key: ed25519.Ed25519PrivateKey,
    verification_method: str,
    created: datetime,
) -> dict[str, Any]:
    """The document with its proof (W3C vc-di-eddsa §3.2). Raises CredentialError for a document of
    which expansion would drop anything."""
    unsigned = {name: value for name, value in document.items() if name != "proof"}
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": CRYPTOSUITE,
        "created": date_time(created),
        "verificationMethod": verification_method,
        "proofPurpose": "assertionMethod",
    }
    signature = key.sign(hash_data(unsigned, options))
    proof = {**options, "proofValue": "z" + base58.b58encode(signature).decode()}
    return {**copy.deepcopy(unsigned), "proof": [proof]}


def verify_data_integrity(
    document: dict[str, Any], key: ed25519.Ed25519PublicKey, hashed: HashData | None = None
) -> None:
    """Raises CredentialError unless the document's one proof fits it and the key; `hashed` stands
    in for `hash_data` where the document is a stranger's."""
    proof = the_proof(document)
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    value = str(proof.get("proofValue", ""))
    if proof.get("cryptosuite") != CRYPTOSUITE:
        kind = str(proof.get("cryptosuite") or proof.get("type"))[:60]
        raise NotChecked(f"The proof is of a kind that is not known here ({kind}).")
    if not value.startswith("z") or len(value) > MAX_PROOF:
        raise CredentialError("The proof can't be read.")
    unsigned = {name: part for name, part in document.items() if name != "proof"}
    try:
        signature, content = base58.b58decode(value[1:]), (hashed or hash_data)(unsigned, options)
        key.verify(signature, content)
    except CredentialError:
        raise
    except (InvalidSignature, ValueError):
        raise CredentialError("The signature does not fit the content.") from None


def the_proof(document: dict[str, Any]) -> dict[str, Any]:
    """The single Data Integrity proof. Raises CredentialError."""
    proof = document.get("proof")
    if isinstance(proof, list) and len(proof) == 1:
        proof = proof[0]
    if not isinstance(proof, dict):
        raise CredentialError("The document carries no proof.")
    return proof


def hash_data(unsigned: dict[str, Any], options: dict[str, Any]) -> bytes:
    """Hash of the canonical options, then of the canonical document: 64 bytes. Raises
    CredentialError for a document of which expansion would drop anything."""
    with_context = {"@context": unsigned["@context"], **options}
    canonical_proof = canonical_options(json.dumps(with_context, sort_keys=True))
    content = hashlib.sha256(canonical_whole(unsigned)).digest()
    return hashlib.sha256(canonical_proof).digest() + content


def _issuer_id(credential: dict[str, Any]) -> str:
    issuer = credential["issuer"]
    return str(issuer["id"] if isinstance(issuer, dict) else issuer)


def _numeric(date: str) -> int:
    return int(datetime.fromisoformat(date).timestamp())
