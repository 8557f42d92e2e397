"""The tool's signing keys, with their history: one set for all processes on one database.

Private halves are sealed by the secret key. LTI keys prove to LMSes that a request is ours: a new
one is published a day before it signs, and removed a month after it was replaced. The issuer's keys
sign credentials: a new one signs at once, and old ones stay published for ever, marked retired.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.core.crypto import (
    Cipher,
    KeyFile,
    KeyFolder,
    PrivateKey,
    from_pem,
    to_pem,
)
from lti_badges.core.errors import SettingsError
from lti_badges.store.session import Sessions
from lti_badges.store.signing_key_rows import (
    ISSUER,
    ISSUER_ED25519,
    ISSUER_RSA,
    LTI,
    MAKERS,
    Ed25519Signer,
    KeyRow,
    PublicKey,
    RsaSigner,
    insert_keys,
    public_half,
)

PUBLISH_BEFORE_USE = timedelta(hours=24)
REMOVE_AFTER = timedelta(days=30)
NOTICED_WITHIN_S = 5.0
"""How old the known list of keys may be: other processes notice a rotation within so long."""
STILL_SIGNS = timedelta(minutes=1)
"""A replaced issuer key counts as retired from so long after: other processes sign with it until
they notice."""
OTHER_SECRET = (
    "The signing keys in the database are sealed by another secret. Start with the "  # noqa: S105
    "LTI_BADGES_SECRET_KEY that sealed them; where none was set, it is in secret.key in the keys "
    "folder of the first start."
)


class SigningKeys:
    """The keys as one process knows them: read anew every few seconds, private halves opened once.

    Never call it inside a writing transaction: the first call may make keys.
    """

    def __init__(self, sessions: Sessions, cipher: Cipher, folder: KeyFolder) -> None:
        self._sessions = sessions
        self._cipher = cipher
        self._folder = folder
        self._lock = Lock()
        self._known: tuple[PublicKey, ...] = ()
        self._read_at = float("-inf")
        self._opened: dict[str, PrivateKey] = {}

    def open(self) -> None:
        """Make what is missing, take over the files of earlier versions, and prove that the secret
        opens the keys. Raises SettingsError with one line when it does not."""
        with self._lock:
            self._complete()
        for purpose in MAKERS:
            self._private(self._of(purpose)[-1])

    def lti_keys(self) -> list[PublicKey]:
        """The tool's LTI keys, oldest first."""
        return self._of(LTI)

    def issuer_keys(self, *, fresh: bool = False) -> list[PublicKey]:
        """The issuer's keys, retired ones too, oldest first; `fresh` as the database has them."""
        known = self._all(fresh=fresh)
        return [key for key in known if key.purpose in ISSUER]

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """All public LTI keys (RFC 7517)."""
        return {"keys": [key.jwk for key in self._all(fresh=True) if key.purpose == LTI]}

    def signing_key(self) -> RsaSigner:
        """The newest LTI key that platforms have had time to fetch, else the oldest."""
        keys = self.lti_keys()
        settled = [key for key in keys if clock.now() - key.made_at >= PUBLISH_BEFORE_USE]
        return self._rsa(settled[-1] if settled else keys[0])

    def issuer_rsa(self) -> RsaSigner:
        """The issuer's newest RSA key, for VC-JWT proofs."""
        return self._rsa(self._of(ISSUER_RSA)[-1])

    def issuer_ed25519(self) -> Ed25519Signer:
        """The issuer's newest Ed25519 key, for Data Integrity proofs."""
        newest = self._of(ISSUER_ED25519)[-1]
        private = self._private(newest)
        if not isinstance(private, ed25519.Ed25519PrivateKey):
            raise SettingsError(f"The signing key {newest.kid} is not an Ed25519 key.")
        return Ed25519Signer(newest.kid, private)

    def rotate(self, *, secret_lost: bool = False) -> list[PublicKey]:
        """A new key of each kind. Its LTI key signs in a day, the issuer's at once; LTI keys that
        were replaced a month ago go. Of two rotations at once, one takes place.

        With `secret_lost` nothing sealed can be opened: old LTI keys go, the issuer's old ones keep
        only their public half. Raises SettingsError.
        """
        if not secret_lost:
            self.open()
        now = clock.now()
        newest = {purpose: self._numbers(purpose)[-1:] or [0] for purpose in MAKERS}
        rows = [
            self._row(purpose, newest[purpose][0] + 1, make(), now)
            for purpose, make in MAKERS.items()
        ]
        with self._sessions.begin() as session:
            if secret_lost:
                session.execute(delete(KeyRow).where(KeyRow.purpose == LTI))
                session.execute(update(KeyRow).values(sealed=""))
            insert_keys(session, rows)
            for row in rows:
                older = (KeyRow.purpose == row["purpose"], KeyRow.number < row["number"])
                if row["purpose"] != LTI:
                    retired = update(KeyRow).where(*older, KeyRow.retired_at.is_(None))
                    session.execute(retired.values(retired_at=now + STILL_SIGNS))
            for number in self._outdated(session, now):
                session.execute(
                    delete(KeyRow).where(KeyRow.purpose == LTI, KeyRow.number == number)
                )
        self._read_at = float("-inf")
        return [self._of(purpose)[-1] for purpose in MAKERS]

    def _outdated(self, session: Session, now: datetime) -> Iterator[int]:
        made = session.execute(
            select(KeyRow.number, KeyRow.made_at)
            .where(KeyRow.purpose == LTI)
            .order_by(KeyRow.number)
        ).all()
        for (number, _), (_, successor_made_at) in pairwise(made):
            if now - successor_made_at > REMOVE_AFTER:
                yield number

    def _of(self, purpose: str) -> list[PublicKey]:
        return [key for key in self._all() if key.purpose == purpose]

    def _numbers(self, purpose: str) -> list[int]:
        with self._sessions() as session:
            numbers = session.scalars(
                select(KeyRow.number).where(KeyRow.purpose == purpose).order_by(KeyRow.number)
            )
            return list(numbers)

    def _all(self, *, fresh: bool = False) -> tuple[PublicKey, ...]:
        with self._lock:
            if not self._known:
                self._complete()
            elif fresh or time.monotonic() - self._read_at > NOTICED_WITHIN_S:
                self._read()
            return self._known

    def _read(self) -> None:
        columns = (
            KeyRow.purpose,
            KeyRow.number,
            KeyRow.kid,
            KeyRow.public,
            KeyRow.made_at,
            KeyRow.retired_at,
        )
        began = time.monotonic()
        with self._sessions() as session:
            rows = session.execute(select(*columns).order_by(KeyRow.purpose, KeyRow.number))
            self._known = tuple(PublicKey(*row) for row in rows)
        self._read_at = began

    def _complete(self) -> None:
        """Keys of every purpose: older files first, else new ones. Whoever comes second keeps what
        the first stored; its own older issuer keys are stored as retired."""
        self._read()
        files = self._folder.key_files()
        missing = set(MAKERS) - {key.purpose for key in self._known}
        if missing:
            self._store([row for purpose in missing for row in self._first(purpose, files)])
        if files:
            self._store(self._strays(files))
            self._folder.set_aside(files)

    def _first(self, purpose: str, files: list[KeyFile]) -> list[dict[str, Any]]:
        older = [file for file in files if file.purpose == purpose]
        if older:
            return [
                self._row(purpose, number, file.key, file.made_at)
                for number, file in enumerate(older, 1)
            ]
        return [self._row(purpose, 1, MAKERS[purpose](), clock.now())]

    def _strays(self, files: list[KeyFile]) -> list[dict[str, Any]]:
        """Issuer keys that another process made for itself, in a folder of its own: credentials
        that they signed verify from now on."""
        rows, known = [], {key.kid for key in self._known}
        for file in files:
            if file.purpose not in ISSUER or public_half(file.key)[0] in known:
                continue
            lowest = min(key.number for key in self._known if key.purpose == file.purpose)
            row = self._row(file.purpose, lowest - 1, file.key, file.made_at)
            rows.append(row | {"retired_at": clock.now()})
        return rows

    def _store(self, rows: list[dict[str, Any]]) -> None:
        with self._sessions.begin() as session:
            insert_keys(session, rows)
        self._read()

    def _row(
        self, purpose: str, number: int, private: PrivateKey, made_at: datetime
    ) -> dict[str, Any]:
        kid, jwk = public_half(private)
        return {
            "purpose": purpose,
            "number": number,
            "kid": kid,
            "public": jwk,
            "sealed": self._cipher.encrypt(to_pem(private)),
            "made_at": made_at,
            "retired_at": None,
        }

    def _rsa(self, key: PublicKey) -> RsaSigner:
        private = self._private(key)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise SettingsError(f"The signing key {key.kid} is not an RSA key.")
        return RsaSigner(key.kid, private)

    def _private(self, key: PublicKey) -> PrivateKey:
        found = self._opened.get(key.kid)
        if found is None:
            with self._sessions() as session:
                sealed = session.scalar(select(KeyRow.sealed).where(KeyRow.kid == key.kid)) or ""
            pem = None
            with suppress(SettingsError):
                pem = self._cipher.decrypt(sealed)
            if pem is None:
                raise SettingsError(OTHER_SECRET)
            found = self._opened[key.kid] = from_pem(pem, checked=True)
        return found
