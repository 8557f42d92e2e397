"""What follows from a judgement: pure, so that every case can be tested without a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lti_badges.rules import OnFall, Outcome, Policy


class Action(StrEnum):
    """GRANT an award; FLAG it for review; REVOKE it; or NOTHING."""

    GRANT = "grant"
    FLAG = "flag"
    REVOKE = "revoke"
    NOTHING = "nothing"


class Cause(StrEnum):
    """Why a held badge's rule is no longer met: other RESULTS, or another RULE than it was granted
    by, which the results still meet."""

    RESULTS = "results"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Situation:
    """One member under one rule. `away` are those who left, whose enrolment or course ended, or of
    whom nothing can be said. `met_since` is since when the rule has been met without a break,
    `fallen_at` since when a held badge's rule is no longer met; `ended_at` when the last award was
    revoked or expired; `flagged` once the instructor was asked about the fall, `kept` once they let
    the badge stand, `declined` once the learner gave the last award back. `edit_takes` when whoever
    edited the rule saw that this member loses the badge, and wanted it; `may_revoke` only after a
    whole reading without a failure."""

    outcome: Outcome
    can_earn: bool
    away: bool
    holds: bool
    granted_by_this_rule: bool
    met_since: datetime | None
    fallen_at: datetime | None
    ended_at: datetime | None
    flagged: bool
    kept: bool
    cause: Cause = Cause.RESULTS
    declined: bool = False
    edit_takes: bool = False
    may_revoke: bool = True


def decide(situation: Situation, policy: Policy, now: datetime) -> Action:
    """The action, by these rules:

    - only a met rule grants, only to who can earn, and never a second badge beside a held one;
    - after a revocation or expiry the rule must have been missed and met anew, else the badge would
      come back by itself;
    - what the learner declined is not given again, except by a person;
    - unknown changes nothing: nobody loses a badge because a grade could not be read;
    - a fall acts only on awards that this rule granted, as its policy says;
    - who is away keeps what they have; so does who only fell because the rule was edited;
    - nothing is revoked by what a single launch or a reading with a failure showed.
    """
    if situation.outcome is Outcome.MET:
        return _on_met(situation)
    if situation.outcome is Outcome.UNKNOWN:
        return Action.NOTHING
    if not (situation.holds and situation.granted_by_this_rule) or situation.kept:
        return Action.NOTHING
    if situation.away or (situation.cause is Cause.RULE and not situation.edit_takes):
        return Action.NOTHING
    if policy.on_fall is OnFall.FLAG and not situation.flagged:
        return Action.FLAG
    grace = timedelta(days=policy.grace_days)
    fallen_at = situation.fallen_at or now
    is_over = now - fallen_at >= grace
    if policy.on_fall is OnFall.REVOKE and is_over and situation.may_revoke:
        return Action.REVOKE
    return Action.NOTHING


def _on_met(situation: Situation) -> Action:
    if situation.holds or situation.declined or not situation.can_earn:
        return Action.NOTHING
    ended_at, met_since = situation.ended_at, situation.met_since
    if ended_at is not None and (met_since is None or met_since <= ended_at):
        return Action.NOTHING
    return Action.GRANT
