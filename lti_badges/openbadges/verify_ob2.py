"""Verifying an Open Badges 2.0 assertion: a hosted one by its own address, a signed one by the
issuer's key.

Source: Open Badges 2.0 final, “Verification”. An issuer's profile vouches for hosted assertions at
its own origin, or where it says (`allowedOrigins`, `startsWith`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from lti_badges.core.links import origin_of, same_origin
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.verify import Resolve, Verification, checked

COMPARED = ("recipient", "badge", "issuedOn", "expires", "verification", "verify")
MAX_REVOKED = 100_000


@dataclass(frozen=True, slots=True)
class Parts:
    """An assertion with its badge class and issuer, as far as they were found."""

    assertion: Mapping[str, Any]
    badge: Mapping[str, Any]
    issuer: Mapping[str, Any]


def parts_of(assertion: dict[str, Any], resolve: Resolve) -> Parts:
    """What the assertion points at, fetched; empty where there is nothing."""
    badge = _fetched(assertion.get("badge"), resolve)
    return Parts(assertion, badge, _fetched(badge.get("issuer"), resolve))


def verify_assertion(
    parts: Parts, resolve: Resolve, now: datetime, token: str | None = None
) -> Verification:
    """Check a hosted assertion, or a signed one by its token."""
    proof = (lambda: _signed(parts, token, resolve)) if token else (lambda: _hosted(parts, resolve))
    status = (lambda: _not_listed(parts, resolve)) if token else (lambda: _stands(parts, resolve))
    return Verification(
        (
            checked("Signature" if token else "Hosting", proof),
            checked("Issuer", lambda: _issuer(parts, is_hosted=token is None)),
            checked("Status", status),
            checked("Dates", lambda: _dates(parts.assertion, now)),
        )
    )


def matches_recipient(assertion: Mapping[str, Any], email: str) -> bool:
    """Whether it was issued to this e-mail address, as it is spelled or in lower case."""
    recipient = assertion.get("recipient")
    if not isinstance(recipient, dict) or recipient.get("type") not in {"email", None}:
        return False
    identity, salt = str(recipient.get("identity", "")), str(recipient.get("salt", ""))
    for spelled in (email.strip(), email.strip().lower()):
        known = {spelled}
        for name in ("sha256", "md5"):  # OB 2.0 allows both; neither is a proof here
            digest = hashlib.new(
                name, (spelled + salt).encode(errors="replace"), usedforsecurity=False
            )
            known.add(f"{name}${digest.hexdigest()}")
        if (identity.lower() if "$" in identity else identity) in known:
            return True
    return False


def _hosted(parts: Parts, resolve: Resolve) -> str:
    """The issuer's own copy is what counts: it must be there and say the same."""
    address = str(parts.assertion["id"])
    held = resolve(address)
    if held is None:
        raise CredentialError("Nothing answers at the badge's own address.")
    if held["id"] != address:
        raise CredentialError("The badge's own address answers with another badge.")
    if held.get("revoked"):
        return "The issuer's server still knows this badge."
    for name in COMPARED:
        if held.get(name) != parts.assertion.get(name):
            raise CredentialError(f"The issuer's own copy says something else (“{name}”).")
    return "The issuer's own server shows the same badge."


def _signed(parts: Parts, token: str | None, resolve: Resolve) -> str:
    issuer, creator = parts.issuer, str(_verification(parts.assertion)["creator"])
    named = issuer.get("publicKey")
    keys = named if isinstance(named, list) else [named]
    if creator not in [each["id"] if isinstance(each, dict) else each for each in keys]:
        raise CredentialError("The issuer does not name this key as its own.")
    pem = str((resolve(creator) or {})["publicKeyPem"])
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise CredentialError("The issuer's key can't be read.")
    options = {"verify_nbf": False, "verify_exp": False, "verify_aud": False, "verify_iat": False}
    try:
        jwt.decode(token or "", key, algorithms=["RS256"], options=dict(options))  # type: ignore[arg-type]
    except jwt.PyJWTError:
        raise CredentialError("The signature does not fit the content.") from None
    return "The content is exactly what the issuer signed (JWS, RS256)."


def _issuer(parts: Parts, *, is_hosted: bool) -> str:
    """Of a signed one the key says whose it is; a hosted one must stand where its issuer vouches
    for it, whatever it calls itself."""
    if not parts.badge:
        raise CredentialError("What was earned can't be found: the badge class does not answer.")
    if not parts.issuer or not parts.issuer.get("id"):
        raise CredentialError("Nothing answers as the issuer of this badge.")
    issuer, address = parts.issuer, str(parts.assertion["id"])
    if is_hosted:
        policy = issuer.get("verification")
        policy = policy if isinstance(policy, dict) else {}
        origin = origin_of(address)
        allowed = _listed(policy.get("allowedOrigins"))
        begins = [each for each in _listed(policy.get("startsWith")) if each.count("/") > 2]
        vouched = (
            same_origin(address, str(issuer["id"]))
            or (origin is not None and origin[1] in allowed)
            or any(address.startswith(each) for each in begins)
        )
        if not vouched:
            raise CredentialError("The issuer's profile does not vouch for badges at this address.")
    return f"Issued by {issuer.get('name', issuer['id'])}, whose profile vouches for it."


def _stands(parts: Parts, resolve: Resolve) -> str:
    held = resolve(str(parts.assertion["id"]))
    if held is None:
        raise CredentialError("The issuer's server does not know this badge any more.")
    if held.get("revoked") or parts.assertion.get("revoked"):
        reason = str(held.get("revocationReason") or "").strip()[:300]
        said = f": {reason}" if reason else "."
        raise CredentialError(f"The issuer has revoked this badge{said}")
    return "Not revoked, by the issuer's own server."


def _not_listed(parts: Parts, resolve: Resolve) -> str:
    address = parts.issuer.get("revocationList")
    if not address:
        return "Its issuer keeps no list of revoked badges."
    listed = resolve(str(address))
    if listed is None:
        raise CredentialError("The issuer's list of revoked badges can't be read.")
    for each in listed.get("revokedAssertions", [])[:MAX_REVOKED]:
        named = {each.get("id"), each.get("uid")} if isinstance(each, dict) else {each}
        if {parts.assertion.get("id"), parts.assertion.get("uid")} & (named - {None}):
            raise CredentialError("The issuer has revoked this badge.")
    return "Not revoked, by the issuer's list of revoked badges."


def _dates(assertion: Mapping[str, Any], now: datetime) -> str:
    issued = datetime.fromisoformat(str(assertion["issuedOn"]))
    if issued > now:
        raise CredentialError(f"Not valid before {issued:%-d %B %Y}.")
    if not assertion.get("expires"):
        return "It does not expire."
    ends = datetime.fromisoformat(str(assertion["expires"]))
    if ends <= now:
        raise CredentialError(f"Expired on {ends:%-d %B %Y}.")
    return f"Valid until {ends:%-d %B %Y}."


def _verification(assertion: Mapping[str, Any]) -> Mapping[str, Any]:
    found = assertion.get("verification") or assertion.get("verify") or {}
    return found if isinstance(found, dict) else {}


def _fetched(named: Any, resolve: Resolve) -> Mapping[str, Any]:
    """A part that stands inside, or is fetched by its address. What stands inside proves nothing
    of an issuer, so that one is fetched all the same."""
    address = named.get("id") if isinstance(named, dict) else named
    if not isinstance(address, str):
        return {}
    try:
        return resolve(address) or {}
    except CredentialError:
        return {}


def _listed(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value]) if each]
