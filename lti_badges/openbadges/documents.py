"""Open Badges 3.0 documents as JSON-LD: credential, achievement, issuer profile.

Source: Open Badges 3.0 final, on the Verifiable Credentials Data Model 2.0. All keys come from a
fixed set, so that nothing a person typed can become a term.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from math import ceil, floor
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from lti_badges.openbadges.canonical import OB_CONTEXT, VC_CONTEXT
from lti_badges.values.score import Points, plain

CONTEXTS = [VC_CONTEXT, OB_CONTEXT]
PERCENT = 100
SECURITY_TERMS = {
    "verificationMethod": {
        "@id": "https://w3id.org/security#verificationMethod",
        "@type": "@id",
    },
    "assertionMethod": {
        "@id": "https://w3id.org/security#assertionMethod",
        "@type": "@id",
        "@container": "@set",
    },
}


@dataclass(frozen=True, slots=True)
class IssuerProfile:
    """Who issues (OB 3.0 Profile). `id` is its public address, `address` one for letters."""

    id: str
    name: str
    url: str | None = None
    email: str | None = None
    description: str | None = None
    image: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class AchievementDocument:
    """What is earned. `criteria` is Markdown."""

    id: str
    name: str
    description: str
    criteria: str
    image: str | None = None


@dataclass(frozen=True, slots=True)
class ResultValue:
    """One criterion's value and threshold, as text: “46 of 50 = 92 %”, needed “80 %”; as numbers
    where there are `points`."""

    name: str
    value: str
    required: str | None = None
    points: Points | None = None


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """Where the credential's revocation bit stands."""

    list_url: str
    index: int


@dataclass(frozen=True, slots=True)
class CredentialDraft:
    """All that goes into one credential. `salt` hides the hashed identifiers from casual reading
    and keeps two credentials of one learner apart; `roster_id`, a OneRoster sourcedId, stands in
    clear."""

    id: str
    issuer: IssuerProfile
    achievement: AchievementDocument
    lti_user_id: str
    email: str | None
    awarded_at: datetime
    valid_from: datetime
    valid_until: datetime | None
    narrative: str
    results: tuple[ResultValue, ...]
    status: StatusEntry
    salt: str
    roster_id: str | None = None
    shown_name: str | None = None


def new_salt() -> str:
    """A fresh salt for one credential."""
    return secrets.token_urlsafe(12)


def identity_hash(identifier: str, salt: str) -> str:
    """`sha256$…` over identifier and salt (OB 3.0 §B.5); e-mails are to be lower-cased first."""
    return "sha256$" + hashlib.sha256((identifier + salt).encode()).hexdigest()


