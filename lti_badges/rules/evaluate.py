"""Judging one member by a rule."""

from __future__ import annotations

from lti_badges.rules.criteria import Criterion
from lti_badges.rules.facts import Facts
from lti_badges.rules.verdict import Judgement


def evaluate(criterion: Criterion, facts: Facts) -> Judgement:
    """Judge a member. A fact never read is UNKNOWN, not NOT_YET: a grade we could not see must
    never look like a low one (and ANY can still be met). Pure; raises nothing."""
    return criterion.judge(facts)
