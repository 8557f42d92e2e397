"""JSON Web Keys against the example of RFC 7638."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from lti_badges.core.jwk import rsa_jwk, thumbprint

MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
    "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
    "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3"
    "XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)
MEMBERS = {"e": "AQAB", "kty": "RSA", "n": MODULUS}
PRINTED = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_thumbprint_is_that_of_the_rfc() -> None:
    assert thumbprint(MEMBERS) == PRINTED


def test_a_public_key_is_named_by_its_thumbprint_or_as_told() -> None:
    key = RSAAlgorithm.from_jwk(json.dumps(MEMBERS))
    assert isinstance(key, rsa.RSAPublicKey)
    assert rsa_jwk(key) == {**MEMBERS, "kid": PRINTED, "alg": "RS256", "use": "sig"}
    assert rsa_jwk(key, "mine")["kid"] == "mine"
