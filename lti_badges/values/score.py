"""Exact numbers: the one parser of numbers from outside, and how they read in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MAX_DIGITS = 40
MAX_EXPONENT = 12


@dataclass(frozen=True, slots=True)
class Points:
    """A score of a maximum, and how many points were needed."""

    score: Fraction
    maximum: Fraction
    needed: Fraction


def exact(number: object) -> Fraction:
    """The number as a Fraction, from int, float, Decimal, Fraction or plain decimal text.

    A float counts as what it prints (0.1 is one tenth), as JSON meant it.
    Raises ValueError for anything not finite, absurdly long or not a number: a score of
    `1e30000000` from outside must cost nothing.
    """
    if isinstance(number, Fraction):
        return number
    if isinstance(number, bool) or not isinstance(number, (int, float, str, Decimal)):
        raise ValueError(f"not a number: {number!r:.40}")
    text = number if isinstance(number, str) else repr(number) if isinstance(number, float) else ""
    try:
        if isinstance(number, int):
            decimal = Decimal(number) if abs(number) < 10**MAX_DIGITS else Decimal("NaN")
        else:
            decimal = Decimal(text.strip()) if text else Decimal(number)
    except InvalidOperation:
        raise ValueError(f"not a number: {number!r:.40}") from None
    if not decimal.is_finite():
        raise ValueError(f"not a finite number: {number!r:.40}")
    _, digits, exponent = decimal.as_tuple()
    if len(digits) > MAX_DIGITS or abs(int(exponent)) > MAX_EXPONENT + len(digits):
        raise ValueError(f"a number out of all measure: {number!r:.40}")
    return Fraction(decimal)


def parse_percent(text: str) -> Fraction:
    """`"80"`, `"80 %"` or `"82,5"` as a share in (0, 1]. Raises ValueError with a sentence."""
    cleaned = text.strip().removesuffix("%").strip().replace(",", ".")
    try:
        share = exact(cleaned) / 100
    except ValueError:
        raise ValueError(
            f"“{text[:20]}” is not a percentage; write a number from 1 to 100"
        ) from None
    if not 0 < share <= 1:
        raise ValueError("a percentage must be more than 0 and at most 100")
    return share


def plain(number: Fraction, places: int = 4) -> str:
    """For people: `46`, `2.4`, `66.6667`; no trailing zeros."""
    text = f"{float(round(number, places)):.{places}f}" if abs(number) < 10**12 else str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: Fraction, places: int = 2) -> str:
    """For people: `80 %`, `66.67 %`. Rounded down, so that 79.999 % never reads as 80 %."""
    scaled = share * 100 * 10**places
    floored = Fraction(scaled.numerator // scaled.denominator, 10**places)
    return f"{plain(floored, places)} %"
