"""JSON Web Keys: writing public keys, their thumbprints, and reading key sets that others publish.

PyJWT knows the formats (RFC 7517, RFC 8037); the thumbprint is RFC 7638.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from lti_badges.core.errors import HttpError
from lti_badges.core.http import Http

MAX_BYTES = 1_048_576


def rsa_jwk(key: rsa.RSAPublicKey, kid: str | None = None) -> dict[str, str]:
    """A public RSA key for RS256 signatures; its `kid` is its thumbprint unless one is given."""
    members = RSAAlgorithm.to_jwk(key, as_dict=True)
    required = {name: str(members[name]) for name in ("e", "kty", "n")}
    return {**required, "kid": kid or thumbprint(required), "alg": "RS256", "use": "sig"}


def ed25519_jwk(key: ed25519.Ed25519PublicKey, kid: str) -> dict[str, str]:
    """A public Ed25519 key (RFC 8037) under the name it has elsewhere."""
    members = OKPAlgorithm.to_jwk(key, as_dict=True)
    return {name: str(members[name]) for name in ("kty", "crv", "x")} | {"kid": kid}


def thumbprint(required: dict[str, str]) -> str:
    """base64url of SHA-256 over the required members of a key (RFC 7638 §3)."""
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


def read_key_set(http: Http, url: str) -> dict[str, jwt.PyJWK] | None:
    """The usable keys of a key set, by `kid`; None when no key set can be read there now."""
    try:
        reply = http.get(url, headers={"Accept": "application/json"}, max_bytes=MAX_BYTES)
        answer = reply.json() if reply.ok else None
    except HttpError:
        return None
    if not isinstance(answer, dict) or not isinstance(answer.get("keys"), list):
        return None
    return dict(found for key in answer["keys"] if (found := _usable(key)))


def _usable(key: Any) -> tuple[str, jwt.PyJWK] | None:
    """Public signing keys with a name; a set may hold others, and broken ones."""
    if not isinstance(key, dict) or not isinstance(key.get("kid"), str):
        return None
    if key.get("kty") not in {"RSA", "EC"} or key.get("use", "sig") != "sig":
        return None
    try:
        return key["kid"], jwt.PyJWK(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
