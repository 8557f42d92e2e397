"""The tree of conditions in a rule's form: what is shown is what is meant, whatever is edited."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from lti_badges.core.errors import InvalidInput
from lti_badges.rules import AllOf, AnyOf, AtLeastN, Criterion, NoneOf, Policy, ScoreAtLeast
from lti_badges.web.instructor.condition_edits import EDITS, edited
from lti_badges.web.instructor.options import GRADED, Option, only_graded
from lti_badges.web.instructor.rule_form import (
    Node,
    RuleFields,
    criterion_of,
    fields_of,
    read_fields,
)

OPTIONS = [
    Option(f"item:{i}", f"Item {i}", GRADED, graded=True, name=f"Item {i}") for i in range(9)
]
LEAVES = st.builds(
    lambda key, percent: ScoreAtLeast(str(key), f"Item {key}", Fraction(percent, 100)),
    st.integers(0, 8),
    st.integers(1, 100),
)


def joined(parts: st.SearchStrategy[Criterion]) -> st.SearchStrategy[Criterion]:
    two = st.lists(parts, min_size=2, max_size=3, unique=True).map(tuple)
    some = st.lists(parts, min_size=1, max_size=3, unique=True).map(tuple)
    return st.one_of(
        two.map(AllOf), two.map(AnyOf), some.map(NoneOf), two.map(lambda each: AtLeastN(2, each))
    )


RULES = st.one_of(LEAVES, joined(LEAVES), joined(st.one_of(LEAVES, joined(LEAVES))))


def posted(fields: RuleFields) -> MultiDict[str, str]:
    form = MultiDict([("achievement", fields.achievement_id), ("join", fields.join)])
    form["n"] = fields.n
    for node in fields.nodes:
        form.add("node", str(node.number))
        form[f"parent-{node.number}"] = str(node.parent)
        if node.is_group:
            form[f"join-{node.number}"], form[f"n-{node.number}"] = node.join, node.n
        else:
            form[f"source-{node.number}"] = node.value
            form[f"percent-{node.number}"] = node.percent
    return form


@given(RULES)
def test_a_rule_shown_in_the_form_and_saved_is_the_same_rule(rule: Criterion) -> None:
    fields = read_fields(posted(fields_of("b", rule, Policy())))

    assert criterion_of(fields, OPTIONS) == rule


@given(RULES, st.lists(st.tuples(st.sampled_from(EDITS), st.integers(0, 12)), max_size=8))
def test_no_sequence_of_edits_breaks_the_form(
    rule: Criterion, edits: list[tuple[str, int]]
) -> None:
    fields = fields_of("b", rule, Policy())
    for edit, at in edits:
        try:
            fields, focus = edited(fields, edit, at)
        except InvalidInput:
            continue
        assert any(node.number == focus for node in fields.nodes)
        assert read_fields(posted(fields)).nodes == fields.nodes


@pytest.mark.parametrize(
    "form",
    [
        {"node": "1", "parent-1": "1", "join-1": "all"},
        {"node": "1", "parent-1": "7", "source-1": "item:1"},
        {"node": "x", "source-x": "item:1"},
        {"node": "1", "parent-1": "-1", "source-1": "item:1"},
        {"node": "0", "source-0": "item:1"},
        {"join": "some", "source-1": "item:1"},
        {"node": "٣", "source-٣": "item:1"},
    ],
)
def test_a_form_that_is_no_tree_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        read_fields(MultiDict(form))


def test_removing_the_last_condition_leaves_an_empty_one() -> None:
    fields, focus = edited(RuleFields(nodes=(Node(4, value="item:1"),)), "remove", 4)

    assert fields.nodes == (Node(1),)
    assert focus == 1


def test_the_only_graded_item_is_proposed() -> None:
    assert only_graded(OPTIONS[:1]) == "item:0"
    assert only_graded(OPTIONS[:2]) == ""
