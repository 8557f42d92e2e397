"""Baking: a credential inside its picture (OB 3.0 §5.3.2, OB 2.0 baking)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from lxml import etree

from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.svg import local_name, parse

KEYWORD = "openbadgecredential"
OB2_KEYWORD = "openbadges"
PNG = b"\x89PNG\r\n\x1a\n"
OB_NAMESPACE = "https://purl.imsglobal.org/ob/v3p0"
OB2_NAMESPACE = "http://openbadges.org"
MAX_TEXT = 2_000_000
"""Bytes of a credential that is read out of a picture."""
_TEXT_CHUNKS = frozenset({b"iTXt", b"tEXt", b"zTXt"})
_ELEMENTS = (f"{{{OB_NAMESPACE}}}credential", f"{{{OB2_NAMESPACE}}}assertion")


def bake_png(png: bytes, text: str, ob2: str | None = None) -> bytes:
    """The picture with the credential, and the address of its 2.0 form, in uncompressed iTXt
    chunks. Older ones go, of either version and of every text kind; the pixels are not touched.
    Raises CredentialError for what is no whole PNG."""
    kept = [
        whole
        for kind, body, whole in _chunks(png)
        if not (kind in _TEXT_CHUNKS and _keyword(body) in {KEYWORD, OB2_KEYWORD})
    ]
    baked = [_text_chunk(KEYWORD, text)]
    if ob2 is not None:
        baked.append(_text_chunk(OB2_KEYWORD, ob2))
    return b"".join((PNG, kept[0], *baked, *kept[1:]))


def unbake_png(png: bytes, keyword: str = KEYWORD) -> str | None:
    """The text that was baked in, or None. Raises CredentialError."""
    for kind, body, _ in _chunks(png):
        if kind in _TEXT_CHUNKS and _keyword(body) == keyword:
            return _text(kind, body.partition(b"\0")[2])
    return None


def bake_svg(svg: str, text: str) -> str:
    """The picture with the credential as first child, in place of older ones: a JWT in `verify`,
    JSON as text. Raises CredentialError."""
    old = parse(svg.encode())
    if local_name(old) != "svg" or not len(old):
        raise CredentialError("The picture is not a usable SVG.")
    for element in list(old.iter(*_ELEMENTS)):
        above = element.getparent()
        if above is None:
            raise CredentialError("The picture is not a usable SVG.")
        _remove(above, element)
    # The specification wants the namespace declared on the <svg> tag itself.
    names = {prefix: uri for prefix, uri in old.nsmap.items() if prefix != "openbadges"}
    root = etree.Element(old.tag, dict(old.attrib), {**names, "openbadges": OB_NAMESPACE})
    root.text = old.text
    try:
        root.append(_credential(text))
    except ValueError:
        raise CredentialError("The credential holds characters that no SVG can hold.") from None
    root.extend(list(old))
    return str(etree.tostring(root, encoding="unicode"))


def unbake_svg(svg: str) -> str | None:
    """The credential that was baked in, or None. Raises CredentialError."""
    for element in parse(svg.encode()).iter(*_ELEMENTS):
        found = element.get("verify") or (element.text or "").strip()
        if found:
            return found
    return None


def _credential(text: str) -> etree._Element:
    element = etree.Element(_ELEMENTS[0])
    if not text.lstrip().startswith("{"):
        element.set("verify", text)
    elif "]]>" in text:
        element.text = text
    else:
        element.text = etree.CDATA(text)
    return element


def _remove(above: etree._Element, element: etree._Element) -> None:
    """Without the text behind it, which lxml counts as the element's."""
    before, tail = element.getprevious(), element.tail or ""
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        above.text = (above.text or "") + tail
    above.remove(element)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(kind, body, all bytes) of each chunk from IHDR to IEND. Raises CredentialError."""
    if not png.startswith(PNG):
        raise CredentialError("The picture is not a PNG.")
    at, kind = len(PNG), b""
    while at + 12 <= len(png) and kind != b"IEND":
        (length,) = struct.unpack(">I", png[at : at + 4])
        end = at + 12 + length
        first, kind = not kind, png[at + 4 : at + 8]
        if end > len(png) or (first and kind != b"IHDR"):
            break
        yield kind, png[at + 8 : end - 4], png[at:end]
        at = end
    if kind != b"IEND" or at > len(png):
        raise CredentialError("The picture is not a whole PNG.")


def _keyword(body: bytes) -> str:
    return body.partition(b"\0")[0].decode("latin-1")


def _text(kind: bytes, rest: bytes) -> str | None:
    """What stands behind the keyword."""
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if len(rest) < 2:
        return None
    if kind == b"zTXt":
        return _inflated(rest[1:]).decode("latin-1")
    compressed = rest[0]
    text = rest[2:].split(b"\0", 2)[-1]
    return (_inflated(text) if compressed else text).decode("utf-8", "replace")


def _inflated(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, MAX_TEXT)
    except zlib.error:
        raise CredentialError("The credential in the picture can't be read.") from None
    if unpacker.unconsumed_tail:
        raise CredentialError("The credential in the picture is too large.")
    return text


def _text_chunk(keyword: str, text: str) -> bytes:
    body = keyword.encode() + b"\0\0\0\0\0" + text.encode()
    crc = zlib.crc32(body, zlib.crc32(b"iTXt"))
    return struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", crc)
