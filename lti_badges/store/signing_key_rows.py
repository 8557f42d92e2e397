"""A signing key as it is stored, as it is shown, and as it signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy import JSON, Integer, String, Text, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from lti_badges.core.crypto import PrivateKey, new_ed25519, new_rsa
from lti_badges.core.jwk import ed25519_jwk, rsa_jwk
from lti_badges.openbadges.keys import multibase
from lti_badges.store.base import Base, UtcDateTime

LTI, ISSUER_RSA, ISSUER_ED25519 = "lti", "issuer-rsa", "issuer-ed25519"
MAKERS: dict[str, Callable[[], PrivateKey]] = {
    LTI: new_rsa,
    ISSUER_RSA: new_rsa,
    ISSUER_ED25519: new_ed25519,
}
ISSUER = (ISSUER_RSA, ISSUER_ED25519)


class KeyRow(Base):
    """A signing key. `purpose` is lti, issuer-rsa or issuer-ed25519; the highest `number` of a
    purpose is the newest. `kid` is the RFC 7638 thumbprint of an RSA key and the Multikey text of
    an Ed25519 key; `public` is its JWK; `sealed` the private key, empty when its secret was lost.
    """

    __tablename__ = "signing_keys"
    __table_args__ = (UniqueConstraint("kid"),)

    purpose: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(String(100))
    public: Mapped[dict[str, Any]] = mapped_column(JSON)
    sealed: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What anybody may know of a signing key."""

    purpose: str
    number: int
    kid: str
    jwk: dict[str, Any] = field(hash=False)
    made_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class RsaSigner:
    """An RSA key to sign with, and its public name."""

    kid: str
    private: rsa.RSAPrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """An Ed25519 key to sign with; `kid` is its Multikey text."""

    kid: str
    private: ed25519.Ed25519PrivateKey = field(repr=False)


def public_half(private: PrivateKey) -> tuple[str, dict[str, Any]]:
    """(kid, JWK) of a private key."""
    if isinstance(private, rsa.RSAPrivateKey):
        jwk = rsa_jwk(private.public_key())
        return jwk["kid"], dict(jwk)
    name = multibase(private.public_key())
    return name, dict(ed25519_jwk(private.public_key(), name))


def insert_keys(session: Session, rows: list[dict[str, Any]]) -> None:
    """Add rows; one whose number or key is there already is left out."""
    if not rows:
        return
    table = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(table.insert(KeyRow).on_conflict_do_nothing(), rows)
