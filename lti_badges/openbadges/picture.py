"""Badge pictures: a generated one from a name, and the check of an uploaded one."""

from __future__ import annotations

import hashlib
import math
import struct

import resvg_py

from lti_badges.openbadges.drawing import (
    MAX_PIXELS,
    TOO_MANY_PIXELS,
    check_png,
    draw_svg,
    png_from_jpeg,
)
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.svg import checked

SIZE = 600
MAX_BYTES = 1_000_000
PNG_TYPE, SVG_TYPE = "image/png", "image/svg+xml"

# (deep, bright, light) of each palette, chosen to hold on white and on dark pages alike.
PALETTES = (
    ("#1e3a8a", "#3b82f6", "#dbeafe"),
    ("#115e59", "#14b8a6", "#ccfbf1"),
    ("#581c87", "#a855f7", "#f3e8ff"),
    ("#9a3412", "#f97316", "#ffedd5"),
    ("#831843", "#ec4899", "#fce7f3"),
    ("#14532d", "#22c55e", "#dcfce7"),
    ("#78350f", "#eab308", "#fef9c3"),
    ("#0c4a6e", "#0ea5e9", "#e0f2fe"),
    ("#7f1d1d", "#ef4444", "#fee2e2"),
    ("#312e81", "#6366f1", "#e0e7ff"),
)
# Emblems on a 100 × 100 field: shapes, no letters, so that no font is needed anywhere.
EMBLEMS = (
    # star, tick, bolt, flame, book, mountain, trophy, hexagon, heart, leaf
    "M50 6 61.6 34.1 91.8 36.4 68.7 56 75.9 85.5 50 69.5 24.1 85.5 31.3 56 8.2 36.4 38.4 34.1Z",
    "M18 52 30 40 43 53 71 24 83 36 43 77Z",
    "M56 4 20 56 44 56 38 96 80 40 54 40Z",
    (
        "M50 8C58 26 80 34 80 60A30 30 0 0 1 20 60C20 46 28 40 33 30 38 40 43 42 45 42"
        " 44 30 44 18 50"
        " 8Z"
    ),
    (
        "M10 24C24 18 38 18 47 26L47 84C38 76 24 76 10 82ZM90 24C76 18 62 18 53 26L53"
        " 84C62 76 76 76"
        " 90 82Z"
    ),
    "M6 80 38 26 54 52 64 38 94 80Z",
    (
        "M24 14H76V24H92C92 44 82 54 72 56 68 64 62 68 56 70V80H70V90H30V80H44V70C38 68"
        " 32 64 28 56 18"
        " 54 8 44 8 24H24ZM18 32C19 40 22 44 26 46L24 32ZM82 32H76L74 46C78 44 81 40 82 32Z"
    ),
    "M50 8 88 30V70L50 92 12 70V30ZM50 26 28 39V61L50 74 72 61V39Z",
    "M50 90C10 62 8 40 16 28 26 14 44 20 50 34 56 20 74 14 84 28 92 40 90 62 50 90Z",
    "M82 10C84 50 66 78 30 78L20 92 10 86C26 62 42 48 62 36 40 42 26 54 20 64 14 30 44 12 82 10Z",
)


