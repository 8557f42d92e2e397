"""How a member stands under each rule, noted in one row: since when it is met, and since when a
badge that was given for it is no longer earned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import RuleInForce
from lti_badges.awarding.decide import Situation
from lti_badges.ledger.audit import record
from lti_badges.rules import Judgement, Outcome
from lti_badges.rules.facts import BY_READING
from lti_badges.store import Award, Course, Standing


@dataclass(slots=True)
class Standings:
    """Those of a batch of members, by rule id and member id, loaded at once."""

    session: Session
    course: Course
    now: datetime
    rows: dict[tuple[str, str], Standing]

    @classmethod
    def load(
        cls,
        session: Session,
        course: Course,
        member_ids: Iterable[str],
        rules: Sequence[RuleInForce],
        now: datetime,
    ) -> Standings:
        """In one query however many members."""
        found = session.scalars(
            select(Standing).where(
                Standing.member_id.in_(member_ids),
                Standing.rule_id.in_([rule.row.id for rule in rules]),
            )
        )
        return cls(session, course, now, {(row.rule_id, row.member_id): row for row in found})

    def so_far(self, rule: RuleInForce, member_id: str) -> Standing:
        """As it was noted last; an empty one, which is not stored, where nothing was."""
        return self.rows.get((rule.row.id, member_id)) or Standing(kept=False)

    def note(
        self, rule: RuleInForce, member_id: str, judgement: Judgement, last: Award | None
    ) -> Standing:
        """How the member stands by this judgement. `last` is their latest award of the badge."""
        standing = self.rows.get((rule.row.id, member_id))
        if standing is None:
            standing = Standing(rule_id=rule.row.id, member_id=member_id, flagged=False, kept=False)
            self.rows[rule.row.id, member_id] = standing
            self.session.add(standing)
        if judgement.outcome is Outcome.MET:
            self._note_met(rule, standing, judgement, last)
        elif judgement.outcome is Outcome.NOT_YET:
            standing.met_since = None
        standing.version = rule.version.version
        standing.outcome = judgement.outcome.name.lower()
        standing.judgement = judgement.to_json()
        standing.judged_at = self.now
        return standing

    def note_fall(
        self,
        rule: RuleInForce,
        standing: Standing,
        situation: Situation,
        judgement: Judgement,
        held: Award | None,
    ) -> None:
        """Whether the badge that they hold (`held`) is still earned; a fall begins the days of
        grace, and one that is over ends them."""
        if held is None or judgement.outcome is Outcome.MET:
            standing.fallen_at, standing.flagged, standing.kept = None, False, False
            standing.takes_version = None
        elif situation.away:
            standing.fallen_at = None  # the days of grace begin when they are back
        elif judgement.outcome is Outcome.NOT_YET and standing.fallen_at is None:
            standing.fallen_at = self.now
            record(
                self.session,
                "fallen",
                course_id=self.course.id,
                member_id=standing.member_id,
                rule_id=rule.row.id,
                award_id=held.id,
                policy=rule.policy.on_fall.value,
                cause=situation.cause.value,
                judgement=judgement.text,
            )

    def _note_met(
        self, rule: RuleInForce, standing: Standing, judgement: Judgement, last: Award | None
    ) -> None:
        """Since when, by the LMS's time where it tells one. What is met anew after an award ended
        is not older than that end; a rule whose dates were edited asks again."""
        edited = standing.version is not None and standing.version != rule.version.version
        if standing.met_since is not None and not (edited and last is None):
            return
        missed = standing.outcome is not None
        at, by = judgement.at or self.now, judgement.by or BY_READING
        ended_at = ended_at_of(last)
        if missed and ended_at is not None and at <= ended_at <= self.now:
            at, by = self.now, BY_READING
        standing.met_since, standing.met_by = at, by


def ended_at_of(award: Award | None) -> datetime | None:
    """Since when the last award no longer counts: it was revoked, or it expired."""
    if award is None:
        return None
    return award.revoked_at or award.expires_at
