"""Brightspace's gradebook: items, exemptions, and a final grade that counts only when it is one.

Source: Valence reference, grades. Quirks: a grade that nobody gave is null in a list and 404 alone;
with “treat ungraded items as 0” off, one quiz of ten makes a final grade of 100 %; the final grade
counts once it is released; letters stand in `DisplayedGrade`, beside points or without any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from lti_badges.core import clock
from lti_badges.core.errors import Gone
from lti_badges.core.text import as_text
from lti_badges.lms.brightspace.further_sources import next_objects
from lti_badges.lms.rest import Rest, id_of, key_of, number, rows
from lti_badges.values.course import COURSE_GRADE_KEY, Gradable, Kind, Result, ResultState

GRADES = "Brightspace grades"
ITEM_PREFIX = "brightspace-grade:"
IN_WORDS = frozenset({"PassFail", "SelectBox", "Text"})
PAGE = {"pageSize": "200"}
_NUMERIC = re.compile(r"[\d.,%/()\s\-–]*")


class Gradebook:
    """An org unit's. `path` is its address in the le API; `who` are LTI ids by Valence ids."""

    def __init__(self, rest: Rest, path: str) -> None:
        self._rest = rest
        self._path = path

    def items(self, own: frozenset[str]) -> Iterator[Gradable]:
        """All grade items and the final grade. `own` are names of columns that this tool wrote."""
        for row in rows(self._rest.json(f"{self._path}/grades/")):
            name = str(row.get("Name") or "Untitled grade item")
            yield Gradable(
                Kind.ITEM,
                key_of(ITEM_PREFIX, row, "Id"),
                name,
                number(row.get("MaxPoints")),
                GRADES,
                is_own=name in own,
                in_words=as_text(row.get("GradeType")) in IN_WORDS,
                is_hidden=bool(row.get("IsHidden")) or _is_ahead(row),
            )
        yield Gradable(Kind.COURSE_GRADE, COURSE_GRADE_KEY, "Final grade", None, GRADES)

    def values(
        self, gradable: Gradable, who: Mapping[str, str], *, alone: bool
    ) -> Iterator[Result]:
        """Of these learners; `alone` where it is one who is waiting for a page."""
        ref = _ref(gradable)
        exempt = set() if gradable.kind is Kind.COURSE_GRADE else self._exempt(ref)
        open_for = self._not_final(who, alone) if gradable.kind is Kind.COURSE_GRADE else set()
        for user in exempt & set(who):
            yield Result(
                gradable.key, who[user], ResultState.EXCUSED, None, gradable.maximum, clock.now()
            )
        for user, value in self._values(ref, who, alone=alone):
            if user in who and user not in exempt:
                yield _result(gradable, who[user], value, is_open=user in open_for)

    def _not_final(self, who: Mapping[str, str], alone: bool) -> set[str]:
        """Learners whose final grade leaves out items that nobody graded yet: it stands for what
        was graded only, and may still fall."""
        setup = self._rest.json(f"{self._path}/grades/setup/")
        if isinstance(setup, dict) and setup.get("IsNullGradeZero") is True:
            return set()
        left: set[str] = set()
        for row in rows(self._rest.json(f"{self._path}/grades/")):
            if row.get("IsBonus") or row.get("ExcludeFromFinalGradeCalculation"):
                continue
            if row.get("GradeType") == "Text":  # no part of any calculation
                continue
            ref = id_of(row, "Id")
            graded = {user for user, _ in self._values(ref, who, alone=alone)}
            left |= set(who) - graded - self._exempt(ref)
        return left

    def _exempt(self, ref: str) -> set[str]:
        found = self._rest.json(f"{self._path}/grades/{quote(ref, safe='')}/exemptions/")
        listed = rows(found, "Objects") if isinstance(found, dict) else rows(found)
        return {str(row.get("UserId", row.get("Identifier"))) for row in listed}

    def _values(
        self, ref: str, who: Mapping[str, str], *, alone: bool
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        base = f"{self._path}/grades/{quote(ref, safe='')}/values/"
        if alone:
            for user in who:
                try:
                    value = self._rest.json(f"{base}{quote(user, safe='')}")
                except Gone:  # no grade yet
                    continue
                if isinstance(value, dict):
                    yield user, value
            return
        for answer in self._rest.addressed(base, PAGE, next_objects):
            for row in rows(answer, "Objects"):
                person, value = row.get("User"), row.get("GradeValue")
                if isinstance(person, dict) and isinstance(value, dict):
                    yield str(person.get("Identifier")), value


def _ref(gradable: Gradable) -> str:
    final = gradable.kind is Kind.COURSE_GRADE
    return "final" if final else gradable.key.removeprefix(ITEM_PREFIX)


def _result(gradable: Gradable, sub: str, value: Mapping[str, Any], *, is_open: bool) -> Result:
    """Points where there are any, else the weighted share; letters and ticks have none."""
    score, maximum = number(value.get("PointsNumerator")), number(value.get("PointsDenominator"))
    if score is None or not maximum:
        score = number(value.get("WeightedNumerator"))
        maximum = number(value.get("WeightedDenominator"))
    final = gradable.kind is Kind.COURSE_GRADE
    mark = _symbol(value.get("DisplayedGrade")) if gradable.in_words or final else None
    state = ResultState.GRADED
    if mark is None and (score is None or not maximum):
        state = ResultState.PENDING if value.get("DisplayedGrade") else ResultState.MISSING
    elif gradable.is_hidden or (final and value.get("ReleasedDate") is None):
        state = ResultState.HIDDEN
    elif is_open:
        state = ResultState.PENDING
    return Result(
        gradable.key,
        sub,
        state,
        score,
        maximum,
        clock.now(),
        mark,
        graded_at=clock.told(value.get("LastModified")),
        posted_at=clock.told(value.get("ReleasedDate")),
    )


def _symbol(shown: object) -> str | None:
    """“A-” of “A-” and of “92 % (A-)”; None where only a number is shown."""
    text = str(shown or "").strip()
    if not text or _NUMERIC.fullmatch(text):
        return None
    letters = re.sub(r"\d+(?:[.,]\d+)?\s*(?:%|/\s*\d+(?:[.,]\d+)?)?", "", text)
    return letters.strip(" ,;()/") or None


def _is_ahead(row: Mapping[str, Any]) -> bool:
    """Whether learners see the item only from a later day on."""
    availability = row.get("Availability")
    start = availability.get("StartDate") if isinstance(availability, dict) else None
    begins = clock.told(start)
    return begins is not None and begins > clock.now()
