"""One batch of members before all rules of a course: standings, awards, flags, revocations, with
their trail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lti_badges.awarding.decide import Action, Situation, decide
from lti_badges.core import clock
from lti_badges.ledger.audit import record
from lti_badges.ledger.recipients import recipient_key, recipient_of
from lti_badges.ledger.rules_in_force import current_versions
from lti_badges.ledger.states import begin_revoking
from lti_badges.rules import Facts, Judgement, OnFall, Outcome, Policy, evaluate, load
from lti_badges.rules.criteria import Criterion
from lti_badges.store import (
    Achievement,
    Award,
    AwardRule,
    Course,
    CourseMember,
    RuleVersion,
    Standing,
    State,
)


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule in force, parsed once for a batch."""

    row: AwardRule
    version: RuleVersion
    criterion: Criterion
    policy: Policy
    backend_id: str

    @property
    def is_stopped(self) -> bool:
        """Neither grants nor revokes until it was weighed, or the instructor said go on."""
        return self.row.suspicion is not None or self.row.stopped is not None

    @classmethod
    def all_of(cls, session: Session, course: Course) -> list[RuleInForce]:
        """The course's rules in force."""
        rules = []
        for row, version in current_versions(session, course.id):
            achievement = session.get_one(Achievement, row.achievement_id)
            criterion = load(version.criteria)
            rules.append(cls(row, version, criterion, policy_of(version), achievement.backend_id))
        return rules


def policy_of(version: RuleVersion) -> Policy:
    """The policy a rule version holds."""
    return Policy(
        OnFall(version.on_fall),
        version.grace_days,
        version.pass_back,
        version.valid_days,
        version.valid_until,
        version.not_before,
        version.not_after,
        version.delay_days,
        version.counts_hidden,
        version.settle_minutes,
    )


