"""One batch of members before all rules of a course: standings, awards, flags, revocations, with
their trail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import RuleInForce, cause_of
from lti_badges.awarding.decide import Action, Cause, Situation, decide
from lti_badges.awarding.standings import Standings, ended_at_of
from lti_badges.core import clock
from lti_badges.ledger.audit import record
from lti_badges.ledger.recipients import recipient_key, recipient_of
from lti_badges.ledger.states import begin_revoking
from lti_badges.rules import (
    CountsAt,
    Facts,
    Judgement,
    Outcome,
    evaluate,
)
from lti_badges.rules.facts import BY_READING
from lti_badges.rules.judging import NO_VALUE
from lti_badges.store import (
    Award,
    Course,
    CourseMember,
    Standing,
    State,
)
from lti_badges.store.courses import LEARNER, NO_ROSTER
from lti_badges.values.course import CONCLUDED


@dataclass(slots=True)
class BatchJudge:
    """The rows a batch of judgements reads and writes, loaded at once."""

    session: Session
    course: Course
    standings: Standings
    awards: dict[tuple[str, str], Award]
    now: datetime
    may_revoke: bool
    has_roster: bool
    later: set[str] = field(default_factory=set)
    """Members to be judged again though nothing changed: something of theirs waits for a date."""

    @classmethod
    def open(
        cls,
        session: Session,
        course: Course,
        members: Iterable[CourseMember],
        rules: Sequence[RuleInForce],
        *,
        may_revoke: bool = True,
    ) -> BatchJudge:
        """Load what is needed, in three queries however many members."""
        ids = [member.id for member in members]
        now = clock.now()
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
            standings=Standings.load(session, course, ids, rules, now),
            awards={(row.achievement_id, row.member_id): row for row in awards},
            now=now,
            may_revoke=may_revoke,
            has_roster=has_roster(course),
        )

    def judge(self, rule: RuleInForce, member: CourseMember, facts: Facts) -> Award | None:
        """Note how the member stands and act on it. Returns an award that is due at a backend."""
        seen = facts.under(rule.policy, self.now)
        if seen.unsettled:
            self.later.add(member.id)
        judgement = evaluate(rule.criterion, seen)
        award = self.awards.get((rule.row.achievement_id, member.id))
        standing = self.standings.note(rule, member.id, judgement, award)
        holds = award is not None and award.stands_at(self.now)
        situation = self._situation(rule, member, judgement, standing, facts)
        self.standings.note_fall(rule, standing, situation, judgement, award if holds else None)
        situation = replace(
            situation, fallen_at=standing.fallen_at, flagged=standing.flagged, kept=standing.kept
        )
        action = decide(situation, rule.policy, self.now)
        standing.waits = self._waits(rule, standing) if action is Action.GRANT else None
        if judgement.outcome is Outcome.MET and member.can_earn and not situation.can_earn:
            standing.waits = "It waits until the LMS's list of members names the learner."
        if standing.waits or (action is Action.REVOKE and rule.is_stopped):
            return None
        if action is Action.GRANT:
            return self._grant(rule, member, standing, judgement, award)
        if action is Action.FLAG and award is not None:
            standing.flagged = True
            self._note(rule, member, "flagged", award, judgement, cause=situation.cause.value)
        if action is Action.REVOKE and award is not None:
            return self._revoke(award, situation, judgement)
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
        standing = self.standings.so_far(rule, member.id)
        situation = self._situation(rule, member, judgement, standing, facts)
        if situation.cause is Cause.RULE:
            return Action.NOTHING  # whoever edited the rule saw the names
        return decide(situation, rule.policy, self.now)

    def would_lose(self, rule: RuleInForce, member: CourseMember, facts: Facts) -> str | None:
        """Why this holder would lose the badge by the rule, at once or after its days of grace, if
        everybody it reaches were let go; None when they keep it. Changes nothing."""
        judgement = evaluate(rule.criterion, facts.under(rule.policy, self.now))
        standing = self.standings.so_far(rule, member.id)
        situation = replace(
            self._situation(rule, member, judgement, standing, facts),
            edit_takes=True,
            kept=False,
            fallen_at=datetime.min.replace(tzinfo=UTC),
        )
        loses = decide(situation, rule.policy, self.now) is Action.REVOKE
        return judgement.text if loses else None

    def _situation(
        self,
        rule: RuleInForce,
        member: CourseMember,
        judgement: Judgement,
        standing: Standing,
        facts: Facts,
    ) -> Situation:
        award = self.awards.get((rule.row.achievement_id, member.id))
        return Situation(
            outcome=judgement.outcome,
            can_earn=member.can_earn and self._is_confirmed(member),
            away=self._is_away(member, judgement),
            holds=award is not None and award.stands_at(self.now),
            granted_by_this_rule=award is not None and award.rule_id == rule.row.id,
            met_since=standing.met_since or self.now,
            fallen_at=standing.fallen_at,
            ended_at=ended_at_of(award),
            flagged=bool(standing.flagged),
            kept=standing.kept,
            cause=cause_of(rule, award, judgement, facts, self.now),
            edit_takes=standing.takes_version == rule.version.version,
            declined=award is not None and award.declined_at is not None,
            may_revoke=self.may_revoke,
        )

    def _is_confirmed(self, member: CourseMember) -> bool:
        """Whether the roster names them as a learner: a launch alone may be a teacher's who looks
        as a student. Where there is no roster, the launch must do."""
        return member.roster_says == LEARNER or not self.has_roster

    def _is_away(self, member: CourseMember, judgement: Judgement) -> bool:
        """Left, suspended, or in a course or an enrolment that ended; or a value is gone of
        somebody whom this reading's roster did not name: that looks the same."""
        if not member.present or not member.can_earn:
            return True
        if self.course.concluded or member.status == CONCLUDED:
            return True
        vanished = any(
            leaf.outcome is Outcome.NOT_YET and leaf.value == NO_VALUE
            for leaf in judgement.leaves()
        )
        return vanished and (member.seen_in is None or self.course.roster_error is not None)

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
            achieved_by=standing.met_by or BY_READING,
            expires_at=rule.policy.expires_at(achieved_at),
            passed_back="due" if rule.policy.pass_back else "none",
        )
        self.session.add(award)
        self.session.flush()
        self.awards[rule.row.achievement_id, member.id] = award
        self._note(rule, member, "granted", award, judgement)
        return award

    def _revoke(self, award: Award, situation: Situation, judgement: Judgement) -> Award | None:
        if award.state in {State.PENDING, State.SENDING, State.UNKNOWN}:
            return None  # still on its way: the next evaluation finds it issued
        by_edit = situation.cause is Cause.RULE
        told = "The rule was changed, and is no longer met" if by_edit else "No longer met"
        due = begin_revoking(self.session, award, why=f"{told}: {judgement.text}"[:1000])
        return award if award.id in due else None

    def _note(
        self,
        rule: RuleInForce,
        member: CourseMember,
        kind: str,
        award: Award,
        judgement: Judgement,
        **more: str,
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
            **more,
        )


def explain(judgement: Judgement) -> str:
    """The sentence kept with an award: “Final quiz: 46 of 50 = 92 % ≥ 80 %, read from the
    gradebook on 3 May 2026 10:02 UTC”."""
    return "; ".join(_explained(leaf) for leaf in judgement.leaves()) + "."


def _explained(leaf: Judgement) -> str:
    told = leaf.text
    if leaf.at is not None and leaf.by in {each.value for each in CountsAt}:
        told = f"{told}, {leaf.by} on {leaf.at:%-d %B %Y %H:%M} UTC"
    if leaf.source is None or leaf.read_at is None:
        return told
    return f"{told}, read from {leaf.source} on {leaf.read_at:%-d %B %Y %H:%M} UTC"


def has_roster(course: Course) -> bool:
    """Whether this LMS tells the tool who is in the course."""
    return course.memberships_url is not None and not course.settings.get(NO_ROSTER)
