"""Rules as files: exported from one course, checked, rehearsed, and put in force in another."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
import yaml

from lti_badges.awarding.rule_file import parse_rule_file, rule_file_schema
from lti_badges.awarding.rule_file_export import export_rules
from lti_badges.awarding.rule_files import (
    apply_rules,
    check_rules,
    rehearse_rules,
)
from lti_badges.awarding.rule_views import rules_of
from lti_badges.core.errors import InvalidInput
from lti_badges.rules import AllOf, CourseCompleted, NoneOf, OnFall, ScoreAtLeast
from tests.support.campus import Campus

SCHEMA = Path(__file__).parents[2] / "docs" / "rule-file.schema.json"
FILE = """
rules:
  - badge: {name: Distinction, description: Did very well.}
    when:
      all:
        - {item: Final quiz, at_least: 80 %}
        - none: [{item: Midterm, at_least: 99.5}]
    if_grade_falls: ask
  - badge: Nowhere
    when: {course_completed: true}
  - badge: {name: Lost}
    when: {item: No such item, at_least: 50}
"""


def test_a_file_makes_rules_and_says_which_do_not_fit(campus: Campus) -> None:
    rules = parse_rule_file(FILE)
    course = campus.course_id()

    assert [each.outcome for each in check_rules(campus.context, course, rules)] == [
        "fits",
        "refused",
        "refused",
    ]
    assert rules_of(campus.context, course) == []

    made, nowhere, lost = apply_rules(campus.context, course, rules, by="a test")
    assert (made.outcome, nowhere.outcome, lost.outcome) == ("made", "refused", "refused")
    assert "describe it in the file" in (nowhere.error or "")
    assert lost.error == "This course has no item “No such item”."
    (view,) = rules_of(campus.context, course)
    quiz, midterm = campus.item_key("Final quiz"), campus.item_key("Midterm")
    assert view.criterion == AllOf(
        (
            ScoreAtLeast(quiz, "Final quiz", Fraction(80, 100)),
            NoneOf((ScoreAtLeast(midterm, "Midterm", Fraction(995, 1000)),)),
        )
    )
    assert view.policy.on_fall is OnFall.FLAG
    assert view.achievement.description == "Did very well."


def test_what_is_exported_and_applied_again_changes_nothing(lite: Campus) -> None:
    lite.rule(lite.quiz_at_least(66))
    lite.rule(CourseCompleted(), badge=lite.badge("Completed"), valid_days=30, delay_days=2)
    course = lite.course_id()
    text = export_rules(lite.context, course)
    before = rules_of(lite.context, course)

    done = apply_rules(lite.context, course, parse_rule_file(text), by="a test")

    assert [each.outcome for each in done] == ["unchanged", "unchanged"]
    assert rules_of(lite.context, course) == before
    jsonschema.validate(yaml.safe_load(text), rule_file_schema())


def test_a_changed_file_makes_a_new_version_of_the_same_rule(lite: Campus) -> None:
    lite.rule()
    course = lite.course_id()
    text = export_rules(lite.context, course).replace("80 %", "85 %")

    (done,) = apply_rules(lite.context, course, parse_rule_file(text), by="a test")

    assert done.outcome == "changed"
    (view,) = rules_of(lite.context, course)
    assert view.version == 2
    assert view.description == "Final quiz at least 85 %"


def test_a_rehearsal_counts_and_changes_nothing(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    course = lite.course_id()
    rules = parse_rule_file(export_rules(lite.context, course).replace("80 %", "1 %"))

    ((applied, seen),) = rehearse_rules(lite.context, course, rules)

    assert applied.outcome == "fits"
    assert seen is not None
    assert seen.awarded + seen.holding > len(lite.expected(80))
    assert rules_of(lite.context, course)[0].version == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold “rules:”"),
        ("- 1", "must hold “rules:”"),
        ("rules: []", "rules"),
        ("rules: [{badge: A}]", "rules.0.when"),
        ("rules: [{badge: A, when: {course_completed: true}, wat: 1}]", "rules.0.wat"),
        ("rules: [{badge: A, when: {item: Q}}]", "rules.0.when"),
        ("a: &a [1]\nb: *a", "anchors"),
        ("rules: [", "not YAML"),
        ("\tx: 1", "not YAML"),
        ("rules: !!python/object/apply:os.system [true]", "not YAML"),
        ("[" * 3000, "not YAML"),
    ],
)
def test_a_file_with_mistakes_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_rule_file(text)
    assert said in refused.value.message


def test_the_published_schema_is_the_one_the_tool_uses() -> None:
    assert json.loads(SCHEMA.read_text()) == rule_file_schema()
    jsonschema.validate(yaml.safe_load(FILE), rule_file_schema())
