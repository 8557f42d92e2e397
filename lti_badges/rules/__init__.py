"""Award rules as pure values: criteria, exact thresholds, evaluation and its words. No I/O."""

from lti_badges.rules.criteria import (
    ActivityCompleted,
    AllOf,
    AnyOf,
    AtLeastN,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    ScoreAtLeast,
    dump,
    leaves,
    load,
)
from lti_badges.rules.facts import Facts
from lti_badges.rules.policy import OnFall, Policy
from lti_badges.rules.verdict import Judgement, Outcome, evaluate

__all__ = [
    "ActivityCompleted",
    "AllOf",
    "AnyOf",
    "AtLeastN",
    "BadgeHeld",
    "CourseCompleted",
    "CourseGradeAtLeast",
    "Criterion",
    "Facts",
    "Judgement",
    "OnFall",
    "Outcome",
    "Policy",
    "ScoreAtLeast",
    "dump",
    "evaluate",
    "leaves",
    "load",
]
