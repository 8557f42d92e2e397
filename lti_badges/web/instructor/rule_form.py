"""The form of a rule: from its fields to a criterion, and from a criterion to its fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.queries.sources import Source
from lti_badges.rules import (
    ActivityCompleted,
    AllOf,
    AnyOf,
    AtLeastN,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    MarkIsOneOf,
    MemberOf,
    OnFall,
    Policy,
    ScoreAtLeast,
)
from lti_badges.rules.policy import MAX_GRACE_DAYS, MAX_SETTLE_MINUTES, MAX_VALID_DAYS
from lti_badges.values.badge import AchievementRef
from lti_badges.values.course import Kind
from lti_badges.values.score import parse_percent, plain

MAX_ROWS = 20
MAX_MARK = 100
DEFAULT_PERCENT = "80"
GROUPS = GRADED, COURSE, COMPLETED, PEOPLE, HELD = (
    "Grade items",
    "Course",
    "Activities completed",
    "Sections and groups",
    "Badges held",
)


@dataclass(frozen=True, slots=True)
class Option:
    """One thing a condition can look at, called `name` in the course. `graded` ones take a
    percentage, `worded` ones a list of marks."""

    value: str
    label: str
    group: str
    graded: bool = False
    worded: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One condition as the form shows it."""

    number: int
    value: str
    percent: str = DEFAULT_PERCENT
    marks: str = ""


@dataclass(frozen=True, slots=True)
class RuleFields:
    """The form's whole content. `join` is all, any or n."""

    achievement_id: str = ""
    lines: tuple[Line, ...] = (Line(1, ""),)
    join: str = "all"
    n: str = "2"
    policy: Policy = field(default_factory=Policy)


def options_for(sources: Sequence[Source], badges: Sequence[AchievementRef]) -> list[Option]:
    """What the form offers, grouped, in the order people look for it."""
    found = []
    for source in sources:
        if not source.present or source.is_own:
            continue
        if source.kind is Kind.ITEM:
            maximum = f" (of {source.maximum})" if source.maximum else ""
            found.append(
                Option(
                    f"item:{source.key}",
                    source.label + maximum,
                    GRADED,
                    graded=True,
                    name=source.label,
                )
            )
            if source.in_words:
                label = f"{source.label}, graded in words"
                found.append(
                    Option(f"mark:{source.key}", label, GRADED, worded=True, name=source.label)
                )
        elif source.kind is Kind.GROUP:
            found.append(Option(f"group:{source.key}", source.label, PEOPLE, name=source.label))
        elif source.kind is Kind.COURSE_GRADE:
            found.append(Option("course_grade:", "Course grade", COURSE, graded=True))
            if source.in_words:
                label = "Course grade, in words"
                found.append(
                    Option(f"mark:{source.key}", label, COURSE, worded=True, name=source.label)
                )
        elif source.kind is Kind.COMPLETION:
            found.append(Option("completion:", "Course completed", COURSE))
        else:
            found.append(
                Option(f"activity:{source.key}", source.label, COMPLETED, name=source.label)
            )
    found += [Option(f"badge:{each.id}", each.name, HELD, name=each.name) for each in badges]
    return sorted(found, key=lambda option: GROUPS.index(option.group))


def read_fields(form: Mapping[str, str]) -> RuleFields:
    """The fields as they were sent; nothing is judged yet."""
    lines = [
        Line(
            number,
            form[f"source-{number}"],
            form.get(f"percent-{number}", ""),
            form.get(f"marks-{number}", ""),
        )
        for number in range(1, MAX_ROWS + 1)
        if f"source-{number}" in form
    ]
    return RuleFields(
        achievement_id=form.get("achievement", ""),
        lines=tuple(lines) or (Line(1, ""),),
        join=form.get("join", "all"),
        n=form.get("n", "1"),
        policy=_policy(form),
    )


def criterion_of(fields: RuleFields, options: Sequence[Option]) -> Criterion:
    """The criterion that the fields mean. Raises InvalidInput naming the field."""
    known = {option.value: option for option in options}
    parts = [_leaf(line, known) for line in fields.lines if line.value]
    if not parts:
        raise InvalidInput("Choose what the badge is for.", field="source-1")
    if len(set(parts)) < len(parts):
        raise InvalidInput("Two of the conditions are the same; remove one.")
    if len(parts) == 1:
        return parts[0]
    if fields.join == "any":
        return AnyOf(tuple(parts))
    if fields.join == "n":
        return _at_least_n(fields.n, parts)
    return AllOf(tuple(parts))


def fields_of(achievement_id: str, criterion: Criterion, policy: Policy) -> RuleFields | None:
    """The fields that show a criterion; None for a nested one that the form can't show."""
    join, n = "all", "1"
    parts: tuple[Criterion, ...] = (criterion,)
    if isinstance(criterion, (AllOf, AnyOf, AtLeastN)):
        parts = criterion.criteria
        join = "any" if isinstance(criterion, AnyOf) else "all"
        if isinstance(criterion, AtLeastN):
            join, n = "n", str(criterion.n)
    lines = [_line(number, part) for number, part in enumerate(parts, 1)]
    shown = tuple(line for line in lines if line is not None)
    if len(shown) < len(parts):
        return None
    return RuleFields(achievement_id, shown, join, n, policy)


