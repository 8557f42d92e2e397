"""Credentials signed with this tool's own keys: Open Badges 3.0, with their 2.0 form beside them.

A credential is signed once, when it is issued, and stored as signed; pages only show it. Signing
twice returns the first: the award's id is the row's key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lti_badges.backends.base import BackendConfig
from lti_badges.core import clock
from lti_badges.core.errors import Refused
from lti_badges.openbadges import ob2, proofs, status
from lti_badges.openbadges.documents import (
    AchievementDocument,
    CredentialDraft,
    IssuerProfile,
    ResultValue,
    StatusEntry,
    build_credential,
    build_profile,
    new_salt,
)
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.keys import multikey_document
from lti_badges.store import IssuedCredential, StatusList, new_id
from lti_badges.store.signing_key_rows import (
    ISSUER_ED25519,
    ISSUER_RSA,
    Ed25519Signer,
    PublicKey,
    RsaSigner,
)
from lti_badges.values.badge import AchievementRef, Issuance
from lti_badges.values.settings import Setting

ISSUER_SETTINGS = (
    Setting("issuer_name", "Name of the issuer", "Else the institution's", required=False),
    Setting("issuer_url", "Web site of the issuer", "Else the institution's", required=False),
    Setting(
        "issuer_email", "Contact e-mail of the issuer", "Else the institution's", required=False
    ),
    Setting("issuer_description", "A sentence about the issuer", required=False),
)
"""Of every backend whose credentials are signed here."""
UNNAMED = "Badges"
"""The issuer's name while neither backend nor institution has one. Earlier versions stored it with
a backend that nobody had named."""


@dataclass(frozen=True, slots=True)
class Signers:
    """The keys of both proofs."""

    rsa: RsaSigner
    ed25519: Ed25519Signer


class Signer:
    """The issuer that a backend's credentials name, its keys and its status lists."""

    def __init__(self, config: BackendConfig) -> None:
        self.config = config

    def credential(self, award_id: str) -> IssuedCredential | None:
        """What was signed for an award."""
        with self.config.sessions() as session:
            return session.get(IssuedCredential, award_id)

    def issue(self, issuance: Issuance, roster_id: str | None = None) -> IssuedCredential:
        """Signs and stores in one transaction; whoever comes second gets what the first stored.

        `roster_id` is put in as the learner's OneRoster sourcedId, readable: for hosts that know
        their learners by it. Raises Refused.
        """
        held = self.credential(issuance.award_id)
        if held is not None:
            return held
        signers = self.signers()
        try:
            with self.config.sessions.begin() as session:
                (place,) = self.take_places(session, 1)
                row = self.signed(issuance, place, signers, roster_id)
                session.add(row)
            return row
        except IntegrityError:  # another worker issued the same award meanwhile
            held = self.credential(issuance.award_id)
            if held is None:
                raise
            return held

    def signers(self) -> Signers:
        """The keys to sign with now. To be asked for outside of transactions."""
        return Signers(self.config.keys.issuer_rsa(), self.config.keys.issuer_ed25519())

    def take_places(self, session: Session, count: int) -> list[StatusEntry]:
        """Places in status lists for so many credentials. Workers at the same time take them from
        different lists: none waits for another."""
        places: list[StatusEntry] = []
        while len(places) < count:
            row = session.scalar(
                select(StatusList)
                .where(StatusList.backend_id == self.config.id, StatusList.taken < status.LENGTH)
                .order_by(StatusList.taken.desc())
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if row is None:
                row = StatusList(id=new_id(), seed=new_id(), backend_id=self.config.id, taken=0)
                session.add(row)
            upto = min(status.LENGTH, row.taken + count - len(places))
            url = self._list_url(row.id)
            places += [
                StatusEntry(url, row.place(number, status.LENGTH))
                for number in range(row.taken, upto)
            ]
            row.taken = upto
            session.flush()
        return places

    def revoke(self, award_id: str, reason: str) -> None:
        """Sets the credential's bit in the status list. Raises Refused."""
        with self.config.sessions.begin() as session:
            row = session.get(IssuedCredential, award_id)
            if row is None:
                raise Refused("No such credential was signed here.")
            if row.revoked_at is None:
                row.revoked_at, row.revocation_reason = clock.now(), reason

    @cached_property
    def profile(self) -> IssuerProfile:
        """The issuer as configured: the backend's own settings, else the institution's profile."""
        config, settings, profile = self.config, self.config.settings, self.config.profile
        named = settings.get("issuer_name")
        logo = f"{config.base_url}/institutions/{config.institution_id}/logo"
        return IssuerProfile(
            id=f"{config.base_url}/issuers/{config.id}",
            name=(named if named != UNNAMED else "") or profile.get("name") or UNNAMED,
            url=settings.get("issuer_url") or profile.get("url"),
            email=settings.get("issuer_email") or profile.get("email"),
            description=settings.get("issuer_description"),
            address=profile.get("address"),
            image=logo if profile.get("logo") else None,
        )

    @property
    def verification_method(self) -> str:
        """The id of the Ed25519 key: the issuer's address with the key itself as fragment."""
        return self._method_id(self.config.keys.issuer_ed25519())

    def jwk(self, kid: str) -> dict[str, Any] | None:
        """The public RSA key of VC-JWT proofs that `kid` names; `exp` is when it was retired."""
        for key in self.config.keys.issuer_keys(fresh=True):
            if key.purpose == ISSUER_RSA and key.kid == kid:
                retired = key.retired_at
                return key.jwk | ({"exp": int(retired.timestamp())} if retired else {})
        return None

    def public_keys(self) -> list[PublicKey]:
        """The issuer's keys, newest first, retired ones too."""
        return self.config.keys.issuer_keys()[::-1]

    def profile_document(self) -> dict[str, object]:
        """What the issuer's address answers: the profile with its keys, retired ones marked."""
        return build_profile(
            self.profile,
            *(
                multikey_document(self.profile.id, key.kid, key.retired_at)
                for key in self.config.keys.issuer_keys(fresh=True)
                if key.purpose == ISSUER_ED25519
            ),
        )

    def status_list(self, list_id: str, valid_until: datetime) -> dict[str, object]:
        """A status list as of now, signed. Its validity begins with the last revocation in it."""
        with self.config.sessions() as session:
            rows = session.execute(
                select(IssuedCredential.status_index, IssuedCredential.revoked_at).where(
                    IssuedCredential.status_list == list_id,
                    IssuedCredential.revoked_at.is_not(None),
                )
            ).all()
        document = status.build_status_list(
            self._list_url(list_id),
            self.profile.id,
            [index for index, _ in rows],
            valid_from=clock.now(),
            valid_until=valid_until,
        )
        key = self.config.keys.issuer_ed25519()
        return proofs.sign_data_integrity(document, key.private, self._method_id(key), clock.now())

    def achievement_document(self, achievement: AchievementRef) -> AchievementDocument:
        """A badge as it stands in credentials."""
        url = f"{self.config.base_url}/achievements/{achievement.id}"
        return AchievementDocument(
            id=url,
            name=achievement.name,
            description=achievement.description,
            criteria=achievement.criteria,
            image=f"{url}/image.png",
        )

    def signed(
        self,
        issuance: Issuance,
        place: StatusEntry,
        signers: Signers,
        roster_id: str | None = None,
    ) -> IssuedCredential:
        """The credential, not stored yet. Raises Refused."""
        now = clock.now()
        draft = CredentialDraft(
            id=issuance.url,
            issuer=self.profile,
            achievement=self.achievement_document(issuance.achievement),
            lti_user_id=issuance.recipient.lti_user_id,
            email=issuance.recipient.email,
            roster_id=roster_id,
            shown_name=issuance.shown_name,
            awarded_at=issuance.achieved_at,
            valid_from=min(issuance.achieved_at, now),
            valid_until=issuance.expires_at,
            narrative=_narrative(issuance),
            results=tuple(
                ResultValue(measure.label, measure.value or "met", measure.needed, measure.points)
                for measure in issuance.measures
            ),
            status=place,
            salt=new_salt(),
        )
        credential = build_credential(draft)
        try:
            document = proofs.sign_data_integrity(
                credential, signers.ed25519.private, self._method_id(signers.ed25519), now
            )
        except CredentialError as error:
            raise Refused(f"The credential can't be signed: {error}") from error
        kid = f"{self.profile.id}/keys/{signers.rsa.kid}"
        return IssuedCredential(
            award_id=issuance.award_id,
            backend_id=self.config.id,
            achievement_id=issuance.achievement.id,
            document=document,
            jwt=proofs.sign_jwt(credential, signers.rsa.private, kid),
            ob2=ob2.build_assertion(draft, image=f"{issuance.url}.png"),
            status_list=place.list_url.rpartition("/")[2],
            status_index=place.index,
            issued_at=now,
        )

    def _method_id(self, key: Ed25519Signer) -> str:
        return f"{self.profile.id}#{key.kid}"

    def _list_url(self, list_id: str) -> str:
        return f"{self.config.base_url}/status/{list_id}"


def _narrative(issuance: Issuance) -> str:
    renews = f" It renews {issuance.supersedes}." if issuance.supersedes else ""
    return f"{issuance.explanation}{renews}"
