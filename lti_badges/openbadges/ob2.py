"""The Open Badges 2.0 hosted form, for backpacks that take nothing newer.

Source: Open Badges 2.0 final. A revoked assertion is served with 410 and the bare stub: older
validators call a full document valid even when it says `revoked`.
"""

from __future__ import annotations

from typing import Any

from lti_badges.openbadges.documents import (
    AchievementDocument,
    CredentialDraft,
    IssuerProfile,
    date_time,
    identity_hash,
)

CONTEXT = "https://w3id.org/openbadges/v2"


def build_assertion(draft: CredentialDraft, *, image: str) -> dict[str, Any]:
    """The hosted Assertion; its addresses are the 3.0 ones with `/ob2.json` behind."""
    # Validators hash what they are given as it is spelled, and user ids are case-sensitive.
    identity, kind = draft.email or draft.lti_user_id, "email" if draft.email else "id"
    assertion = {
        "@context": CONTEXT,
        "type": "Assertion",
        "id": hosted(draft.id),
        "recipient": {
            "type": kind,
            "hashed": True,
            "salt": draft.salt,
            "identity": identity_hash(identity, draft.salt),
        },
        "badge": hosted(draft.achievement.id),
        "verification": {"type": "HostedBadge"},
        "issuedOn": date_time(draft.awarded_at),
        "image": image,
        "narrative": draft.narrative,
        "evidence": [{"id": draft.id, "narrative": draft.narrative}],
    }
    if draft.valid_until is not None:
        assertion["expires"] = date_time(draft.valid_until)
    return assertion


def build_badge_class(achievement: AchievementDocument, issuer: IssuerProfile) -> dict[str, Any]:
    """The achievement as a BadgeClass of Open Badges 2.0."""
    return {
        "@context": CONTEXT,
        "type": "BadgeClass",
        "id": hosted(achievement.id),
        "name": achievement.name,
        "description": achievement.description,
        "image": achievement.image,
        "criteria": {"id": achievement.id, "narrative": achievement.criteria},
        "issuer": hosted(issuer.id),
    }


def build_issuer(issuer: IssuerProfile) -> dict[str, Any]:
    """The Issuer profile. 2.0 requires `url`; the profile's own page stands in if it has none."""
    profile: dict[str, Any] = {
        "@context": CONTEXT,
        "type": "Issuer",
        "id": hosted(issuer.id),
        "name": issuer.name,
        "url": issuer.url or issuer.id,
    }
    if issuer.email:
        profile["email"] = issuer.email
    if issuer.description:
        profile["description"] = issuer.description
    if issuer.image:
        profile["image"] = issuer.image
    return profile


def build_revoked(credential_id: str, reason: str) -> dict[str, Any]:
    """What is left of a revoked assertion."""
    return {
        "@context": CONTEXT,
        "type": "Assertion",
        "id": hosted(credential_id),
        "revoked": True,
        "revocationReason": reason,
    }


def hosted(address: str) -> str:
    """The 2.0 twin of a 3.0 document's address."""
    return f"{address}/ob2.json"
