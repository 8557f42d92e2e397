"""An institution's accent colour on our pages: readable in light and in dark, or refused.

Contrast is that of WCAG 2.2 (§1.4.3): 4.5 for text of any size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from lti_badges.core.errors import InvalidInput

NEEDED = 4.5
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
LIGHT = ("#ffffff", "#f4f6fa")
DARK = ("#1b1f29", "#12151c")
DARK_INK = "#10182e"
"""What text stands on, and what stands on a button in the dark: as in `app.css`."""
_STEPS = 25
_Rgb = tuple[int, int, int]
_HEX = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Accent:
    """The colour of links and buttons, what is written on it, and its pale surface."""

    colour: str
    ink: str
    wash: str


@dataclass(frozen=True, slots=True)
class Accents:
    """For light pages as chosen, for dark ones as much lighter as it must be."""

    light: Accent
    dark: Accent

    @property
    def style(self) -> str:
        """As a style sheet over `app.css`."""
        return (
            f":root {{ {_variables(self.light)} }}\n"
            f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(self.dark)} }} }}\n"
        )


def accents(colour: str) -> Accents:
    """The pair of accents for a colour, `#2f54c8` or `2F54C8`. Raises InvalidInput for one that
    can't be read on white, and names the nearest darker one that can."""
    chosen = colour.strip().lower()
    chosen = chosen if chosen.startswith("#") else f"#{chosen}"
    if not _HEX.fullmatch(chosen):
        raise InvalidInput(
            f"“{colour.strip()[:20]}” is not a colour; write it as #2f54c8.", field="colour"
        )
    light = _light(chosen)
    if (found := _least(light, LIGHT)) < NEEDED:
        darker = next(
            each.colour
            for step in range(1, _STEPS + 1)
            if _least(each := _light(_mixed(chosen, BLACK, step)), LIGHT) >= NEEDED
        )
        raise InvalidInput(
            f"{chosen} is too light to be read on our pages: its contrast is {found:.1f}, and "
            f"{NEEDED} is needed. {darker} is the nearest that can be read.",
            field="colour",
        )
    dark = next(
        each
        for step in range(_STEPS + 1)
        if _least(each := _dark(_mixed(chosen, WHITE, step)), DARK) >= NEEDED
    )
    return Accents(light, dark)


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black and white)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _light(colour: str) -> Accent:
    return Accent(colour, "#ffffff", _blend(colour, LIGHT[0], Fraction(1, 10)))


def _dark(colour: str) -> Accent:
    return Accent(colour, DARK_INK, _blend(colour, DARK[0], Fraction(1, 5)))


def _least(accent: Accent, surfaces: tuple[str, ...]) -> float:
    """The lowest contrast that the accent has with anything it stands on or that stands on it."""
    return min(contrast(accent.colour, each) for each in (*surfaces, accent.wash, accent.ink))


def _mixed(colour: str, toward: _Rgb, step: int) -> str:
    return _blend(_hex(toward), colour, Fraction(step, _STEPS))


def _blend(colour: str, ground: str, share: Fraction) -> str:
    pairs = zip(_rgb(colour), _rgb(ground), strict=True)
    red, green, blue = (round(over * share + under * (1 - share)) for over, under in pairs)
    return _hex((red, green, blue))


def _luminance(colour: str) -> float:
    """Relative luminance. WCAG 2.2, definitions."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (each / 255 for each in _rgb(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> _Rgb:
    number = int(colour[1:], 16)
    return number >> 16, number >> 8 & 255, number & 255


def _hex(rgb: _Rgb) -> str:
    red, green, blue = rgb
    return f"#{red:02x}{green:02x}{blue:02x}"


def _variables(accent: Accent) -> str:
    return f"--accent: {accent.colour}; --accent-ink: {accent.ink}; --accent-wash: {accent.wash};"