def date_time(moment: datetime) -> str:
    """DateTimeZ, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build_credential(draft: CredentialDraft) -> dict[str, Any]:
    """The OpenBadgeCredential without proof."""
    credential: dict[str, Any] = {
        "@context": CONTEXTS,
        "id": draft.id,
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": draft.achievement.name,
        "issuer": profile_fields(draft.issuer),
        "validFrom": date_time(draft.valid_from),
        "awardedDate": date_time(draft.awarded_at),
        "credentialSubject": _subject(draft),
        "credentialStatus": {
            "id": f"{draft.status.list_url}#{draft.status.index}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(draft.status.index),
            "statusListCredential": draft.status.list_url,
        },
    }
    if draft.valid_until is not None:
        credential["validUntil"] = date_time(draft.valid_until)
    return credential


def build_achievement(
    achievement: AchievementDocument, results: tuple[ResultValue, ...] = ()
) -> dict[str, Any]:
    """The Achievement; its result descriptions say what was asked for."""
    document: dict[str, Any] = {
        "id": achievement.id,
        "type": ["Achievement"],
        "achievementType": "Badge",
        "name": achievement.name,
        "description": achievement.description,
        "criteria": {"narrative": achievement.criteria},
    }
    if achievement.image:
        document["image"] = {"id": achievement.image, "type": "Image"}
    descriptions = [
        _result_description(achievement.id, number, result)
        for number, result in enumerate(results, 1)
    ]
    if descriptions:
        document["resultDescription"] = descriptions
    return document


def build_profile(issuer: IssuerProfile, *verification_methods: dict[str, Any]) -> dict[str, Any]:
    """The issuer's own document: profile and controller of its keys, at its id. Retired keys stay
    among those that made assertions: what they signed verifies for ever."""
    return {
        "@context": [*CONTEXTS, "https://w3id.org/security/multikey/v1", SECURITY_TERMS],
        **profile_fields(issuer),
        "verificationMethod": list(verification_methods),
        "assertionMethod": [method["id"] for method in verification_methods],
    }


def profile_fields(issuer: IssuerProfile) -> dict[str, Any]:
    """The Profile as it stands inside other documents."""
    optional = {
        "url": issuer.url,
        "email": issuer.email,
        "description": issuer.description,
    }
    profile: dict[str, Any] = {"id": issuer.id, "type": ["Profile"], "name": issuer.name}
    profile |= {name: value for name, value in optional.items() if value}
    if issuer.image:
        profile["image"] = {"id": issuer.image, "type": "Image"}
    if issuer.address:
        profile["address"] = {"type": ["Address"], "streetAddress": issuer.address}
    return profile


def _subject(draft: CredentialDraft) -> dict[str, Any]:
    """The learner by salted hashes. The id is made up: a VC-JWT requires a `sub` (OB 3.0 §8.2)."""
    identifiers = []
    if draft.email:
        identifiers.append(_identity("emailAddress", draft.email.lower(), draft.salt))
    identifiers.append(_identity("ltiUserId", draft.lti_user_id, draft.salt))
    if draft.roster_id:
        identifiers.append(_in_clear("oneRosterSourcedId", draft.roster_id))
    if draft.shown_name:
        identifiers.append(_in_clear("name", draft.shown_name))
    subject: dict[str, Any] = {
        "id": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{draft.id}#subject')}",
        "type": ["AchievementSubject"],
        "identifier": identifiers,
        "narrative": draft.narrative,
        "achievement": build_achievement(draft.achievement, draft.results),
    }
    if draft.results:
        subject["result"] = [
            {
                "type": ["Result"],
                "resultDescription": _result_id(draft.achievement.id, number),
                "value": _number(result.points.score) if result.points else result.value,
            }
            for number, result in enumerate(draft.results, 1)
        ]
    return subject


def _identity(kind: str, identifier: str, salt: str) -> dict[str, Any]:
    return {
        "type": "IdentityObject",
        "hashed": True,
        "identityHash": identity_hash(identifier, salt),
        "identityType": kind,
        "salt": salt,
    }


def _in_clear(kind: str, identifier: str) -> dict[str, Any]:
    return {
        "type": "IdentityObject",
        "hashed": False,
        "identityHash": identifier,
        "identityType": kind,
    }


def _number(number: Fraction, *, up: bool = False) -> str:
    """A decimal of at most four places. What was needed is rounded up, a score down: neither must
    look better than it is."""
    scaled = number * 10_000
    return plain(Fraction(ceil(scaled) if up else floor(scaled), 10_000))


def _result_id(achievement_id: str, number: int) -> str:
    return f"{achievement_id}#result-{number}"


def _result_description(achievement_id: str, number: int, result: ResultValue) -> dict[str, Any]:
    description: dict[str, Any] = {
        "id": _result_id(achievement_id, number),
        "type": ["ResultDescription"],
        "name": result.name,
        "resultType": "Result",
    }
    if result.points:
        # Points out of 100 and a percentage are the same number.
        is_percent = result.points.maximum == PERCENT
        return description | {
            "resultType": "Percent" if is_percent else "RawScore",
            "valueMin": "0",
            "valueMax": _number(result.points.maximum),
            "requiredValue": _number(result.points.needed, up=True),
        }
    if result.required:
        description["requiredValue"] = result.required
    return description
