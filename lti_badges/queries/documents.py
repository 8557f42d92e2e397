"""The issuer's public documents, found by their own addresses: what verifiers fetch, and what the
page for people checks a credential against."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select

from lti_badges.backends import KINDS
from lti_badges.backends.signer import Signer
from lti_badges.catalogue.issuance import achievement_of, backend_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.openbadges import ob2
from lti_badges.openbadges.canonical import OB_CONTEXT, VC_CONTEXT
from lti_badges.openbadges.documents import build_achievement
from lti_badges.store import Achievement, BackendRow, IssuedCredential

STATUS_LIFE = timedelta(hours=24)


def issuer_of(tool: ToolContext, backend_id: str) -> Signer | None:
    """Who signs, or once signed, a backend's credentials here; None where only the backend does."""
    with tool.sessions() as session:
        row = session.get(BackendRow, backend_id)
        signed = session.scalar(
            select(IssuedCredential.award_id)
            .where(IssuedCredential.backend_id == backend_id)
            .limit(1)
        )
    return None if row is None else signer_of(tool, row, signed=signed is not None)


def signer_of(tool: ToolContext, row: BackendRow, *, signed: bool) -> Signer | None:
    """The same for a backend's row; `signed` says whether credentials of it were signed here."""
    if not (signed or KINDS[row.kind].traits.signs_here):
        return None
    return Signer(backend_of(tool, row).config)


def issuer_of_achievement(tool: ToolContext, achievement_id: str) -> Signer | None:
    """Who signs a badge's credentials here; who once did, after it moved elsewhere: they go on
    pointing here."""
    with tool.sessions() as session:
        row = session.get(Achievement, achievement_id)
        once = session.scalar(
            select(IssuedCredential.backend_id)
            .where(IssuedCredential.achievement_id == achievement_id)
            .limit(1)
        )
    return (issuer_of(tool, row.backend_id) if row else None) or issuer_of(tool, once or "")


def profile(tool: ToolContext, backend_id: str) -> dict[str, Any] | None:
    """The issuer's Profile with its verification method."""
    issuer = issuer_of(tool, backend_id)
    return None if issuer is None else issuer.profile_document()


def jwk(tool: ToolContext, backend_id: str, kid: str) -> dict[str, Any] | None:
    """The key that `kid` of a VC-JWT names."""
    issuer = issuer_of(tool, backend_id)
    return issuer.jwk(kid) if issuer else None


def achievement(tool: ToolContext, achievement_id: str) -> dict[str, Any] | None:
    """The Achievement as a document of its own."""
    with tool.sessions() as session:
        row = session.get(Achievement, achievement_id)
    issuer = issuer_of_achievement(tool, achievement_id)
    if row is None or issuer is None:
        return None
    document = build_achievement(issuer.achievement_document(achievement_of(tool, row)))
    return {
        "@context": [VC_CONTEXT, OB_CONTEXT],
        **document,
        "creator": {"id": issuer.profile.id, "type": ["Profile"], "name": issuer.profile.name},
    }


def credential(tool: ToolContext, award_id: str) -> dict[str, Any] | None:
    """A credential as it was signed."""
    with tool.sessions() as session:
        row = session.get(IssuedCredential, award_id)
    return row.document or None if row else None  # empty: its learner was erased


def assertion(tool: ToolContext, award_id: str) -> dict[str, Any] | None:
    """The hosted Open Badges 2.0 assertion, or what is left of a revoked one."""
    with tool.sessions() as session:
        row = session.get(IssuedCredential, award_id)
    if row is None or not row.document:
        return None
    if row.revoked_at is not None:
        url = tool.settings.url(f"/credentials/{award_id}")
        return ob2.build_revoked(url, "Revoked by the issuer.")
    return row.ob2


def badge_class(tool: ToolContext, achievement_id: str) -> dict[str, Any] | None:
    """The Open Badges 2.0 BadgeClass."""
    with tool.sessions() as session:
        row = session.get(Achievement, achievement_id)
    issuer = issuer_of_achievement(tool, achievement_id)
    if row is None or issuer is None:
        return None
    document = issuer.achievement_document(achievement_of(tool, row))
    return ob2.build_badge_class(document, issuer.profile)


def ob2_profile(tool: ToolContext, backend_id: str) -> dict[str, Any] | None:
    """The Open Badges 2.0 Issuer."""
    issuer = issuer_of(tool, backend_id)
    return None if issuer is None else ob2.build_issuer(issuer.profile)


def status_list(tool: ToolContext, list_id: str) -> dict[str, Any] | None:
    """A signed status list as of now; signed again only when something was revoked, or hourly."""
    with tool.sessions() as session:
        backend_id = session.scalar(
            select(IssuedCredential.backend_id)
            .where(IssuedCredential.status_list == list_id)
            .limit(1)
        )
        revoked = session.scalar(
            select(func.count()).where(
                IssuedCredential.status_list == list_id, IssuedCredential.revoked_at.is_not(None)
            )
        )
    issuer = issuer_of(tool, backend_id or "")
    if issuer is None:
        return None
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    return _signed(_Key(issuer, list_id), revoked or 0, hour)


def resolve(tool: ToolContext, url: str) -> dict[str, Any] | None:
    """Our own document at an address, without asking ourselves over HTTP; None for any other."""
    base = tool.settings.base_url
    if not url.startswith(f"{base}/"):
        return None
    parts = url.removeprefix(f"{base}/").split("/")
    if len(parts) == 2 and parts[0] == "issuers":
        return profile(tool, parts[1])
    if len(parts) == 4 and parts[0] == "issuers" and parts[2] == "keys":
        return jwk(tool, parts[1], parts[3])
    if len(parts) == 2 and parts[0] == "status":
        return status_list(tool, parts[1])
    if len(parts) == 2 and parts[0] == "credentials":
        return credential(tool, parts[1].removesuffix(".json"))
    if len(parts) == 3 and parts[2] == "ob2.json":
        made = {"credentials": assertion, "achievements": badge_class, "issuers": ob2_profile}
        return made[parts[0]](tool, parts[1]) if parts[0] in made else None
    return None


class _Key:
    """An issuer and a list, equal by what they sign."""

    def __init__(self, issuer: Signer, list_id: str) -> None:
        self.issuer = issuer
        self.list_id = list_id
        self._same = (issuer.verification_method, list_id)

    def __hash__(self) -> int:
        return hash(self._same)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._same == other._same


@lru_cache(maxsize=64)
def _signed(key: _Key, _revoked: int, hour: datetime) -> dict[str, Any]:
    return dict(key.issuer.status_list(key.list_id, hour + STATUS_LIFE))
