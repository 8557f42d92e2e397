"""Who would be awarded if a rule went live now: the same judging, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import RuleInForce
from lti_badges.awarding.facts import facts_of, learner_batches
from lti_badges.awarding.judge import BatchJudge
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import NotFound
from lti_badges.ledger.rules_in_force import needed_keys
from lti_badges.rules import (
    CourseGradeAtLeast,
    Criterion,
    Facts,
    OnFall,
    Outcome,
    Policy,
    ScoreAtLeast,
    dump,
    evaluate,
    leaves,
)
from lti_badges.store import Award, Course, CourseMember, LineItem
from lti_badges.store.courses import item_read_at
from lti_badges.values.course import COURSE_GRADE_KEY, Kind, ResultState

BATCH = 200
BINS = 20
FRESH = timedelta(seconds=60)
NAMED = 60
AT_ONCE = Policy()


@dataclass(frozen=True, slots=True)
class Person:
    """A learner in a list: what to call them, and the judgement in words."""

    member_id: str
    name: str
    text: str


@dataclass(slots=True)
class Histogram:
    """How a class stands in one value. `bins` count learners by share of the maximum, each bin a
    twentieth; the last holds full marks and more. `share` is the threshold, from 0 to 1."""

    label: str
    share: Fraction
    bins: list[int] = field(default_factory=lambda: [0] * BINS)
    without: int = 0

    def add(self, share: Fraction | None) -> None:
        """Count one learner; None has no usable grade."""
        if share is None:
            self.without += 1
        else:
            self.bins[min(max(int(share * BINS), 0), BINS - 1)] += 1


@dataclass(slots=True)
class Rehearsal:
    """What a rule would do today. Lists name a few dozen people; counts count all. `losing` names
    everybody who would lose the badge by this edit, and by nothing else."""

    description: str
    learners: int = 0
    awarded: int = 0
    losing: list[Person] = field(default_factory=list)
    holding: int = 0
    not_yet: int = 0
    unknown: int = 0
    would_get: list[Person] = field(default_factory=list)
    undecided: list[Person] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def rehearse(
    tool: ToolContext,
    course_id: str,
    criterion: Criterion,
    achievement_id: str | None,
    policy: Policy = AT_ONCE,
    rule_id: str | None = None,
) -> Rehearsal:
    """Judge everybody who can earn by a draft rule, from what is stored; `rule_id` names the rule
    that it would replace. Raises NotFound."""
    result = Rehearsal(criterion.describe(), histograms=_histograms(criterion))
    with tool.sessions() as session:
        course = session.get(Course, course_id)
        if course is None:
            raise NotFound("There is no such course.")
        result.problems = _problems(session, course_id, criterion)
        for batch in learner_batches(session, course_id, CourseMember.can_earn.is_(True)):
            facts = facts_of(session, course, batch)
            holders = _holders(session, batch, achievement_id)
            for member in batch:
                seen = facts[member.id].under(policy, clock.now())
                _count(result, criterion, member, seen, member.id in holders)
            if rule_id is not None:
                result.losing += _losing(session, course, batch, rule_id, criterion, policy)
    result.losing.sort(key=lambda person: person.name.casefold())
    result.would_get.sort(key=lambda person: person.name.casefold())
    result.undecided.sort(key=lambda person: person.name.casefold())
    return result


def _losing(
    session: Session,
    course: Course,
    batch: Sequence[CourseMember],
    rule_id: str,
    criterion: Criterion,
    policy: Policy,
) -> list[Person]:
    """Who would lose the badge, now or after the days of grace, but not by the rule as it is."""
    found = next(
        (each for each in RuleInForce.all_of(session, course) if each.row.id == rule_id), None
    )
    if found is None or policy.on_fall is not OnFall.REVOKE:
        return []
    edited = found.as_edited(criterion, policy)
    facts = facts_of(session, course, batch)
    losing = []
    before = BatchJudge.open(session, course, batch, [found])
    for member in batch:
        text = before.would_lose(edited, member, facts[member.id])
        if text and not before.would_lose(found, member, facts[member.id]):
            losing.append(Person(member.id, _name(member), text))
    return losing


def _name(member: CourseMember) -> str:
    return member.name or member.email or "A learner"


def _count(
    result: Rehearsal, criterion: Criterion, member: CourseMember, facts: Facts, holds: bool
) -> None:
    judgement = evaluate(criterion, facts)
    person = Person(member.id, _name(member), judgement.text)
    result.learners += 1
    for histogram, leaf in zip(result.histograms, _scores(criterion), strict=True):
        histogram.add(_share(leaf, facts))
    if holds:
        result.holding += 1
    elif judgement.outcome is Outcome.MET:
        result.awarded += 1
        if len(result.would_get) < NAMED:
            result.would_get.append(person)
    elif judgement.outcome is Outcome.UNKNOWN:
        result.unknown += 1
        if len(result.undecided) < NAMED:
            result.undecided.append(person)
    else:
        result.not_yet += 1


def _scores(criterion: Criterion) -> list[ScoreAtLeast | CourseGradeAtLeast]:
    return [
        leaf for leaf in leaves(criterion) if isinstance(leaf, (ScoreAtLeast, CourseGradeAtLeast))
    ]


def _histograms(criterion: Criterion) -> list[Histogram]:
    return [
        Histogram(leaf.label if isinstance(leaf, ScoreAtLeast) else "Course grade", leaf.share)
        for leaf in _scores(criterion)
    ]


def _share(leaf: ScoreAtLeast | CourseGradeAtLeast, facts: Facts) -> Fraction | None:
    key = leaf.key if isinstance(leaf, ScoreAtLeast) else COURSE_GRADE_KEY
    result = facts.results.get(key)
    if result is None or result.state is not ResultState.GRADED or not result.maximum:
        return None
    return None if result.score is None else result.score / result.maximum


def _holders(
    session: Session, members: Sequence[CourseMember], achievement_id: str | None
) -> frozenset[str]:
    if achievement_id is None:
        return frozenset()
    return frozenset(
        session.scalars(
            select(Award.member_id).where(
                Award.achievement_id == achievement_id,
                Award.member_id.in_([member.id for member in members]),
                Award.standing_at(clock.now()),
            )
        )
    )


def _items(session: Session, course_id: str, criterion: Criterion) -> list[LineItem]:
    needed = needed_keys(dump(criterion))
    rows = session.scalars(select(LineItem).where(LineItem.course_id == course_id))
    return [row for row in rows if (row.kind, row.key) in needed]


def _problems(session: Session, course_id: str, criterion: Criterion) -> list[str]:
    items = _items(session, course_id, criterion)
    known = {(item.kind, item.key) for item in items}
    said = [f"{item.label}: {item.error}" for item in items if item.error]
    said += [
        f"{item.label} is being read; look again in a moment."
        for item in items
        if item.error is None and item.read_at is None
    ]
    labels = {
        Kind.COURSE_GRADE.value: "the course grade",
        Kind.COMPLETION.value: "course completion",
    }
    said += [
        f"The LMS does not tell this tool {labels.get(kind, 'this item')} at present."
        for kind, key in needed_keys(dump(criterion))
        if (kind, key) not in known
    ]
    return said


def is_stale(tool: ToolContext, course_id: str, criterion: Criterion) -> bool:
    """Whether something that the rule needs was never read, or longer than a minute ago."""
    now = clock.now()
    with tool.sessions() as session:
        course = session.get_one(Course, course_id)
        times = [item_read_at(course, item) for item in _items(session, course_id, criterion)]
    return any(at is None or now - at > FRESH for at in times)
