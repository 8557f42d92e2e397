"""The built-in issuer: credentials signed and shown by this tool; needs no server, no account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.backends.signer import ISSUER_SETTINGS, Signer
from lti_badges.store import IssuedCredential, new_id
from lti_badges.values.badge import AchievementRef, Issuance, Receipt
from lti_badges.values.settings import Setting


class Builtin(Backend):
    """Issues in this tool's own name."""

    kind = "builtin"
    label = "Built-in issuer (Open Badges 3.0)"
    docs = "docs/backends/builtin.md"
    settings: ClassVar[tuple[Setting, ...]] = ISSUER_SETTINGS
    traits = Traits(
        needs_email=False,
        lists=False,
        takes_score=True,
        guards_duplicates=True,
        signs_here=True,
        is_local=True,
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.signer = Signer(config)

    def check(self) -> str:
        """Proves that both signing keys can be loaded."""
        return f"Signs as “{self.signer.profile.name}” with {self.signer.verification_method}."

    def achievements(self) -> Iterator[AchievementRef]:
        """Badges of the built-in issuer are the tool's own rows; there is no other list."""
        return iter(())

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """A badge of our own gets its id here; the tool keeps its texts and picture."""
        return AchievementRef("", new_id(), draft.name, draft.description, draft.criteria)

    def find(self, issuance: Issuance) -> Receipt | None:
        """By the award's id."""
        row = self.signer.credential(issuance.award_id)
        return None if row is None else _receipt(row, issuance.url)

    def issue(self, issuance: Issuance) -> Receipt:
        """Signs and stores; whoever comes second gets what the first stored."""
        return _receipt(self.signer.issue(issuance), issuance.url)

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """Sets the credential's bit in the status list."""
        self.signer.revoke(issuance.award_id, reason)


def _receipt(row: IssuedCredential, url: str) -> Receipt:
    return Receipt(row.award_id, url, row.issued_at, revoked=row.revoked_at is not None)
