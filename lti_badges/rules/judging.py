"""How one value read from an LMS is judged against a threshold, in words.

Meanings, fixed here and tested:
- missing: nothing recorded for the learner yet: not met, progress 0;
- excused: the item does not count for this learner: unknown, the instructor decides;
- hidden: the learner can't see the grade yet: unknown until it is released;
- pending: being graded or recalculated: unknown until it settles;
- graded in words: a letter has no points and points no letter: unknown for the other sort;
- over-full: more points than the maximum: met, and shown as it is;
- a maximum of zero or unknown: unknown, a share of nothing can't be judged;
- never read: unknown;
- gone from the course, or renamed: unknown until the instructor confirms what is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

from lti_badges.rules.facts import BY_COMPLETION, BY_READING, Facts
from lti_badges.rules.verdict import Judgement, Outcome
from lti_badges.values.course import Completion, Result, ResultState
from lti_badges.values.score import Points, percent, plain

NO_VALUE = "none"
"""The value of a judgement that found nothing recorded."""
_UNKNOWN_STATES = {
    ResultState.EXCUSED: "this learner is excused, so the instructor decides",
    ResultState.HIDDEN: "graded, but not released to the learner yet",
    ResultState.PENDING: "is being graded or recalculated; it counts once it stands",
}


def judge_item_change(label: str, key: str, facts: Facts) -> Judgement | None:
    """Unknown while the item is not what the rule was written for; None when it is."""
    change = facts.item_change(key, label)
    if change is None:
        return None
    return Judgement(Outcome.UNKNOWN, label, f"{label}: {change}", source=facts.sources.get(key))


def judge_result(
    label: str, share: Fraction, result: Result | None, facts: Facts, key: str
) -> Judgement:
    """Points against a share of their maximum, compared exactly."""
    needed, source = percent(share), facts.sources.get(key)
    if result is None:
        return _unread(label, needed, source)
    seen = _seen(needed, source, result, facts)
    if result.state is ResultState.GRADED and result.score is None and result.mark:
        text = f"{label}: graded “{result.mark}”, which is no number of points"
        return Judgement(Outcome.UNKNOWN, label, text, value=result.mark, **seen)
    if result.state is not ResultState.GRADED or result.score is None:
        return _ungraded(label, result.state, seen)
    if not result.maximum or result.maximum <= 0:
        text = f"{label}: {plain(result.score)} points, but the maximum is not known"
        return Judgement(Outcome.UNKNOWN, label, text, value=plain(result.score), **seen)
    return _judge_points(label, share, result.score, result.maximum, seen)


def judge_mark(
    label: str, marks: Sequence[str], result: Result | None, facts: Facts, key: str
) -> Judgement:
    """A grade in words against the ones that count."""
    needed, source = " or ".join(marks), facts.sources.get(key)
    if result is None:
        return _unread(label, needed, source)
    seen = _seen(needed, source, result, facts)
    if result.state is ResultState.GRADED and result.mark is None and result.score is not None:
        text = f"{label}: {plain(result.score)} points, but no grade in words"
        return Judgement(Outcome.UNKNOWN, label, text, value=plain(result.score), **seen)
    if result.state is not ResultState.GRADED or result.mark is None:
        return _ungraded(label, result.state, seen)
    met = _word(result.mark) in {_word(mark) for mark in marks}
    text = f"{label}: graded “{result.mark}”" + ("" if met else f", needs {needed}")
    return Judgement(
        Outcome.MET if met else Outcome.NOT_YET,
        label,
        text,
        hint="" if met else f"Reach {needed} in {label}",
        value=result.mark,
        progress=Fraction(int(met)),
        **seen,
    )


def _seen(needed: str, source: str | None, result: Result, facts: Facts) -> dict[str, Any]:
    at, by = facts.when(result)
    return {"needed": needed, "source": source, "read_at": result.read_at, "at": at, "by": by}


def _ungraded(label: str, state: ResultState, seen: dict[str, Any]) -> Judgement:
    """Excused, hidden or pending: unknown; nothing recorded: not yet."""
    if state in _UNKNOWN_STATES:
        text = f"{label}: {_UNKNOWN_STATES[state]}"
        return Judgement(Outcome.UNKNOWN, label, text, value=state.value, **seen)
    needed = seen["needed"]
    text, hint = f"{label}: no grade yet, needs {needed}", f"Reach {needed} in {label}"
    return Judgement(
        Outcome.NOT_YET, label, text, hint, value=NO_VALUE, progress=Fraction(0), **seen
    )


def _word(mark: str) -> str:
    return " ".join(mark.split()).casefold()


def judge_membership(
    label: str, membership: Completion | None, facts: Facts, key: str
) -> Judgement:
    """In a section or group, or not; unknown when never read."""
    source = facts.sources.get(key)
    if membership is None:
        return _unread(label, "member", source)
    within = membership.completed
    return Judgement(
        Outcome.MET if within else Outcome.NOT_YET,
        label,
        f"{'In' if within else 'Not in'} {label}",
        hint="" if within else f"Only for members of {label}",
        value="member" if within else "not a member",
        needed="member",
        progress=Fraction(int(within)),
        source=source,
        read_at=membership.read_at,
        **_done(membership, facts),
    )


def _done(completion: Completion, facts: Facts) -> dict[str, Any]:
    """The LMS's own time of a completion, else the first reading that showed it."""
    if completion.completed_at is not None:
        return {"at": min(completion.completed_at, completion.read_at), "by": BY_COMPLETION}
    seen_at = completion.changed_at or completion.read_at
    return {"at": facts.first_seen(seen_at), "by": BY_READING}


def _judge_points(
    label: str, share: Fraction, score: Fraction, maximum: Fraction, seen: dict[str, Any]
) -> Judgement:
    met = score >= share * maximum
    value = f"{plain(score)} of {plain(maximum)} = {percent(score / maximum)}"
    sign = "≥" if met else "<"
    missing = share * maximum - score
    gone = Fraction(1) if met else max(Fraction(0), score / (share * maximum))
    return Judgement(
        Outcome.MET if met else Outcome.NOT_YET,
        label,
        f"{label}: {value} {sign} {seen['needed']}",
        hint="" if met else f"{_points(_rounded(missing, ceil))} in {label}",
        value=value,
        progress=_rounded(gone, floor),
        points=Points(score, maximum, share * maximum),
        **seen,
    )


def _points(missing: Fraction) -> str:
    return f"{plain(missing)} more point{'' if missing == 1 else 's'}"


def _rounded(number: Fraction, direction: Callable[[Fraction], int]) -> Fraction:
    """To four places: what is shown must neither promise too much nor grow digits without end."""
    return Fraction(direction(number * 10_000), 10_000)


def judge_completion(
    label: str, completion: Completion | None, facts: Facts, key: str
) -> Judgement:
    """Completed or not; unknown when never read."""
    source = facts.sources.get(key)
    if completion is None:
        return _unread(label, "completed", source)
    done = completion.completed
    when = f" on {completion.completed_at:%-d %B %Y}" if done and completion.completed_at else ""
    return Judgement(
        Outcome.MET if done else Outcome.NOT_YET,
        label,
        f"{label}: {'completed' + when if done else 'not completed yet'}",
        hint="" if done else f"Complete {'the course' if label == 'Course' else label}",
        value="completed" if done else "not completed",
        needed="completed",
        progress=Fraction(int(done)),
        source=source,
        read_at=completion.read_at,
        **_done(completion, facts),
    )


def _unread(label: str, needed: str, source: str | None) -> Judgement:
    return Judgement(
        Outcome.UNKNOWN, label, f"{label} has not been read yet", needed=needed, source=source
    )