def generated_svg(name: str) -> str:
    """A medal whose shape, colours and emblem follow from the name: the same name, the same one."""
    digest = hashlib.sha256(" ".join(name.split()).casefold().encode()).digest()
    deep, bright, light = PALETTES[digest[0] % len(PALETTES)]
    emblem = EMBLEMS[digest[1] % len(EMBLEMS)]
    points = (12, 16, 20, 24)[digest[2] % 4]
    edge = _scalloped(points, 232, 20) if digest[3] % 2 else _scalloped(points * 2, 234, 11)
    rays = "".join(
        f'<path d="M300 250L{300 + 190 * math.cos(a):.1f} {250 + 190 * math.sin(a):.1f}'
        f'L{300 + 190 * math.cos(b):.1f} {250 + 190 * math.sin(b):.1f}Z"/>'
        for a, b in ((i * math.pi / 12, (i + 0.5) * math.pi / 12) for i in range(0, 48, 2))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" '
        f'width="{SIZE}" height="{SIZE}" role="img">'
        "<defs>"
        + _gradient("r", "1", bright, deep)
        + _gradient("f", "0", deep, bright)
        + '<clipPath id="c"><circle cx="300" cy="250" r="178"/></clipPath></defs>'
        f'<g fill="{deep}"><path d="M190 400 150 588 228 548 268 596 312 420Z"/>'
        '<path d="M410 400 450 588 372 548 332 596 288 420Z"/></g>'
        f'<g fill="{bright}" opacity=".55"><path d="M190 400 150 588 186 570 236 410Z"/>'
        '<path d="M410 400 450 588 414 570 364 410Z"/></g>'
        f'<path d="{edge}" fill="url(#r)"/>'
        f'<circle cx="300" cy="250" r="196" fill="{light}"/>'
        '<circle cx="300" cy="250" r="178" fill="url(#f)"/>'
        f'<g clip-path="url(#c)" fill="#fff" opacity=".07">{rays}</g>'
        f'<circle cx="300" cy="250" r="178" fill="none" stroke="{light}" stroke-opacity=".5" '
        'stroke-width="3" stroke-dasharray="3 9" stroke-linecap="round"/>'
        f'<g transform="translate(190 140) scale(2.2)"><path d="{emblem}" fill="#fff" '
        'fill-rule="evenodd" stroke="#fff" stroke-width="3" stroke-linejoin="round"/></g>'
        "</svg>"
    )


def png_from_svg(svg: str, size: int = SIZE) -> bytes:
    """A picture of our own as PNG, `size` pixels square; one from outside goes through `draw_svg`.
    Raises CredentialError."""
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size))
    except ValueError as error:
        raise CredentialError("The SVG picture can't be drawn.") from error


def checked_image(content: bytes) -> tuple[str, bytes]:
    """(media type, bytes) of an uploaded PNG, SVG or JPEG, which becomes a PNG. Raises
    CredentialError saying what to do."""
    if len(content) > MAX_BYTES:
        raise CredentialError("The picture is larger than 1 MB; make it smaller.")
    if content.startswith(b"\x89PNG"):
        _refuse_large_header(content)
        check_png(content)
        return PNG_TYPE, content
    if content.startswith(b"\xff\xd8\xff"):
        made = png_from_jpeg(content)
        if len(made) > 4 * MAX_BYTES:
            raise CredentialError(TOO_MANY_PIXELS)
        return PNG_TYPE, made
    if b"<svg" in content[:4096].lower():
        return SVG_TYPE, _checked_svg(content)
    raise CredentialError("The picture must be a PNG, SVG or JPEG file.")


def _refuse_large_header(content: bytes) -> None:
    """Before anything is decoded: the size stands in the first chunk."""
    if len(content) < 24 or content[12:16] != b"IHDR":
        raise CredentialError("The PNG file is damaged; export it anew.")
    width, height = struct.unpack(">II", content[16:24])
    if width * height > MAX_PIXELS:
        raise CredentialError(TOO_MANY_PIXELS)


def _checked_svg(content: bytes) -> bytes:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise CredentialError("The SVG file must be in UTF-8.") from None
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        raise CredentialError("The SVG file declares a DOCTYPE; export it as plain SVG.")
    checked(content)
    draw_svg(text, 64)
    return content


def _gradient(name: str, across: str, first: str, last: str) -> str:
    return (
        f'<linearGradient id="{name}" x1="0" y1="0" x2="{across}" y2="1">'
        f'<stop offset="0" stop-color="{first}"/><stop offset="1" stop-color="{last}"/>'
        "</linearGradient>"
    )


def _scalloped(points: int, radius: float, depth: float) -> str:
    """A circle's edge in waves, as a path."""
    steps = points * 8
    path = []
    for step in range(steps):
        angle = 2 * math.pi * step / steps
        reach = radius + depth * math.cos(points * angle)
        path.append(f"{300 + reach * math.cos(angle):.1f} {250 + reach * math.sin(angle):.1f}")
    return f"M{'L'.join(path)}Z"
