"""What somebody presents to be verified: a baked picture, JSON, a signed token, or an address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lti_badges.core.links import web_address
from lti_badges.openbadges.bake import OB2_KEYWORD, PNG, unbake_png, unbake_svg
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.verify import claims_of, parse

MAX_BYTES = 2_000_000
TOO_LARGE = "This is larger than 2 MB; a badge is smaller."
_TOKEN = re.compile(r"[\w-]{2,}\.[\w-]{2,}\.[\w-]+")
_OTHER_FILES = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"RIFF": "a WebP picture",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
}
OB3, OB2 = "Open Badges 3.0", "Open Badges 2.0"


@dataclass(frozen=True, slots=True)
class Presented:
    """A badge as it came: its version and what it says; the token when it came as one."""

    version: str
    document: dict[str, Any]
    token: str | None = None


def text_of(content: bytes) -> str:
    """The text of a badge: what is baked into a PNG or SVG, or the content itself. Raises
    CredentialError saying what this is instead."""
    if len(content) > MAX_BYTES:
        raise CredentialError(TOO_LARGE)
    if content.startswith(PNG):
        found = unbake_png(content) or unbake_png(content, OB2_KEYWORD)
        return _inside(found, "PNG")
    for start, name in _OTHER_FILES.items():
        if content.startswith(start):
            raise CredentialError(f"This is {name}; badges are baked into PNG and SVG pictures.")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise CredentialError("This is neither a PNG or SVG picture nor text.") from None
    if text.startswith("<") and "<svg" in text[:4096].lower():
        return _inside(unbake_svg(text), "SVG")
    if text[:1] == "<":
        raise CredentialError("This is a web page or an XML file, and no badge.")
    return text


def address_in(text: str) -> str | None:
    """The address, where the text is nothing else."""
    return web_address(text) if text[:8].lower().startswith(("http://", "https://")) else None


def read(text: str) -> Presented:
    """The badge in a text. Raises CredentialError for what is none."""
    if _TOKEN.fullmatch(text):
        document = claims_of(text)
        if not document:
            raise CredentialError("This looks like a signed token, but it can't be read.")
        return Presented(_version(document), document, text)
    if not text.startswith("{"):
        raise CredentialError("This is neither JSON, a signed token (JWT) nor an address.")
    document = parse(text)
    return Presented(_version(document), document)


def _inside(found: str | None, kind: str) -> str:
    if not found or not found.strip():
        raise CredentialError(
            f"No badge is inside this {kind} picture. Take the file that the badge's page offers "
            "for download; many programs drop the badge when they save a picture anew."
        )
    return found.strip()


def _version(document: dict[str, Any]) -> str:
    kinds = document.get("type")
    listed = kinds if isinstance(kinds, list) else [kinds]
    if "OpenBadgeCredential" in listed or "AchievementCredential" in listed:
        return OB3
    if "Assertion" in listed:
        return OB2
    named = ", ".join(str(each)[:40] for each in listed[:3] if each) or "none"
    raise CredentialError(
        f"This is no Open Badges credential, of version 2.0 or 3.0 (its type: {named})."
    )
