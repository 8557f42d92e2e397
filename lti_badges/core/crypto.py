"""The keys folder: signing keys of tool and issuer, and encryption of secrets at rest."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lti_badges.core import clock
from lti_badges.core.errors import SettingsError

PUBLISH_BEFORE_USE = timedelta(hours=24)
RETIRE_AFTER = timedelta(days=30)


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


class SigningKey:
    """An RSA key with the moment it was made; `kid` is its RFC 7638 thumbprint."""

    def __init__(self, private: rsa.RSAPrivateKey, made_at: datetime) -> None:
        self.private = private
        self.made_at = made_at
        numbers = private.public_key().public_numbers()
        self.n, self.e = _b64_int(numbers.n), _b64_int(numbers.e)
        canonical = json.dumps(
            {"e": self.e, "kty": "RSA", "n": self.n}, separators=(",", ":"), sort_keys=True
        )
        digest = hashlib.sha256(canonical.encode()).digest()
        self.kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def jwk(self) -> dict[str, str]:
        """The public half. `alg` and `use` are named: older Moodle versions need `alg`."""
        return {
            "kty": "RSA",
            "n": self.n,
            "e": self.e,
            "alg": "RS256",
            "use": "sig",
            "kid": self.kid,
        }


class KeyFolder:
    """Keys as files (folder 0700, files 0600), made on first use, parsed once per process.

    `lti-<epoch>.pem` are the tool's LTI keys, several during a rotation;
    `issuer-rsa.pem` and `issuer-ed25519.pem` sign credentials; `secret.key` seals secrets.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The folder may hold a README and be shared by checkout; only we may read it from now on.
        path.chmod(0o700)
        self._lock = Lock()
        self._parsed: dict[str, SigningKey] = {}

    def secret_key(self) -> str:
        """The secret key, made on first start."""
        return self._made("secret.key", lambda: secrets.token_urlsafe(48).encode()).decode()

    def lti_keys(self) -> list[SigningKey]:
        """The tool's LTI keys, oldest first; one is made if there is none."""
        if not any(self.path.glob("lti-*.pem")):
            with self._exclusive():
                if not any(self.path.glob("lti-*.pem")):
                    self._write_lti_key(clock.now())
        found = [self._load(file) for file in self.path.glob("lti-*.pem")]
        return sorted((key for key in found if key), key=lambda key: key.made_at)

    def signing_key(self) -> SigningKey:
        """The newest LTI key that platforms have had time to fetch, else the oldest."""
        keys = self.lti_keys()
        settled = [key for key in keys if clock.now() - key.made_at >= PUBLISH_BEFORE_USE]
        return settled[-1] if settled else keys[0]

    def rotate(self) -> SigningKey:
        """Publish a new LTI key and retire those long replaced; signing moves over in a day."""
        with self._exclusive():
            keys = self.lti_keys()
            made = self._write_lti_key(max(clock.now(), keys[-1].made_at + timedelta(seconds=1)))
            for old, successor in pairwise(keys):
                if clock.now() - successor.made_at > RETIRE_AFTER:
                    self._file(old.made_at).unlink(missing_ok=True)
        return made

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """All public LTI keys (RFC 7517)."""
        return {"keys": [key.jwk() for key in self.lti_keys()]}

    @cache  # noqa: B019 - one folder lives as long as the process; parsing RSA takes 36 ms
    def issuer_rsa(self) -> rsa.RSAPrivateKey:
        """The issuer's RSA key, for VC-JWT proofs."""
        pem = self._made("issuer-rsa.pem", lambda: _pem(_new_rsa()))
        return _as_rsa(serialization.load_pem_private_key(pem, None))

    @cache  # noqa: B019
    def issuer_ed25519(self) -> ed25519.Ed25519PrivateKey:
        """The issuer's Ed25519 key, for Data Integrity proofs."""
        pem = self._made("issuer-ed25519.pem", lambda: _pem(ed25519.Ed25519PrivateKey.generate()))
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SettingsError("issuer-ed25519.pem in the keys folder is not an Ed25519 key.")
        return key

    def _file(self, made_at: datetime) -> Path:
        return self.path / f"lti-{int(made_at.timestamp())}.pem"

    def _write_lti_key(self, made_at: datetime) -> SigningKey:
        file = self._file(made_at)
        _write_private(file, _pem(_new_rsa()))
        key = self._load(file)
        if key is None:
            raise SettingsError(f"The key {file} vanished while it was being made.")
        return key

    def _load(self, file: Path) -> SigningKey | None:
        with self._lock:
            if file.name not in self._parsed:
                try:
                    pem = file.read_bytes()
                except FileNotFoundError:  # retired by another process between listing and reading
                    return None
                made_at = datetime.fromtimestamp(int(file.stem.removeprefix("lti-")), UTC)
                private = _as_rsa(serialization.load_pem_private_key(pem, None))
                self._parsed[file.name] = SigningKey(private, made_at)
            return self._parsed[file.name]

    def _made(self, name: str, make: Callable[[], bytes]) -> bytes:
        file = self.path / name
        if not file.exists():
            with self._exclusive():
                if not file.exists():
                    _write_private(file, make())
        return file.read_bytes()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One process at a time makes keys: two first starts must agree on one key."""
        import fcntl  # noqa: PLC0415 - not on Windows, where one process serves

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


def _new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _as_rsa(key: object) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SettingsError("A key file in the keys folder is not an RSA key.")
    return key


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _b64_int(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
