"""What a Badgr server answers: lists wrapped in `result`, refusals of any nesting, assertions.

Source: badgr-server (concentricsky, develop 2021-01) and its API description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lti_badges.backends.api import ref_of
from lti_badges.core import clock
from lti_badges.core.errors import LtiBadgesError, OutcomeUnknown, Unavailable
from lti_badges.core.http import Reply
from lti_badges.values.badge import AchievementRef, Receipt

DUPLICATE = ("previous award", "already exists", "duplicate award")


def explain(reply: Reply) -> str:
    """The server's words: field errors of any nesting, validation errors, then the description."""
    try:
        answer = reply.json()
    except LtiBadgesError:
        return ""
    if not isinstance(answer, dict):
        return ""
    said = [
        *_flat(answer.get("fieldErrors")),
        *_flat(answer.get("validationErrors")),
        *_flat(answer.get("nonFieldErrors")),
    ]
    status = answer.get("status")
    if isinstance(status, dict) and not said:
        said = _flat(status.get("description"))
    if reply.status == 404 and not said:
        said = ["not found, or the login has no right to it"]
    return "; ".join(said or _flat(answer.get("error_description") or answer.get("error")))[:500]


def _flat(errors: Any, name: str = "") -> list[str]:
    """Field errors come as text, list, dict, or lists of dicts."""
    if not errors:
        return []
    if isinstance(errors, dict):
        return [text for key, value in errors.items() for text in _flat(value, str(key))]
    if isinstance(errors, list):
        return [text for value in errors for text in _flat(value, name)]
    prefix = f"{name}: " if name and name != "non_field_errors" else ""
    return [f"{prefix}{errors}"]


def is_duplicate(reply: Reply) -> bool:
    """The server's own refusal of a second one: “A previous award of this badge already exists for
    this recipient.” Any other 400 is a real no."""
    return any(word in explain(reply).lower() for word in DUPLICATE)


def is_live(assertion: Mapping[str, Any]) -> bool:
    """Neither revoked nor expired: the server lets neither stand in the way of a new one."""
    ended = clock.told(assertion.get("expires"))
    return not assertion.get("revoked") and (ended is None or ended > clock.now())


def results(answer: Any) -> list[dict[str, Any]]:
    """The objects in `result`. Raises Unavailable where the answer is no such list."""
    found = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise Unavailable("The server answered with something that is not a Badgr list.")
    return [item for item in found if isinstance(item, dict)]


def first(answer: Any) -> dict[str, Any]:
    """The one object that a POST made. Raises OutcomeUnknown where none is named."""
    try:
        return results(answer)[0]
    except (IndexError, Unavailable):
        raise OutcomeUnknown("The server's answer names nothing that it made.") from None


def receipt(assertion: dict[str, Any]) -> Receipt:
    """An assertion as our receipt. Raises Unavailable for one without a usable id."""
    return Receipt(
        ref=ref_of(assertion, "entityId"),
        url=assertion.get("openBadgeId"),
        issued_at=clock.told(assertion.get("issuedOn") or assertion.get("createdAt"))
        or clock.now(),
        revoked=bool(assertion.get("revoked")),
    )


def achievement(badge: dict[str, Any]) -> AchievementRef:
    """A badge class. Raises Unavailable for one without an id."""
    return AchievementRef(
        id="",
        ref=ref_of(badge, "entityId"),
        name=str(badge.get("name") or ""),
        description=str(badge.get("description") or ""),
        criteria=str(badge.get("criteriaNarrative") or badge.get("criteriaUrl") or ""),
        url=badge.get("openBadgeId"),
    )


def evidence_urls(assertion: dict[str, Any]) -> set[str]:
    """The addresses given as evidence: ours tells whose award it is."""
    evidence = assertion.get("evidence")
    if not isinstance(evidence, list):
        return set()
    return {str(item.get("url") or item.get("id")) for item in evidence if isinstance(item, dict)}
