"""The conditions of a rule's form: from its fields to a criterion, and from a criterion to its
fields.

The form is a list of numbered nodes in reading order. A node stands in a group (`parent-N`, 0 is
the outermost) and is a condition (`source-N`, `percent-N`, `marks-N`) or a group (`join-N`, `n-N`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from werkzeug.datastructures import MultiDict

from lti_badges.core.errors import InvalidInput
from lti_badges.rules import (
    ActivityCompleted,
    AllOf,
    AnyOf,
    AtLeastN,
    BadgeHeld,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    Joined,
    MarkIsOneOf,
    MemberOf,
    NoneOf,
    Policy,
    ScoreAtLeast,
)
from lti_badges.rules.storage import MAX_CRITERIA, MAX_DEPTH
from lti_badges.values.score import parse_percent, plain
from lti_badges.web.instructor.options import Option
from lti_badges.web.instructor.policy_form import read_policy

MAX_MARKS = 20
MAX_MARK = 100
DEFAULT_PERCENT = "80"
ALL, ANY, N, NONE = "all", "any", "n", "none"
OUTERMOST = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One row of the form: a condition (`value` names an option, empty while nothing is chosen),
    or a group when `join` is set. `depth` counts the groups around it."""

    number: int
    parent: int = OUTERMOST
    value: str = ""
    percent: str = DEFAULT_PERCENT
    marks: str = ""
    join: str = ""
    n: str = "2"
    depth: int = 0

    @property
    def is_group(self) -> bool:
        """Whether it holds other nodes."""
        return bool(self.join)


@dataclass(frozen=True, slots=True)
class RuleFields:
    """The form's whole content; `join` and `n` are the outermost group's."""

    achievement_id: str = ""
    nodes: tuple[Node, ...] = (Node(1),)
    join: str = ALL
    n: str = "2"
    policy: Policy = field(default_factory=Policy)

    @property
    def is_simple(self) -> bool:
        """One condition and no group: the form needs no word about how they are joined."""
        return len(self.nodes) <= 1 and not any(node.is_group for node in self.nodes)

    def children(self, parent: int) -> list[Node]:
        """The nodes right inside a group, in order."""
        return [node for node in self.nodes if node.parent == parent]


def read_fields(form: MultiDict[str, str]) -> RuleFields:
    """The fields as they were sent; nothing is judged yet. Raises InvalidInput for a policy that
    can't be, and for a tree that is none."""
    numbers = _numbers(form)
    nodes = [
        Node(
            number,
            _whole(form.get(f"parent-{number}", "0")),
            form.get(f"source-{number}", ""),
            form.get(f"percent-{number}", DEFAULT_PERCENT),
            form.get(f"marks-{number}", ""),
            _join(form.get(f"join-{number}", "")) if f"join-{number}" in form else "",
            form.get(f"n-{number}", "2"),
        )
        for number in numbers
    ]
    return RuleFields(
        achievement_id=form.get("achievement", ""),
        nodes=in_order(nodes) or (Node(1),),
        join=_join(form.get("join", ALL)),
        n=form.get("n", "1"),
        policy=read_policy(form),
    )


