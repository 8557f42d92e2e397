"""Rotating the signing keys, with its event."""

from __future__ import annotations

from lti_badges.context import ToolContext
from lti_badges.ledger.audit import record
from lti_badges.store.signing_key_rows import PublicKey


def rotate_keys(
    installation: ToolContext, *, by: str, secret_lost: bool = False
) -> list[PublicKey]:
    """A new key of each kind, see `SigningKeys.rotate`. Raises SettingsError."""
    made = installation.keys.rotate(secret_lost=secret_lost)
    with installation.sessions.begin() as session:
        record(session, "keys_rotated", actor=by, keys=[key.kid for key in made])
    return made
