"""Signing keys for tests that need no other row."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lti_badges.core.crypto import Cipher, KeyFolder
from lti_badges.store import EVERY_INSTITUTION, SigningKeys, open_engine, open_sessions, upgrade


@cache
def keys_at(folder: Path) -> SigningKeys:
    """Those of a database beside the secret in `folder`; the same for each call."""
    engine = open_engine(f"sqlite:///{folder}/keys.db")
    upgrade(engine)
    keys = KeyFolder(folder)
    return SigningKeys(open_sessions(engine, EVERY_INSTITUTION), Cipher(keys.secret_key()), keys)
