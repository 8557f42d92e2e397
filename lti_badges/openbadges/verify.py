"""Verifying a credential in front of a visitor: from its bytes, one check at a time, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from lti_badges.openbadges.documents import identity_hash
from lti_badges.openbadges.errors import CredentialError, NotChecked
from lti_badges.openbadges.keys import from_multibase
from lti_badges.openbadges.proofs import HashData, the_proof, verify_data_integrity
from lti_badges.openbadges.status import is_set

JWT_ALGORITHMS = ("RS256", "ES256", "EdDSA")
STATUS_LISTS = ("BitstringStatusListEntry", "StatusList2021Entry")

Resolve = Callable[[str], dict[str, Any] | None]
"""Fetches a document by its address: issuer profile, JWK or status list. None if there is none."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether it passed, and what it found, as a sentence."""

    name: str
    passed: bool
    sentence: str
    is_open: bool = False
    """Neither passed nor failed: it could not be found out."""


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks. A credential is good only when every one passed."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> bool:
        """Whether some check speaks against it; else it passed or could not be checked whole."""
        return any(not check.passed and not check.is_open for check in self.checks)


def verify_document(
    document: dict[str, Any], resolve: Resolve, now: datetime, hashed: HashData | None = None
) -> Verification:
    """Check a credential with an embedded Data Integrity proof; for `hashed` see `proofs`."""
    return Verification(
        (
            checked("Signature", lambda: _embedded_signature(document, resolve, hashed)),
            *_common(document, resolve, now, hashed),
        )
    )


