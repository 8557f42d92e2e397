"""Credentials signed with this tool's own keys: Open Badges 3.0, with their 2.0 form beside them.

A credential is signed once, when it is issued, and stored as signed; pages only show it. Signing
twice returns the first: the award's id is the row's key.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import func, select
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
from lti_badges.store import IssuedCredential, new_id
from lti_badges.store.signing_keys import (
    ISSUER_ED25519,
    ISSUER_RSA,
    Ed25519Signer,
    RsaSigner,
)
from lti_badges.values.badge import AchievementRef, Issuance
from lti_badges.values.settings import Setting

# A fuller list would make random free places hard to find and holders easier to tell apart.
LIST_FULL = status.LENGTH // 2
TRIES = 20
ISSUER_SETTINGS = (
    Setting("issuer_name", "Name of the issuer", "As it stands on each badge", default="Badges"),
    Setting("issuer_url", "Web site of the issuer", required=False),
    Setting("issuer_email", "Contact e-mail of the issuer", required=False),
    Setting("issuer_description", "A sentence about the issuer", required=False),
)
"""Of every backend whose credentials are signed here."""


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
        rsa, ed25519 = self.config.keys.issuer_rsa(), self.config.keys.issuer_ed25519()
        for _ in range(TRIES):
            try:
                with self.config.sessions.begin() as session:
                    held = session.get(IssuedCredential, issuance.award_id)
                    row = held or self._sign(session, issuance, roster_id, rsa, ed25519)
                    session.add(row)
                return row
            except IntegrityError:
                continue  # the same award, or another at the same place of the status list
        raise Refused("No free place was found in the status list; try again.")

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
        """The issuer as configured."""
        settings = self.config.settings
        return IssuerProfile(
            id=f"{self.config.base_url}/issuers/{self.config.id}",
            name=settings.get("issuer_name") or "Badges",
            url=settings.get("issuer_url"),
            email=settings.get("issuer_email"),
            description=settings.get("issuer_description"),
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

    def _sign(
        self,
        session: Session,
        issuance: Issuance,
        roster_id: str | None,
        rsa: RsaSigner,
        ed25519: Ed25519Signer,
    ) -> IssuedCredential:
        list_id, index = self._place(session)
        now = clock.now()
        draft = CredentialDraft(
            id=issuance.url,
            issuer=self.profile,
            achievement=self.achievement_document(issuance.achievement),
            lti_user_id=issuance.recipient.lti_user_id,
            email=issuance.recipient.email,
            roster_id=roster_id,
            awarded_at=issuance.achieved_at,
            valid_from=min(issuance.achieved_at, now),
            valid_until=issuance.expires_at,
            narrative=_narrative(issuance),
            results=tuple(
                ResultValue(measure.label, measure.value or "met", measure.needed)
                for measure in issuance.measures
            ),
            status=StatusEntry(self._list_url(list_id), index),
            salt=new_salt(),
        )
        credential = build_credential(draft)
        try:
            document = proofs.sign_data_integrity(
                credential, ed25519.private, self._method_id(ed25519), now
            )
        except CredentialError as error:
            raise Refused(f"The credential can't be signed: {error}") from error
        kid = f"{self.profile.id}/keys/{rsa.kid}"
        return IssuedCredential(
            award_id=issuance.award_id,
            backend_id=self.config.id,
            achievement_id=issuance.achievement.id,
            document=document,
            jwt=proofs.sign_jwt(credential, rsa.private, kid),
            ob2=ob2.build_assertion(draft, image=f"{issuance.url}.png"),
            status_list=list_id,
            status_index=index,
            issued_at=now,
        )

    def _place(self, session: Session) -> tuple[str, int]:
        """A random place in the backend's newest list that is not half full."""
        lists = session.execute(
            select(IssuedCredential.status_list, func.count())
            .where(IssuedCredential.backend_id == self.config.id)
            .group_by(IssuedCredential.status_list)
            .having(func.count() < LIST_FULL)
        ).all()
        list_id = str(lists[0][0]) if lists else new_id()
        return list_id, secrets.randbelow(status.LENGTH)

    def _method_id(self, key: Ed25519Signer) -> str:
        return f"{self.profile.id}#{key.kid}"

    def _list_url(self, list_id: str) -> str:
        return f"{self.config.base_url}/status/{list_id}"


def _narrative(issuance: Issuance) -> str:
    renews = f" It renews {issuance.supersedes}." if issuance.supersedes else ""
    return f"{issuance.explanation}{renews}"
