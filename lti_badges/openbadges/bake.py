"""Baking: a credential inside its picture (OB 3.0 §5.3.2, OB 2.0 baking)."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from lti_badges.openbadges.errors import CredentialError

KEYWORD = "openbadgecredential"
OB2_KEYWORD = "openbadges"
PNG = b"\x89PNG\r\n\x1a\n"
OB_NAMESPACE = "https://purl.imsglobal.org/ob/v3p0"
_SVG_OPEN = re.compile(r"<svg\b[^>]*?(/?)>", re.DOTALL)
_BAKED = re.compile(r"<openbadges:credential\b.*?</openbadges:credential>", re.DOTALL)
_VERIFY = re.compile(r"""<openbadges:credential\b[^>]*\bverify=["']([^"']*)["']""")
_CDATA = re.compile(
    r"<openbadges:credential\b[^>]*>\s*<!\[CDATA\[(.*?)\]\]>\s*</openbadges:credential>",
    re.DOTALL,
)


def bake_png(png: bytes, text: str, keyword: str = KEYWORD) -> bytes:
    """The picture with the text in an uncompressed iTXt chunk; an older one is replaced. The
    pixels are not touched. Raises CredentialError for what is no PNG."""
    kept = [
        (kind, body)
        for kind, body in _chunks(png)
        if not (kind == b"iTXt" and body.split(b"\0", 1)[0].decode("latin-1") == keyword)
    ]
    if not kept or kept[0][0] != b"IHDR":
        raise CredentialError("The picture is not a whole PNG.")
    baked = (b"iTXt", keyword.encode() + b"\0\0\0\0\0" + text.encode())
    return PNG + b"".join(_chunk(*part) for part in (kept[0], baked, *kept[1:]))


def unbake_png(png: bytes, keyword: str = KEYWORD) -> str | None:
    """The text that was baked in, or None."""
    for kind, body in _chunks(png):
        name, _, rest = body.partition(b"\0")
        if kind == b"iTXt" and name.decode("latin-1") == keyword and len(rest) > 2:
            compressed, _, after = rest[0], rest[1], rest[2:]
            _, _, after = after.partition(b"\0")
            _, _, text = after.partition(b"\0")
            return (zlib.decompress(text) if compressed else text).decode("utf-8", "replace")
    return None


def bake_svg(svg: str, text: str) -> str:
    """The picture with the credential as first child: a JWT in `verify`, JSON in CDATA."""
    clean = _BAKED.sub("", svg)
    opening = _SVG_OPEN.search(clean)
    if opening is None or opening.group(1):
        raise CredentialError("The picture is not a usable SVG.")
    tag = opening.group(0)
    if "xmlns:openbadges=" not in tag:
        tag = f'{tag[:-1]} xmlns:openbadges="{OB_NAMESPACE}">'
    is_json = text.lstrip().startswith("{")
    safe = text.replace("]]>", "]]]]><![CDATA[>")
    element = (
        f"<openbadges:credential><![CDATA[{safe}]]></openbadges:credential>"
        if is_json
        else f'<openbadges:credential verify="{text}"></openbadges:credential>'
    )
    return clean[: opening.start()] + tag + element + clean[opening.end() :]


def unbake_svg(svg: str) -> str | None:
    """The credential that was baked in, or None."""
    found = _VERIFY.search(svg) or _CDATA.search(svg)
    return found.group(1).replace("]]]]><![CDATA[>", "]]>") if found else None


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not png.startswith(PNG):
        raise CredentialError("The picture is not a PNG.")
    at = len(PNG)
    while at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
