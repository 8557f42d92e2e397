"""A row of Blackboard's gradebook as a result.

Source: Learn OpenAPI 3900.65. `displayGrade` is what counts, top-level `score` is an override only;
whether `score` of the scale “Percent” is a percentage or points is told by the `text` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lti_badges.core import clock
from lti_badges.core.text import as_text
from lti_badges.lms.rest import number
from lti_badges.values.course import Gradable, Result, ResultState

WORDS = frozenset({"Tabular", "Text", "CompleteIncomplete"})
HUNDRED = Fraction(100)
_PERCENT = re.compile(r"^\s*(\d{1,6})(?:[.,](\d{1,6}))?\s*%\s*$")


def result_of(gradable: Gradable, sub: str, row: Mapping[str, Any]) -> Result:
    """What the learner sees (`displayGrade`), points of the column's own maximum."""
    shown = row.get("displayGrade")
    shown = shown if isinstance(shown, dict) else {}
    score, maximum = number(shown.get("score")), number(shown.get("possible")) or gradable.maximum
    words = str(shown.get("text") or "").strip() if as_text(shown.get("scaleType")) in WORDS else ""
    state = ResultState.MISSING if score is None and not words else ResultState.GRADED
    if shown.get("scaleType") == "Percent" and score is not None:
        told = percent_scale(score, maximum, shown.get("text"))
        state = ResultState.PENDING if told is None else state
        maximum = told or maximum
    if row.get("exempt"):
        state = ResultState.EXCUSED
    elif row.get("corrupt") or row.get("status") == "NeedsGrading":
        state = ResultState.PENDING
    if gradable.is_hidden and state is ResultState.GRADED:
        state = ResultState.HIDDEN
    if words:  # letters and ticks: what stands beside them as score is the schema's, not the work's
        return Result(gradable.key, sub, state, None, maximum, clock.now(), words)
    return Result(gradable.key, sub, state, score, maximum, clock.now())


def percent_scale(score: Fraction, maximum: Fraction | None, text: object) -> Fraction | None:
    """What `score` is out of: 100 or the column's maximum, whichever makes the percentage that
    `text` shows. None where that can't be told: such a grade is not judged by."""
    if maximum == HUNDRED or score == 0:
        return maximum or HUNDRED
    shown = _PERCENT.match(str(text or ""))
    if shown is None:
        return None
    decimals = shown.group(2) or ""
    percent = Fraction(f"{shown.group(1)}.{decimals or 0}")
    off = Fraction(1, 10 ** len(decimals))  # shown rounded or cut off
    scales = [HUNDRED, *([maximum] if maximum else [])]
    apart, scale = min((abs(score / each * 100 - percent), each) for each in scales)
    return scale if apart <= off else None
