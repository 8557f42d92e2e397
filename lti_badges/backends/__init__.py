"""One file per badge backend behind one small interface; this is the registry."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from lti_badges.backends.accredible import Accredible
from lti_badges.backends.badgr import Badgr
from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.backends.builtin import Builtin
from lti_badges.backends.canvas_credentials import CanvasCredentials
from lti_badges.backends.credly import Credly
from lti_badges.backends.ob3_host import OB3Host
from lti_badges.backends.obf import OBF
from lti_badges.backends.obf_v1 import OBFv1
from lti_badges.backends.oeb import OEB
from lti_badges.backends.pace import Pace, PacedHttp
from lti_badges.backends.timeback import Timeback
from lti_badges.backends.webhook import Webhook
from lti_badges.core.crypto import Cipher
from lti_badges.core.errors import InvalidInput
from lti_badges.core.http import Http
from lti_badges.store import (
    BackendRow,
    Institution,
    Sessions,
    Share,
    ensure_institution,
    one_at_a_time,
)
from lti_badges.store.institutions import issuer_profile
from lti_badges.store.signing_keys import SigningKeys

KINDS: dict[str, type[Backend]] = {
    backend.kind: backend
    for backend in (
        Builtin,
        Badgr,
        CanvasCredentials,
        OEB,
        OBF,
        OBFv1,
        Timeback,
        Credly,
        Accredible,
        OB3Host,
        Webhook,
    )
}


def kind_of(kind: str) -> type[Backend]:
    """The class of a kind. Raises InvalidInput naming the known ones."""
    try:
        return KINDS[kind]
    except KeyError:
        raise InvalidInput(f"“{kind}” is not a kind of backend: {', '.join(KINDS)}.") from None


def open_backend(
    row: BackendRow,
    *,
    base_url: str,
    http: Http,
    sessions: Sessions,
    keys: SigningKeys,
    cipher: Cipher,
) -> Backend:
    """A configured backend, ready for calls. Raises SettingsError when its secrets can't be opened,
    Refused when its settings can't be used."""

    def load_secrets() -> Mapping[str, str]:
        with sessions() as session:
            sealed = session.get_one(BackendRow, row.id).secrets
        return cipher.unseal(sealed)

    def save_secrets(values: Mapping[str, str]) -> None:
        with sessions.begin() as session:
            session.get_one(BackendRow, row.id).secrets = cipher.seal(dict(values))

    kind = kind_of(row.kind)
    with sessions() as session:
        profile = issuer_profile(session, row.institution_id)
    config = BackendConfig(
        id=row.id,
        name=row.name,
        base_url=base_url,
        http=http if kind.traits.is_local else PacedHttp(http, Pace(sessions, row.id, row.rate)),
        sessions=sessions,
        keys=keys,
        settings=row.settings,
        institution_id=row.institution_id,
        profile=profile,
        secrets=cipher.unseal(row.secrets),
        load_secrets=load_secrets,
        save_secrets=save_secrets,
    )
    return kind(config)


def ensure_default(sessions: Sessions) -> None:
    """The default institution, and for each institution without any backend the built-in issuer as
    its default, under the name `builtin`. `sessions` serve every institution."""
    with sessions.begin() as session:
        one_at_a_time(session)
        ensure_institution(session)
        lacking = session.scalars(
            select(Institution.id).where(
                Institution.id.not_in(select(BackendRow.institution_id)),
                Institution.id.not_in(select(Share.institution_id).where(Share.kind == "backend")),
            )
        )
        for institution_id in list(lacking):
            session.add(
                BackendRow(
                    institution_id=institution_id,
                    name=Builtin.kind,
                    kind=Builtin.kind,
                    settings={},
                    is_default=True,
                )
            )


__all__ = [
    "KINDS",
    "AchievementDraft",
    "Backend",
    "BackendConfig",
    "Traits",
    "ensure_default",
    "kind_of",
    "open_backend",
]
