"""Conditions joined by all, any, N of, or none of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lti_badges.rules.criteria import Criterion, listed
from lti_badges.rules.facts import Facts
from lti_badges.rules.verdict import Judgement, Outcome


@dataclass(frozen=True, slots=True)
class AtLeastN:
    """At least `n` of the criteria are met; `n` is from 1 to their number."""

    n: int
    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.n <= len(self.criteria):
            raise ValueError(f"{self.n} of {len(self.criteria)} criteria can't be asked for")

    def judge(self, facts: Facts) -> Judgement:
        """The n-th greatest outcome: met by n, impossible to rule out while unknowns could help."""
        parts = tuple(criterion.judge(facts) for criterion in self.criteria)
        ranked = sorted((part.outcome for part in parts), reverse=True)
        met = sum(part.outcome is Outcome.MET for part in parts)
        text = f"{met} of the {self.n} needed" if self.n > 1 else "; ".join(p.text for p in parts)
        nearest = sorted((_progress(part) for part in parts), reverse=True)[: self.n]
        return Judgement(
            ranked[self.n - 1],
            self.describe(),
            text,
            hint=listed([part.hint for part in parts if part.hint], "or"),
            value=str(met),
            needed=str(self.n),
            progress=sum(nearest, Fraction(0)) / self.n,
            parts=parts,
            **_when(parts, self.n),
        )

    def describe(self) -> str:
        words = listed([_nested(criterion) for criterion in self.criteria], "or")
        return words if self.n == 1 else f"at least {self.n} of: {words}"

    def to_json(self) -> dict[str, Any]:
        return {"is": "at_least_n", "n": self.n, "of": [c.to_json() for c in self.criteria]}


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every criterion is met."""

    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        _need_some(self.criteria)

    def judge(self, facts: Facts) -> Judgement:
        """The least outcome of the parts."""
        parts = tuple(criterion.judge(facts) for criterion in self.criteria)
        return Judgement(
            min(part.outcome for part in parts),
            self.describe(),
            "; ".join(part.text for part in parts),
            hint=listed([part.hint for part in parts if part.hint], "and"),
            progress=sum((_progress(part) for part in parts), Fraction(0)) / len(parts),
            parts=parts,
            **_when(parts, len(parts)),
        )

    def describe(self) -> str:
        return listed([_nested(criterion) for criterion in self.criteria], "and")

    def to_json(self) -> dict[str, Any]:
        return {"is": "all", "of": [criterion.to_json() for criterion in self.criteria]}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One criterion at least is met."""

    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        _need_some(self.criteria)

    def judge(self, facts: Facts) -> Judgement:
        """The greatest outcome of the parts."""
        return AtLeastN(1, self.criteria).judge(facts)

    def describe(self) -> str:
        return AtLeastN(1, self.criteria).describe()

    def to_json(self) -> dict[str, Any]:
        return {"is": "any", "of": [criterion.to_json() for criterion in self.criteria]}


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Not one of the criteria is met."""

    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        _need_some(self.criteria)

    def judge(self, facts: Facts) -> Judgement:
        """Met only when every part is known not to be met: what was never read proves nothing."""
        parts = tuple(criterion.judge(facts) for criterion in self.criteria)
        greatest = max(part.outcome for part in parts)
        outcome = {Outcome.MET: Outcome.NOT_YET, Outcome.NOT_YET: Outcome.MET}.get(
            greatest, Outcome.UNKNOWN
        )
        return Judgement(
            outcome,
            self.describe(),
            "; ".join(part.text for part in parts),
            value=str(sum(part.outcome is Outcome.MET for part in parts)),
            needed="0",
            progress=Fraction(int(outcome is Outcome.MET)),
            parts=parts,
        )

    def describe(self) -> str:
        words = listed([_nested(criterion) for criterion in self.criteria], "or")
        return f"not {words}" if len(self.criteria) == 1 else f"none of: {words}"

    def to_json(self) -> dict[str, Any]:
        return {"is": "none", "of": [criterion.to_json() for criterion in self.criteria]}


Joined = AllOf | AnyOf | AtLeastN | NoneOf
"""A criterion that holds others in its `criteria`."""


def leaves(criterion: Criterion) -> Iterator[Criterion]:
    """The single conditions of a rule, without the all/any around them, in their order."""
    if isinstance(criterion, Joined):
        for part in criterion.criteria:
            yield from leaves(part)
    else:
        yield criterion


def _need_some(criteria: Sequence[Criterion]) -> None:
    if not criteria:
        raise ValueError("a rule needs at least one criterion")


def _when(parts: Sequence[Judgement], needed: int) -> dict[str, Any]:
    """When the last of as many as are needed was met, by the LMS's time where it tells one."""
    met = sorted(
        ((part.at, part.by) for part in parts if part.outcome is Outcome.MET and part.at),
        key=lambda each: each[0],
    )
    if not met or sum(part.outcome is Outcome.MET for part in parts) < needed:
        return {}
    at, by = met[min(needed, len(met)) - 1]
    return {"at": at, "by": by}


def _nested(criterion: Criterion) -> str:
    compound = isinstance(criterion, Joined) and len(criterion.criteria) > 1
    return f"({criterion.describe()})" if compound else criterion.describe()


def _progress(judgement: Judgement) -> Fraction:
    if judgement.outcome is Outcome.MET:
        return Fraction(1)
    return judgement.progress or Fraction(0)
