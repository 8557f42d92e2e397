"""Baking, pictures and status lists, with hostile input."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import struct
import zlib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lti_badges.openbadges.bake import bake_png, bake_svg, unbake_png, unbake_svg
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.picture import checked_image, generated_svg, png_from_svg
from lti_badges.openbadges.status import LENGTH, decode, encode, is_set

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>'


def png(size: int = 40) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (size, size), "teal").save(out, "PNG")
    return out.getvalue()


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


@given(st.binary(max_size=400))
def test_hostile_pictures_raise_only_what_is_promised(data: bytes) -> None:
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


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_a_medal_can_be_made_for_any_name(name: str) -> None:
    svg = generated_svg(name)
    ET.fromstring(svg)
    assert svg == generated_svg(f"  {name} ")
    checked_image(svg.encode())


def test_medals_become_pngs_and_differ() -> None:
    with Image.open(io.BytesIO(png_from_svg(generated_svg("Statistics"), 200))) as shown:
        assert shown.size == (200, 200)
    assert len({generated_svg(f"Badge {number}") for number in range(40)}) > 25


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GIF89a", "PNG or an SVG"),
        (b"<svg><script>alert(1)</script></svg>", "<script>"),
        (b'<svg onload="alert(1)"></svg>', "script"),
        (b'<svg><image href="https://evil.example/x.png"/></svg>', "outside"),
        (b"<svg><style>@import url(https://evil.example)</style></svg>", "outside itself"),
        (b'<svg><rect fill="url(https://evil.example#a)"/></svg>', "outside"),
        (b"<svg><foreignObject/></svg>", "foreignobject"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', "DOCTYPE"),
        (b"<svg><g></svg>", "well-formed"),
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