def verify_jwt(
    token: str, resolve: Resolve, now: datetime, hashed: HashData | None = None
) -> Verification:
    """Check a credential that came as a VC-JWT; `resolve` fetches the documents it names, `hashed`
    is for the status list."""
    document = claims_of(token)
    return Verification(
        (
            checked("Signature", lambda: _jwt_signature(token, document, resolve)),
            *_common(document, resolve, now, hashed),
        )
    )


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unproved; empty for what is no token."""
    try:
        return dict(jwt.decode(token, options={"verify_signature": False}))
    except (jwt.InvalidTokenError, RecursionError):
        return {}


def matches_recipient(document: dict[str, Any], email: str) -> bool:
    """Whether the credential was issued to this e-mail address (any letter case)."""
    identifiers = document.get("credentialSubject", {}).get("identifier", [])
    return any(
        identity.get("identityType") == "emailAddress"
        and identity.get("identityHash")
        == identity_hash(email.strip().lower(), str(identity.get("salt", "")))
        for identity in identifiers
        if isinstance(identity, dict)
    )


def _common(
    document: dict[str, Any], resolve: Resolve, now: datetime, hashed: HashData | None
) -> tuple[Check, ...]:
    return (
        checked("Issuer", lambda: _issuer(document, resolve)),
        checked("Status", lambda: _status(document, resolve, hashed)),
        checked("Dates", lambda: _dates(document, now)),
    )


def checked(name: str, find: Callable[[], str]) -> Check:
    """A check by a function that returns what it found, or raises CredentialError."""
    try:
        return Check(name, True, find())
    except NotChecked as error:
        return Check(name, False, str(error), is_open=True)
    except CredentialError as error:
        return Check(name, False, str(error))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        return Check(name, False, "This part of the credential is missing or can't be read.")


def _embedded_signature(document: dict[str, Any], resolve: Resolve, hashed: HashData | None) -> str:
    proof = the_proof(document)
    method = _method(document, str(proof["verificationMethod"]), resolve)
    key = from_multibase(str(method["publicKeyMultibase"]))
    _refuse_retired(method, proof)
    verify_data_integrity(document, key, hashed)
    return "The content is exactly what the issuer signed (eddsa-rdfc-2022)."


def _refuse_retired(method: dict[str, Any], proof: dict[str, Any]) -> None:
    """What a key signed before it was retired stays good (W3C CID 1.0 §2.2 `expires`)."""
    expires = method.get("expires")
    if expires is None:
        return
    if datetime.fromisoformat(proof["created"]) > datetime.fromisoformat(expires):
        raise CredentialError("The signature was made after its key had been retired.")


def _method(document: dict[str, Any], method_id: str, resolve: Resolve) -> dict[str, Any]:
    """The issuer's own document must list the key for making assertions: a key that only the
    credential itself names proves nothing."""
    profile = resolve(_issuer_id(document)) or {}
    methods = profile.get("verificationMethod", [])
    if method_id not in profile.get("assertionMethod", []):
        raise CredentialError("The issuer does not name this key as its own.")
    found = next((method for method in methods if method.get("id") == method_id), None)
    if found is None:
        raise CredentialError("The issuer's key can't be found.")
    return dict(found)


def _jwt_signature(token: str, document: dict[str, Any], resolve: Resolve) -> str:
    try:
        kid = str(jwt.get_unverified_header(token).get("kid", ""))
    except jwt.InvalidTokenError:
        raise CredentialError("This is not a VC-JWT.") from None
    key = _jwt_key(document, kid, resolve)
    algorithm = str(jwt.get_unverified_header(token).get("alg"))
    if algorithm not in JWT_ALGORITHMS and algorithm[:2] in {"RS", "PS", "ES"}:
        raise NotChecked(f"The signature is of a kind that is not known here ({algorithm[:20]}).")
    try:
        jwt.decode(
            token,
            jwt.PyJWK(key, algorithm) if algorithm in JWT_ALGORITHMS else "",
            algorithms=[algorithm] if algorithm in JWT_ALGORITHMS else [],
            options={
                "verify_nbf": False,
                "verify_exp": False,
                "verify_aud": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError:
        raise CredentialError("The signature does not fit the content.") from None
    return f"The content is exactly what the issuer signed (VC-JWT, {algorithm})."


def _jwt_key(document: dict[str, Any], kid: str, resolve: Resolve) -> dict[str, Any]:
    """The JWK below the issuer's own address, or one that the issuer's own document names."""
    issuer_id = _issuer_id(document)
    if kid.startswith(f"{issuer_id}/keys/"):
        key = resolve(kid)
    elif kid.startswith(f"{issuer_id}#"):
        key = _method(document, kid, resolve).get("publicKeyJwk")
    else:
        raise CredentialError("The key is not one of the issuer's.")
    if key is None:
        raise CredentialError("The issuer's key can't be found.")
    return dict(key)


def _issuer(document: dict[str, Any], resolve: Resolve) -> str:
    issuer_id = _issuer_id(document)
    profile = resolve(issuer_id)
    if profile is None or profile.get("id") != issuer_id:
        raise CredentialError(f"Nothing answers as the issuer {issuer_id}.")
    if issuer_id.startswith("did:key:"):
        return f"Signed by the key {issuer_id} itself: nobody vouches for the name."
    return f"Issued by {profile.get('name', issuer_id)}, whose profile names the signing key."


def _status(document: dict[str, Any], resolve: Resolve, hashed: HashData | None) -> str:
    if "credentialSubject" in document and "credentialStatus" not in document:
        return "Its issuer keeps no list of revoked credentials for it."
    entry = document["credentialStatus"]
    if entry["type"] == "1EdTechRevocationList":
        return _revocation_list(document, str(entry["id"]), resolve)
    if entry["type"] not in STATUS_LISTS:
        raise NotChecked(f"Its status is kept in a way not known here ({entry['type']!s:.60}).")
    status_list = resolve(str(entry["statusListCredential"]))
    if status_list is None:
        raise CredentialError("The issuer's status list can't be read.")
    owner = status_list["issuer"]
    if (owner if isinstance(owner, str) else owner["id"]) != _issuer_id(document):
        raise CredentialError("The status list is not the issuer's.")
    _embedded_signature(status_list, resolve, hashed)
    if is_set(str(status_list["credentialSubject"]["encodedList"]), int(entry["statusListIndex"])):
        raise CredentialError("The issuer has revoked this credential.")
    return "Not revoked, by the issuer's signed status list."


def _revocation_list(document: dict[str, Any], url: str, resolve: Resolve) -> str:
    """OB 3.0 §B.8, 1EdTech Revocation List: all that were revoked, by their ids."""
    listed = resolve(url)
    if listed is None:
        raise CredentialError("The issuer's status list can't be read.")
    if listed["issuer"] != _issuer_id(document):
        raise CredentialError("The status list is not the issuer's.")
    for each in listed["revokedCredential"]:
        if each["id"] == document["id"] and each.get("revoked", True):
            raise CredentialError("The issuer has revoked this credential.")
    return "Not revoked, by the issuer's list of revoked credentials."


def _dates(document: dict[str, Any], now: datetime) -> str:
    valid_from = datetime.fromisoformat(document["validFrom"])
    if valid_from > now:
        raise CredentialError(f"Not valid before {valid_from:%-d %B %Y}.")
    until = document.get("validUntil")
    if until is None:
        return "It does not expire."
    ends = datetime.fromisoformat(until)
    if ends <= now:
        raise CredentialError(f"Expired on {ends:%-d %B %Y}.")
    return f"Valid until {ends:%-d %B %Y}."


def _issuer_id(document: dict[str, Any]) -> str:
    issuer = document["issuer"]
    return str(issuer["id"] if isinstance(issuer, dict) else issuer)


def parse(presented: str) -> dict[str, Any]:
    """A JSON credential from text. Raises CredentialError."""
    try:
        document = json.loads(presented)
    except (ValueError, RecursionError):
        raise CredentialError("This is not a credential in JSON.") from None
    if not isinstance(document, dict):
        raise CredentialError("This is not a credential in JSON.")
    return document
