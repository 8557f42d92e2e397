"""Drawing and decoding pictures from outside in a process that can be killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import BoundedSemaphore

from lti_badges.openbadges.draw_process import TOO_MANY
from lti_badges.openbadges.errors import CredentialError

MAX_PIXELS = 4096 * 4096
TOO_MANY_PIXELS = "The picture has too many pixels; 600 × 600 is plenty."
TIME_LIMIT_S = 20
"""Of the clock; the process itself ends after 6 s of computing."""
_PROGRAM = Path(__file__).with_name("draw_process.py")
# However many pictures come at once, two are drawn at a time.
_at_once = BoundedSemaphore(2)


def draw_svg(svg: str, size: int) -> bytes:
    """An SVG as PNG, `size` pixels square. Raises CredentialError."""
    return _run(svg.encode(), "svg", size, "The SVG picture can't be drawn; export it simpler.")


def check_png(content: bytes) -> None:
    """Decode a PNG whole. Raises CredentialError."""
    _run(content, "png", MAX_PIXELS, "The PNG file is damaged; export it anew.")


def png_from_jpeg(content: bytes) -> bytes:
    """A JPEG as PNG. Raises CredentialError."""
    return _run(content, "jpeg", MAX_PIXELS, "The JPEG file is damaged; export it anew.")


def _run(content: bytes, what: str, number: int, failed: str) -> bytes:
    with _at_once:
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-I", str(_PROGRAM), what, str(number)],
                input=content,
                capture_output=True,
                timeout=TIME_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CredentialError(failed) from None
    if done.returncode == TOO_MANY:
        raise CredentialError(TOO_MANY_PIXELS)
    if done.returncode != 0:
        raise CredentialError(failed)
    return done.stdout