def _leaf(line: Line, known: Mapping[str, Option]) -> Criterion:
    kind, _, key = line.value.partition(":")
    option = known.get(line.value)
    if option is None:
        raise InvalidInput(
            "One of the chosen items is not in this course any more; choose another.",
            field=f"source-{line.number}",
        )
    if kind == "completion":
        return CourseCompleted()
    if kind == "activity":
        return ActivityCompleted(key, option.name)
    if kind == "group":
        return MemberOf(key, option.name)
    if kind == "badge":
        return BadgeHeld(key, option.name)
    if kind == "mark":
        return MarkIsOneOf(key, option.name, _marks(line))
    try:
        share = parse_percent(line.percent)
    except ValueError as error:
        raise InvalidInput(
            f"{str(error)[0].upper()}{str(error)[1:]}.", field=f"percent-{line.number}"
        ) from None
    if kind == "course_grade":
        return CourseGradeAtLeast(share)
    return ScoreAtLeast(key, option.name, share)


def _marks(line: Line) -> tuple[str, ...]:
    marks = [mark.strip() for mark in re.split(r"[,;\n]", line.marks)]
    named = tuple(dict.fromkeys(mark for mark in marks if mark))
    if not named or len(named) > MAX_ROWS or any(len(mark) > MAX_MARK for mark in named):
        raise InvalidInput(
            "Name the grades that count, with commas between them, as the LMS shows them.",
            field=f"marks-{line.number}",
        )
    return named


def _line(number: int, part: Criterion) -> Line | None:
    if isinstance(part, ScoreAtLeast):
        return Line(number, f"item:{part.key}", plain(part.share * 100))
    if isinstance(part, MarkIsOneOf):
        return Line(number, f"mark:{part.key}", DEFAULT_PERCENT, ", ".join(part.marks))
    if isinstance(part, MemberOf):
        return Line(number, f"group:{part.key}")
    if isinstance(part, CourseGradeAtLeast):
        return Line(number, "course_grade:", plain(part.share * 100))
    if isinstance(part, CourseCompleted):
        return Line(number, "completion:")
    if isinstance(part, ActivityCompleted):
        return Line(number, f"activity:{part.key}")
    if isinstance(part, BadgeHeld):
        return Line(number, f"badge:{part.achievement_id}")
    return None


def _at_least_n(n: str, parts: list[Criterion]) -> Criterion:
    if not n.isdecimal() or not 1 <= int(n) <= len(parts):
        raise InvalidInput(
            f"“At least” needs a number from 1 to {len(parts)}, as many as there are conditions.",
            field="n",
        )
    return AtLeastN(int(n), tuple(parts))


def _policy(form: Mapping[str, str]) -> Policy:
    try:
        on_fall = OnFall(form.get("on_fall", OnFall.KEEP.value))
    except ValueError:
        raise InvalidInput("Choose what happens when a grade falls.", field="on_fall") from None
    days = form.get("grace_days", "").strip() or "7"
    if not days.isdecimal() or int(days) > MAX_GRACE_DAYS:
        raise InvalidInput(
            f"The days of grace must be a whole number up to {MAX_GRACE_DAYS}.", field="grace_days"
        )
    valid_days, valid_until = _validity(form)
    first, last = _day(form, "not_before"), _day(form, "not_after")
    if first and last and first > last:
        raise InvalidInput("The rule would end before it begins.", field="not_after")
    delay = form.get("delay_days", "").strip() or "0"
    if not delay.isdecimal() or int(delay) > MAX_GRACE_DAYS:
        raise InvalidInput(
            f"A badge can wait up to {MAX_GRACE_DAYS} whole days.", field="delay_days"
        )
    settle = form.get("settle_minutes", "").strip() or "0"
    if not settle.isdecimal() or int(settle) > MAX_SETTLE_MINUTES:
        raise InvalidInput(
            f"A grade can be waited for up to {MAX_SETTLE_MINUTES} whole minutes.",
            field="settle_minutes",
        )
    return Policy(
        on_fall,
        int(days),
        form.get("pass_back") == "on",
        valid_days,
        valid_until,
        first,
        last,
        int(delay),
        form.get("counts_hidden") == "on",
        int(settle),
    )


def _day(form: Mapping[str, str], name: str) -> date | None:
    given = form.get(name, "").strip()
    if not given:
        return None
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise InvalidInput(f"“{given[:40]}” is not a date.", field=name) from None


def _validity(form: Mapping[str, str]) -> tuple[int | None, date | None]:
    days = form.get("valid_days", "").strip()
    if form.get("valid") == "days":
        if not days.isdecimal() or not 1 <= int(days) <= MAX_VALID_DAYS:
            raise InvalidInput(
                f"The badge can be valid for 1 to {MAX_VALID_DAYS} days.", field="valid_days"
            )
        return int(days), None
    if form.get("valid") == "until":
        day = _day(form, "valid_until")
        if day is None:
            raise InvalidInput(
                "Choose the last day on which the badge is valid.", field="valid_until"
            )
        if day < clock.now().date():
            raise InvalidInput("The last day of validity is over already.", field="valid_until")
        return None, day
    return None, None
