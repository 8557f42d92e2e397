"""Award rules as pure values: criteria, exact thresholds, evaluation and its words. No I/O."""

from lti_badges.rules.criteria import (
    ActivityCompleted,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    MarkIsOneOf,
    MemberOf,
    Named,
    ScoreAtLeast,
    kind_of,
)
from lti_badges.rules.evaluate import evaluate
from lti_badges.rules.facts import Facts
from lti_badges.rules.joining import AllOf, AnyOf, AtLeastN, Joined, NoneOf, leaves
from lti_badges.rules.policy import CountsAt, OnFall, Policy
from lti_badges.rules.storage import dump, load
from lti_badges.rules.verdict import Judgement, Outcome

__all__ = [
    "ActivityCompleted",
    "AllOf",
    "AnyOf",
    "AtLeastN",
    "BadgeHeld",
    "CountsAt",
    "CourseCompleted",
    "CourseGradeAtLeast",
    "Criterion",
    "Facts",
    "Joined",
    "Judgement",
    "MarkIsOneOf",
    "MemberOf",
    "Named",
    "NoneOf",
    "OnFall",
    "Outcome",
    "Policy",
    "ScoreAtLeast",
    "dump",
    "evaluate",
    "kind_of",
    "leaves",
    "load",
]