@dataclass(slots=True)
class BatchJudge:
    """The rows a batch of judgements reads and writes, loaded at once."""

    session: Session
    course: Course
    standings: dict[tuple[str, str], Standing]
    awards: dict[tuple[str, str], Award]
    now: datetime
    later: set[str] = field(default_factory=set)
    """Members to be judged again though nothing changed: something of theirs waits for a date."""

    @classmethod
    def open(
        cls,
        session: Session,
        course: Course,
        members: Iterable[CourseMember],
        rules: Sequence[RuleInForce],
    ) -> BatchJudge:
        ids = [member.id for member in members]
        standings = session.scalars(
            select(Standing).where(
                Standing.member_id.in_(ids), Standing.rule_id.in_([rule.row.id for rule in rules])
            )
        )
        latest = (
            select(Award.achievement_id, Award.member_id, func.max(Award.number).label("number"))
            .where(Award.member_id.in_(ids))
            .group_by(Award.achievement_id, Award.member_id)
            .subquery()
        )
        awards = session.scalars(
            select(Award).join(
                latest,
                (Award.achievement_id == latest.c.achievement_id)
                & (Award.member_id == latest.c.member_id)
                & (Award.number == latest.c.number),
            )
        )
        return cls(
            session=session,
            course=course,
            standings={(row.rule_id, row.member_id): row for row in standings},
            awards={(row.achievement_id, row.member_id): row for row in awards},
            now=clock.now(),
        )

    def judge(self, rule: RuleInForce, member: CourseMember, facts: Facts) -> Award | None:
        """Note how the member stands and act on it. Returns an award that is due at a backend."""
        seen = facts.under(rule.policy, self.now)
        if seen.unsettled:
            self.later.add(member.id)
        judgement = evaluate(rule.criterion, seen)
        standing = self._stand(rule, member, judgement)
        award = self.awards.get((rule.row.achievement_id, member.id))
        holds = award is not None and award.stands_at(self.now)
        self._note_fall(rule, standing, judgement, award if holds else None)
        action = decide(self._situation(rule, member, judgement, standing), rule.policy, self.now)
        standing.waits = self._waits(rule, standing) if action is Action.GRANT else None
        if standing.waits or (action is Action.REVOKE and rule.is_stopped):
            return None
        if action is Action.GRANT:
            return self._grant(rule, member, standing, judgement, award)
        if action is Action.FLAG and award is not None:
            standing.flagged = True
            self._note(rule, member, "flagged", award, judgement)
        if action is Action.REVOKE and award is not None:
            return self._revoke(rule, award, judgement)
        return None

    def _waits(self, rule: RuleInForce, standing: Standing) -> str | None:
        """Why a badge that is earned is not given now, for the learner and the instructor."""
        policy, met_since = rule.policy, standing.met_since or self.now
        if rule.is_stopped:
            return "It waits until the instructor has confirmed it."
        if policy.is_too_late(met_since):
            return f"It was met only after {policy.not_after:%-d %B %Y}, the rule's last day."
        expires_at = policy.expires_at(met_since)
        if expires_at is not None and expires_at <= self.now:
            return "The badge would have expired already."
        opens_at = policy.opens_at(met_since)
        if opens_at > self.now:
            self.later.add(standing.member_id)
            return f"The badge is given from {opens_at:%-d %B %Y, %H:%M} UTC on."
        return None

    def forecast(self, rule: RuleInForce, member: CourseMember, facts: Facts) -> Action:
        """What `judge` would do if nothing braked it; changes nothing."""
        judgement = evaluate(rule.criterion, facts.under(rule.policy, self.now))
        standing = self.standings.get((rule.row.id, member.id)) or Standing(kept=False)
        return decide(self._situation(rule, member, judgement, standing), rule.policy, self.now)

    def _situation(
        self, rule: RuleInForce, member: CourseMember, judgement: Judgement, standing: Standing
    ) -> Situation:
        award = self.awards.get((rule.row.achievement_id, member.id))
        return Situation(
            outcome=judgement.outcome,
            can_earn=member.can_earn,
            holds=award is not None and award.stands_at(self.now),
            granted_by_this_rule=award is not None and award.rule_id == rule.row.id,
            met_since=standing.met_since or self.now,
            fallen_at=standing.fallen_at,
            ended_at=_ended_at(award),
            flagged=bool(standing.flagged),
            kept=standing.kept,
        )

    def _stand(self, rule: RuleInForce, member: CourseMember, judgement: Judgement) -> Standing:
        standing = self.standings.get((rule.row.id, member.id))
        if standing is None:
            standing = Standing(rule_id=rule.row.id, member_id=member.id, flagged=False, kept=False)
            self.standings[rule.row.id, member.id] = standing
            self.session.add(standing)
        if judgement.outcome is Outcome.MET:
            standing.met_since = standing.met_since or _met_at(judgement) or self.now
        elif judgement.outcome is Outcome.NOT_YET:
            standing.met_since = None
        standing.version = rule.version.version
        standing.outcome = judgement.outcome.name.lower()
        standing.judgement = judgement.to_json()
        standing.judged_at = self.now
        return standing

    def _note_fall(
        self, rule: RuleInForce, standing: Standing, judgement: Judgement, held: Award | None
    ) -> None:
        if held is None or judgement.outcome is Outcome.MET:
            standing.fallen_at, standing.flagged, standing.kept = None, False, False
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
                judgement=judgement.text,
            )

    def _grant(
        self,
        rule: RuleInForce,
        member: CourseMember,
        standing: Standing,
        judgement: Judgement,
        before: Award | None,
    ) -> Award:
        achieved_at = standing.met_since or self.now
        award = Award(
            course_id=self.course.id,
            member_id=member.id,
            achievement_id=rule.row.achievement_id,
            backend_id=rule.backend_id,
            rule_id=rule.row.id,
            rule_version=rule.version.version,
            number=before.number + 1 if before is not None else 1,
            state=State.PENDING.value,
            recipient_key=recipient_key(member),
            recipient=recipient_of(member),
            judgement=judgement.to_json(),
            explanation=explain(judgement),
            achieved_at=achieved_at,
            expires_at=rule.policy.expires_at(achieved_at),
            passed_back="due" if rule.policy.pass_back else "none",
        )
        self.session.add(award)
        self.session.flush()
        self.awards[rule.row.achievement_id, member.id] = award
        self._note(rule, member, "granted", award, judgement)
        return award

    def _revoke(self, rule: RuleInForce, award: Award, judgement: Judgement) -> Award | None:
        if award.state in {State.PENDING, State.SENDING, State.UNKNOWN}:
            return None  # still on its way: the next evaluation finds it issued
        due = begin_revoking(self.session, award, why=f"No longer met: {judgement.text}"[:1000])
        return award if award.id in due else None

    def _note(
        self,
        rule: RuleInForce,
        member: CourseMember,
        kind: str,
        award: Award,
        judgement: Judgement,
    ) -> None:
        record(
            self.session,
            kind,
            course_id=self.course.id,
            member_id=member.id,
            rule_id=rule.row.id,
            award_id=award.id,
            rule_version=rule.version.version,
            judgement=judgement.text,
        )


def explain(judgement: Judgement) -> str:
    """The sentence kept with an award: “Final quiz: 46 of 50 = 92 % ≥ 80 %, read from the
    gradebook on 3 May 2026 10:02 UTC”."""
    return "; ".join(_explained(leaf) for leaf in judgement.leaves()) + "."


def _explained(leaf: Judgement) -> str:
    if leaf.source is None or leaf.read_at is None:
        return leaf.text
    return f"{leaf.text}, read from {leaf.source} on {leaf.read_at:%-d %B %Y %H:%M} UTC"


def _ended_at(award: Award | None) -> datetime | None:
    """Since when the last award no longer counts: it was revoked, or it expired."""
    if award is None:
        return None
    return award.revoked_at or award.expires_at


def _met_at(judgement: Judgement) -> datetime | None:
    """When the last of the met criteria was seen: the award can't be older than its evidence."""
    moments = [
        leaf.read_at
        for leaf in judgement.leaves()
        if leaf.outcome is Outcome.MET and leaf.read_at is not None
    ]
    return max(moments, default=None)
