"""Encryption of secrets at rest, private keys as text, and the keys folder."""

from __future__ import annotations

import base64
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lti_badges.core import clock
from lti_badges.core.errors import SettingsError

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
TAKEN_OVER = "taken-over"


class Cipher:
    """Encrypts short secrets (Fernet, AES-128-CBC + HMAC) and derives keys for signed tokens."""

    def __init__(self, secret_key: str) -> None:
        self._secret = secret_key.encode()
        self._fernet = Fernet(base64.urlsafe_b64encode(self.derive("secrets at rest")))

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose, unrelated to those of any other."""
        kdf = HKDF(hashes.SHA256(), 32, salt=None, info=f"lti-badges {purpose}".encode())
        return kdf.derive(self._secret)

    def encrypt(self, plain: str) -> str:
        """URL-safe text that only `decrypt` with the same secret key opens."""
        return self._fernet.encrypt(plain.encode()).decode()

    def decrypt(self, sealed: str) -> str:
        """Raises SettingsError when the secret key is not the one that sealed it."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SettingsError(
                "A stored secret can't be opened: LTI_BADGES_SECRET_KEY is not the key "
                "that sealed it. Restore that key, or enter the secrets anew."
            ) from None

    def seal(self, values: dict[str, Any]) -> str:
        """A JSON object, encrypted."""
        return self.encrypt(json.dumps(values))

    def unseal(self, sealed: str | None) -> dict[str, Any]:
        """What `seal` took; an empty dict for None."""
        return dict(json.loads(self.decrypt(sealed))) if sealed else {}


def new_rsa() -> rsa.RSAPrivateKey:
    """An RSA key of 2,048 bits, as LTI asks for."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def new_ed25519() -> ed25519.Ed25519PrivateKey:
    """A fresh Ed25519 private key."""
    return ed25519.Ed25519PrivateKey.generate()


def to_pem(key: PrivateKey) -> str:
    """PKCS #8, not encrypted: to be sealed by a Cipher."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def from_pem(pem: str, *, checked: bool = False) -> PrivateKey:
    """The key that `to_pem` wrote. `checked` text was sealed by us: the arithmetic of an RSA key is
    not tested again (36 ms). Raises SettingsError."""
    try:
        key = serialization.load_pem_private_key(
            pem.encode(), None, unsafe_skip_rsa_key_validation=checked
        )
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise SettingsError("A private key can't be read: it is neither RSA nor Ed25519.")
    return key


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key that an earlier version kept as a file; `purpose` is lti, issuer-rsa or
    issuer-ed25519."""

    path: Path
    purpose: str
    made_at: datetime
    key: PrivateKey = field(repr=False)


class KeyFolder:
    """The folder (0700) that holds the secret key (`secret.key`, 0600) when no setting does. It is
    made when something is written to it, not before.

    Earlier versions kept signing keys here: `lti-<epoch>.pem`, `issuer-rsa.pem` and
    `issuer-ed25519.pem`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def secret_key(self) -> str:
        """The secret key, made on first start."""
        file = self.path / "secret.key"
        if not file.exists():
            with self._exclusive():
                if not file.exists():
                    _write_private(file, secrets.token_urlsafe(48).encode())
        return file.read_text()

    def has_secret(self) -> bool:
        """Whether the secret lies here already."""
        return (self.path / "secret.key").exists()

    def keep_secret(self, secret: str) -> None:
        """Put a secret here that was made elsewhere, where there is none yet."""
        with self._exclusive():
            if not self.has_secret():
                _write_private(self.path / "secret.key", secret.encode())

    def key_files(self) -> list[KeyFile]:
        """Signing keys that still lie here, oldest first. Raises SettingsError for one that can't
        be read."""
        found = []
        for file in sorted([*self.path.glob("lti-*.pem"), *self.path.glob("issuer-*.pem")]):
            try:
                pem, changed = file.read_text(), file.stat().st_mtime
            except FileNotFoundError:  # another process has just taken it over
                continue
            purpose, made_at = file.stem, clock.from_epoch(changed)
            if purpose.startswith("lti-"):
                made_at = clock.from_epoch(int(purpose.removeprefix("lti-")))
                purpose = "lti"
            found.append(KeyFile(file, purpose, made_at, from_pem(pem)))
        return sorted(found, key=lambda each: each.made_at)

    def set_aside(self, files: list[KeyFile]) -> None:
        """Move files whose keys the database holds now into `taken-over/`, where nothing reads
        them."""
        with suppress(OSError):  # a folder that can't be written to stays as it is
            (self.path / TAKEN_OVER).mkdir(mode=0o700, exist_ok=True)
            for file in files:
                with suppress(FileNotFoundError):
                    file.path.replace(self.path / TAKEN_OVER / file.path.name)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One process at a time makes the secret: two first starts must agree on one."""
        import fcntl  # noqa: PLC0415 - not on Windows, where one process serves

        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The folder may hold a README and come with a checkout; only we may read it from now on.
        self.path.chmod(0o700)
        with (self.path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write_private(file: Path, content: bytes) -> None:
    """Written aside and renamed: a reader never sees half a key."""
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "wb") as out:  # mkstemp makes it 0600
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    Path(name).replace(file)
