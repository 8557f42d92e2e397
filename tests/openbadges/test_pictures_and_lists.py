"""Baking, pictures and status lists, with hostile input."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import struct
import time
import zlib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lti_badges.openbadges.bake import bake_png, bake_svg, unbake_png, unbake_svg
from lti_badges.openbadges.drawing import TIME_LIMIT_S, draw_svg
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.picture import checked_image, generated_svg, png_from_svg
from lti_badges.openbadges.status import LENGTH, decode, encode, is_set
from lti_badges.openbadges.svg import checked

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>'


def png(size: int = 40) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (size, size), "teal").save(out, "PNG")
    return out.getvalue()


def jpeg(size: int = 40) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size, size), "teal").save(out, "JPEG")
    return out.getvalue()


def svg(inside: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{inside}</svg>'.encode()


NOISE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="600"><filter id="a" x="0" y="0" '
    b'width="1" height="1"><feTurbulence baseFrequency="9" numOctaves="999999999"/></filter>'
    b'<rect width="600" height="600" filter="url(#a)"/></svg>'
)
# Each <use> shows ten of the one before: a picture of 10^40 circles in 2 kB.
USES = svg(
    '<g id="a0"><circle r="4"/></g>'
    + "".join(f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 10 + "</g>" for n in range(1, 41))
    + '<use href="#a40"/>'
)


@given(st.text(min_size=1))
def test_what_is_baked_in_a_png_comes_out_and_the_pixels_stay(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    baked = bake_png(bake_png(png(), "older"), text)
    assert unbake_png(baked) == text
    assert baked.count(b"openbadgecredential") == 1
    with Image.open(io.BytesIO(baked)) as shown, Image.open(io.BytesIO(png())) as plain:
        assert shown.tobytes() == plain.tobytes()


def test_every_chunk_keeps_a_right_checksum() -> None:
    data, at = bake_png(png(), "x" * 5000), 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        (crc,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert crc == zlib.crc32(body)
        at += 12 + length


@pytest.mark.parametrize("text", ["eyJhbGciOi.JSUzI1NiJ9.x_-y", '{"a": "]]> & <b>"}'])
def test_what_is_baked_in_an_svg_comes_out(text: str) -> None:
    baked = bake_svg(bake_svg(SVG, "older"), text)
    assert unbake_svg(baked) == text
    ET.fromstring(baked)
    assert baked.count("<openbadges:credential") == 1


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400))
def test_hostile_pictures_raise_only_what_is_promised(data: bytes) -> None:
    """Anything but a CredentialError ends the test; none of it is taken for a picture."""
    taken = 0
    for call in (
        lambda: bake_png(b"\x89PNG\r\n\x1a\n" + data, "x"),
        lambda: unbake_png(data),
        lambda: checked_image(data),
        lambda: checked_image(b"\x89PNG\r\n\x1a\n" + data),
        lambda: checked_image(b"<svg" + data),
        lambda: bake_svg(data.decode("latin-1"), "x"),
    ):
        with contextlib.suppress(CredentialError):
            call()
            taken += 1
    assert taken == 0


@settings(max_examples=20, deadline=None)
@given(st.text())
def test_a_medal_can_be_made_for_any_name(name: str) -> None:
    medal = generated_svg(name)
    ET.fromstring(medal)
    assert medal == generated_svg(f"  {name} ")
    checked(medal.encode())


def test_medals_become_pngs_and_differ() -> None:
    with Image.open(io.BytesIO(png_from_svg(generated_svg("Statistics"), 200))) as shown:
        assert shown.size == (200, 200)
    assert len({generated_svg(f"Badge {number}") for number in range(40)}) > 25


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GIF89a", "PNG, SVG or JPEG"),
        (b"<svg><script>alert(1)</script></svg>", "<script>"),
        (b'<svg onload="alert(1)"></svg>', "script"),
        (b'<svg><image href="https://evil.example/x.png"/></svg>', "outside"),
        (b"<svg><style>@import url(https://evil.example)</style></svg>", "outside itself"),
        (b'<svg><rect fill="url(https://evil.example#a)"/></svg>', "outside"),
        (b"<svg><foreignObject/></svg>", "foreignobject"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', "DOCTYPE"),
        (b"<svg><g></svg>", "well-formed"),
        (NOISE, "filters"),
        (svg('<circle r="4" style="fill: red; filter: blur(9px)"/>'), "filters"),
        (svg("<style>circle{filter:url(#a)}</style>"), "filters"),
        (svg("<g>" * 10_000 + "</g>" * 10_000), "nests too many"),
        (svg("<g>" * 100 + "</g>" * 100), "nests too many"),
        (svg("<g/>" * 30_000), "too many parts"),
        (svg('<image href="data:image/svg+xml;base64,AAAA"/>'), "outside"),
        (b"\xff\xd8\xffnonsense", "JPEG file is damaged"),
        (b"\x89PNG\r\n\x1a\nnonsense", "damaged"),
        (b"\x89PNG" + b"0" * 2_000_000, "larger than"),
    ],
)
def test_a_picture_that_can_not_be_used_is_refused_with_what_to_do(
    content: bytes, said: str
) -> None:
    with pytest.raises(CredentialError, match=said):
        checked_image(content)


def test_a_picture_of_too_many_pixels_is_refused_unread() -> None:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 6, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + png()[33:]
    with pytest.raises(CredentialError):
        checked_image(bomb)


def test_drawing_that_takes_too_long_or_too_much_ends_and_the_tool_goes_on() -> None:
    began = time.monotonic()
    for hostile in (USES.decode(), NOISE.decode()):
        with pytest.raises(CredentialError, match="can't be drawn"):
            draw_svg(hostile, 600)
    assert time.monotonic() - began < 2 * TIME_LIMIT_S + 10
    assert checked_image(svg('<circle r="4"/>'))[0] == "image/svg+xml"


def test_a_picture_decoded_to_more_than_its_size_is_refused() -> None:
    """A header within the limits, and lines that unpack to far more than it says."""
    packed = zlib.compress(bytes(400_000_000), 9)
    assert len(packed) < 1_000_000
    head = struct.pack(">IIBBBBB", 4000, 4000, 16, 6, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    with contextlib.suppress(CredentialError):  # decoded within the limits, or refused
        checked_image(bomb)
    assert checked_image(png()) == ("image/png", png())


def test_a_jpeg_becomes_a_png_and_a_jpeg_bomb_is_refused() -> None:
    media_type, made = checked_image(jpeg())
    assert media_type == "image/png"
    with Image.open(io.BytesIO(made)) as shown:
        assert (shown.format, shown.size) == ("PNG", (40, 40))
    small = jpeg()
    at = small.index(b"\xff\xc0") + 5
    bomb = small[:at] + struct.pack(">HH", 60_000, 60_000) + small[at + 4 :]
    with pytest.raises(CredentialError, match="too many pixels"):
        checked_image(bomb)


OLDER = (
    b"tEXtopenbadges\0https://older.example/1",
    b"tEXtopenbadgecredential\0older",
    b"zTXtopenbadges\0\0" + zlib.compress(b"older"),
    b"iTXtopenbadgecredential\0\0\0\0\0older",
    b"iTXtopenbadges\0\1\0\0\0" + zlib.compress(b"older"),
)


@pytest.mark.parametrize("older", OLDER)
def test_baking_replaces_older_credentials_of_every_kind(older: bytes) -> None:
    chunk = struct.pack(">I", len(older) - 4) + older + struct.pack(">I", zlib.crc32(older))
    before = png()[:33] + chunk + png()[33:]
    assert "older" in str(unbake_png(before) or unbake_png(before, "openbadges"))
    baked = bake_png(before, "new", "https://new.example/2")
    assert unbake_png(baked) == "new"
    assert unbake_png(baked, "openbadges") == "https://new.example/2"
    assert baked.count(b"openbadge") == 2
    assert b"older" not in baked


@pytest.mark.parametrize("cut", [40, -1, -12, -20])
def test_a_png_that_ends_early_is_not_baked(cut: int) -> None:
    with pytest.raises(CredentialError, match="not a whole PNG"):
        bake_png(png()[:cut], "x")


def test_a_text_bomb_in_a_png_is_not_unpacked() -> None:
    body = b"zTXtopenbadges\0\0" + zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(CredentialError, match="too large"):
        unbake_png(png()[:33] + chunk + png()[33:], "openbadges")


@pytest.mark.parametrize(
    "picture",
    [
        '<!-- <svg> --><svg xmlns="http://www.w3.org/2000/svg"><g/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" aria-label="a > b"><g/></svg>',
        '<s:svg xmlns:s="http://www.w3.org/2000/svg"><s:g/></s:svg>',
        '<?xml version="1.0" encoding="UTF-8"?><svg xmlns="http://www.w3.org/2000/svg"><g/></svg>',
        (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:ob="https://purl.imsglobal.org/ob/v3p0">'
            '<g><ob:credential verify="older"/></g><g/></svg>'
        ),
        (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:openbadges="http://openbadges.org">'
            '<openbadges:assertion verify="https://older.example/1"/><g/></svg>'
        ),
    ],
)
def test_baking_an_svg_minds_its_xml(picture: str) -> None:
    baked = bake_svg(picture, "eyJ.new.x")
    assert unbake_svg(baked) == "eyJ.new.x"
    root = ET.fromstring(baked)
    assert root[0].tag == "{https://purl.imsglobal.org/ob/v3p0}credential"
    assert root[0].get("verify") == "eyJ.new.x"
    assert "older" not in baked
    assert baked.count('xmlns:openbadges="https://purl.imsglobal.org/ob/v3p0"') == 1
    assert baked.index("xmlns:openbadges") < baked.index(">", baked.index("svg "))
    assert unbake_svg(bake_svg(baked, '{"a": 1}')) == '{"a": 1}'


def test_entities_of_a_picture_are_not_expanded() -> None:
    with pytest.raises(CredentialError, match="DOCTYPE"):
        unbake_svg('<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>')


@given(st.sets(st.integers(0, LENGTH - 1), max_size=50))
def test_a_status_list_tells_exactly_who_is_revoked(revoked: set[int]) -> None:
    encoded = encode(revoked)
    bits = decode(encoded)
    assert len(bits) * 8 == LENGTH >= 131_072
    assert sum(byte.bit_count() for byte in bits) == len(revoked)
    assert all(is_set(encoded, index) for index in revoked)


def test_the_first_bit_is_the_leftmost() -> None:
    assert decode(encode([0]))[0] == 0b1000_0000
    assert decode(encode([7, 8]))[:2] == bytes([1, 0b1000_0000])


@pytest.mark.parametrize("index", [-1, LENGTH, 10**9])
def test_a_place_outside_the_list_is_an_error(index: int) -> None:
    with pytest.raises(CredentialError):
        is_set(encode([]), index)


def test_lists_that_are_none_or_bombs_are_refused() -> None:
    bomb = "u" + base64.urlsafe_b64encode(gzip.compress(bytes(50_000_000))).decode()
    for encoded in ("", "x", "u", "u!!!", "uAAAA", bomb):
        with pytest.raises(CredentialError):
            is_set(encoded, 0)
