"""What a row of Moodle's gradebook says.

Source: Moodle 4.5, grade/report/user/classes/report/user.php (`gradeitemsdata`). Scales arrive as
numbers, their words in `gradeformatted`, which holds HTML (a pass icon) and the site's language.
"""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction
from html import unescape
from typing import Any

from lti_badges.core import clock
from lti_badges.lms.rest import number
from lti_badges.values.course import COURSE_GRADE_KEY, Result, ResultState

ITEM_PREFIX = "moodle-item:"
_TAG = re.compile(r"<[^>]*>")
_BRACKET = re.compile(r"\s*[(（][^()（）]*[)）]\s*$")
_NUMBER = re.compile(r"-?\d+(?:[.,٫]\d+)?")


def item_key(item: dict[str, Any]) -> str:
    """The key of a grade item's gradable."""
    return (
        COURSE_GRADE_KEY if item.get("itemtype") == "course" else f"{ITEM_PREFIX}{item.get('id')}"
    )


def maximum_of(item: dict[str, Any]) -> Fraction | None:
    """Points between the item's minimum and maximum."""
    top, floor = number(item.get("grademax")), number(item.get("grademin")) or Fraction(0)
    return None if top is None else top - floor


def is_worded(item: dict[str, Any]) -> bool:
    """Whether it is graded by a scale, or shown in letters."""
    return item.get("scaleid") is not None or mark_of(item) is not None


def mark_of(item: dict[str, Any]) -> str | None:
    """The grade in words: of a scale, or a letter of the site's, which may be a number too (“1,3”);
    None for plain points or per cent."""
    if item.get("graderaw") is None:
        return None
    shown = unescape(_TAG.sub("", str(item.get("gradeformatted") or ""))).strip()
    if item.get("scaleid") is None:
        letter = str(item.get("lettergradeformatted") or "").strip()
        # “A- (92.00 %)” is a letter with its percentage
        shown = _BRACKET.sub("", shown).strip()
        shown = letter if _is_points(shown, item) and letter not in {"", "-"} else shown
        if _is_points(shown, item):
            return None
    return shown if shown and shown != "-" else None


def result_of(key: str, sub: str, item: dict[str, Any], read_at: datetime) -> Result:
    """Raw points above the minimum: the formatted texts are localised and rounded."""
    raw, floor = number(item.get("graderaw")), number(item.get("grademin")) or Fraction(0)
    score = None if raw is None else raw - floor
    if item.get("gradeishidden") or item.get("gradehiddenbydate"):
        state = ResultState.HIDDEN
    elif item.get("gradeneedsupdate"):
        state = ResultState.PENDING
    elif score is None:
        state = ResultState.MISSING
    else:
        state = ResultState.GRADED
    return Result(
        key,
        sub,
        state,
        score,
        maximum_of(item),
        read_at,
        mark=mark_of(item),
        graded_at=clock.told(item.get("gradedategraded")),
        submitted_at=clock.told(item.get("gradedatesubmitted")),
    )


def _is_points(shown: str, item: dict[str, Any]) -> bool:
    """Whether a text is the raw points, or their share in per cent, as the site rounds them."""
    text = shown.replace("%", "").replace("\N{NO-BREAK SPACE}", "").strip()
    if not _NUMBER.fullmatch(text):
        return not any(letter.isalnum() for letter in text)
    plain = text.replace(",", ".").replace("٫", ".")
    told, raw = number(plain), number(item.get("graderaw"))
    if told is None or raw is None:
        return True
    close = Fraction(1, 2 * 10 ** len(plain.partition(".")[2])) + Fraction(1, 10**6)
    span = maximum_of(item)
    floor = number(item.get("grademin")) or Fraction(0)
    share = None if not span else (raw - floor) / span * 100
    return any(each is not None and abs(told - each) <= close for each in (raw, share))