def in_order(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes as they read from top to bottom, with their depths. Raises InvalidInput when one
    stands in no group or too deep."""
    groups = {node.number for node in nodes if node.is_group}
    found: list[Node] = []

    def walk(parent: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise InvalidInput(f"Groups can be nested {MAX_DEPTH - 1} deep; move a group out.")
        for node in nodes:
            if node.parent == parent:
                found.append(replace(node, depth=depth))
                if node.is_group:
                    walk(node.number, depth + 1)

    walk(OUTERMOST, 0)
    if len(found) != len(nodes) or any(n.parent not in groups | {OUTERMOST} for n in nodes):
        raise InvalidInput("This form is not whole any more; go back and open it again.")
    return tuple(found)


def criterion_of(fields: RuleFields, options: Sequence[Option]) -> Criterion:
    """The criterion that the fields mean. Raises InvalidInput naming the field."""
    known = {option.value: option for option in options}
    criterion = _group(fields, OUTERMOST, fields.join, fields.n, known)
    if criterion is None:
        raise InvalidInput("Choose what the badge is for.", field="source-1")
    return criterion


def fields_of(achievement_id: str, criterion: Criterion, policy: Policy) -> RuleFields:
    """The fields that show a criterion."""
    join, n, parts = _opened(criterion)
    nodes: list[Node] = []

    def add(part: Criterion, parent: int) -> None:
        number = len(nodes) + 1
        if isinstance(part, Joined):
            inner, inner_n, inside = _opened(part)
            nodes.append(Node(number, parent, join=inner, n=inner_n))
            for each in inside:
                add(each, number)
        else:
            nodes.append(replace(_node(part), number=number, parent=parent))

    for part in parts:
        add(part, OUTERMOST)
    return RuleFields(achievement_id, in_order(nodes), join, n, policy)


def _numbers(form: MultiDict[str, str]) -> list[int]:
    named = [_whole(text) for text in form.getlist("node")]
    if not named:  # a plain list of conditions
        named = [number for number in range(1, MAX_CRITERIA + 1) if f"source-{number}" in form]
    if len(named) > MAX_CRITERIA or len(set(named)) < len(named) or OUTERMOST in named:
        raise InvalidInput(f"A rule can hold at most {MAX_CRITERIA} conditions.")
    return named


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise InvalidInput("This form is not whole any more; go back and open it again.")
    return int(text)


def _join(text: str) -> str:
    if text not in {ALL, ANY, N, NONE}:
        raise InvalidInput("Choose how many of the conditions must be met.", field="join")
    return text


def _group(
    fields: RuleFields, number: int, join: str, n: str, known: Mapping[str, Option]
) -> Criterion | None:
    parts = []
    for node in fields.children(number):
        if node.is_group:
            part = _group(fields, node.number, node.join, node.n, known)
        else:
            part = _leaf(node, known) if node.value else None
        if part is not None:
            parts.append(part)
    if not parts:
        return None
    if len(set(parts)) < len(parts):
        raise InvalidInput("Two of the conditions are the same; remove one.")
    if join == NONE:
        return NoneOf(tuple(parts))
    if len(parts) == 1:
        return parts[0]
    if join == ANY:
        return AnyOf(tuple(parts))
    return _at_least_n(n, parts, number) if join == N else AllOf(tuple(parts))


def _opened(criterion: Criterion) -> tuple[str, str, tuple[Criterion, ...]]:
    if isinstance(criterion, AtLeastN):
        return N, str(criterion.n), criterion.criteria
    if isinstance(criterion, NoneOf):
        return NONE, "2", criterion.criteria
    if isinstance(criterion, AnyOf):
        return ANY, "2", criterion.criteria
    if isinstance(criterion, AllOf):
        return ALL, "2", criterion.criteria
    return ALL, "2", (criterion,)


def _leaf(line: Node, known: Mapping[str, Option]) -> Criterion:
    kind, _, key = line.value.partition(":")
    option = known.get(line.value)
    if option is None:
        raise InvalidInput(
            "One of the chosen items is not in this course any more; choose another.",
            field=f"source-{line.number}",
        )
    if kind == "completion":
        return CourseCompleted()
    if kind == "activity":
        return ActivityCompleted(key, option.name)
    if kind == "group":
        return MemberOf(key, option.name)
    if kind == "badge":
        return BadgeHeld(key, option.name)
    if kind == "mark":
        return MarkIsOneOf(key, option.name, _marks(line))
    try:
        share = parse_percent(line.percent)
    except ValueError as error:
        raise InvalidInput(
            f"{str(error)[0].upper()}{str(error)[1:]}.", field=f"percent-{line.number}"
        ) from None
    if kind == "course_grade":
        return CourseGradeAtLeast(share)
    return ScoreAtLeast(key, option.name, share)


def _marks(line: Node) -> tuple[str, ...]:
    marks = [mark.strip() for mark in re.split(r"[,;\n]", line.marks)]
    named = tuple(dict.fromkeys(mark for mark in marks if mark))
    if not named or len(named) > MAX_MARKS or any(len(mark) > MAX_MARK for mark in named):
        raise InvalidInput(
            "Name the grades that count, with commas between them, as the LMS shows them.",
            field=f"marks-{line.number}",
        )
    return named


def _node(part: Criterion) -> Node:
    if isinstance(part, ScoreAtLeast):
        return Node(0, value=f"item:{part.key}", percent=plain(part.share * 100))
    if isinstance(part, MarkIsOneOf):
        return Node(0, value=f"mark:{part.key}", marks=", ".join(part.marks))
    if isinstance(part, MemberOf):
        return Node(0, value=f"group:{part.key}")
    if isinstance(part, CourseGradeAtLeast):
        return Node(0, value="course_grade:", percent=plain(part.share * 100))
    if isinstance(part, CourseCompleted):
        return Node(0, value="completion:")
    if isinstance(part, ActivityCompleted):
        return Node(0, value=f"activity:{part.key}")
    if isinstance(part, BadgeHeld):
        return Node(0, value=f"badge:{part.achievement_id}")
    raise InvalidInput("This rule holds a condition that this page can't show.")


def _at_least_n(n: str, parts: list[Criterion], number: int) -> Criterion:
    if not n.isdecimal() or not 1 <= int(n) <= len(parts):
        raise InvalidInput(
            f"“At least” needs a number from 1 to {len(parts)}, as many as there are conditions.",
            field=f"n-{number}" if number else "n",
        )
    return AtLeastN(int(n), tuple(parts))
