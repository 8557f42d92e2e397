"""Rules as a file: what may be written in it, and how it is read.

The file names badges and items as people see them in the course, so that one file serves a hundred
courses. Its JSON Schema is `docs/rule-file.schema.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lti_badges.core.errors import InvalidInput
from lti_badges.rules.policy import MAX_GRACE_DAYS, MAX_SETTLE_MINUTES, MAX_VALID_DAYS, OnFall
from lti_badges.rules.storage import MAX_CRITERIA

MAX_BYTES = 1_000_000
FALL_WORDS: Mapping[OnFall, Literal["keep", "ask", "revoke"]] = {
    OnFall.KEEP: "keep",
    OnFall.FLAG: "ask",
    OnFall.REVOKE: "revoke",
}
"""How a file says what follows when a grade falls."""
Percent = Annotated[str | int | float, Field(description="A percentage, like 80, “80 %” or 66.7")]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemAtLeast(_Strict):
    """A grade item reaches a percentage of its maximum."""

    item: Name
    at_least: Percent


class ItemOneOf(_Strict):
    """A grade item has one of these grades in words."""

    item: Name
    one_of: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]


class CourseGrade(_Strict):
    """The course grade reaches a percentage."""

    course_grade_at_least: Percent


class CourseCompleted(_Strict):
    """The course is completed."""

    course_completed: Literal[True]


class ActivityCompleted(_Strict):
    """An activity is completed."""

    activity_completed: Name


class InGroup(_Strict):
    """The learner is in a section or group."""

    in_group: Name


class HoldsBadge(_Strict):
    """The learner holds another badge."""

    holds_badge: Name


class AllOfThese(_Strict):
    """Every one of these."""

    all: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=MAX_CRITERIA)]


class AnyOfThese(_Strict):
    """At least one of these."""

    any: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=MAX_CRITERIA)]


class SoManyOfThese(_Strict):
    """At least so many of these."""

    at_least: Annotated[int, Field(ge=1, le=MAX_CRITERIA)]
    of: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=MAX_CRITERIA)]


class NoneOfThese(_Strict):
    """Not one of these."""

    none: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=MAX_CRITERIA)]


Condition = (
    ItemAtLeast
    | ItemOneOf
    | CourseGrade
    | CourseCompleted
    | ActivityCompleted
    | InGroup
    | HoldsBadge
    | AllOfThese
    | AnyOfThese
    | SoManyOfThese
    | NoneOfThese
)


class Badge(_Strict):
    """A badge that is made in the course, if it has none of this name."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    description: str = ""
    criteria: str = ""


class FileRule(_Strict):
    """One rule: a badge, what it is for, and what follows later."""

    badge: Name | Badge
    when: Condition
    if_grade_falls: Literal["keep", "ask", "revoke"] = "keep"
    revoke_after_days: Annotated[int, Field(ge=0, le=MAX_GRACE_DAYS)] = 7
    valid_for_days: Annotated[int, Field(ge=1, le=MAX_VALID_DAYS)] | None = None
    valid_until: date | None = None
    not_before: date | None = None
    met_by: date | None = None
    wait_days: Annotated[int, Field(ge=0, le=MAX_GRACE_DAYS)] = 0
    count_hidden_grades: bool = False
    settle_minutes: Annotated[int, Field(ge=0, le=MAX_SETTLE_MINUTES)] = 0
    gradebook_column: bool = False
    active: bool = True

    @property
    def badge_name(self) -> str:
        """What the badge is called."""
        return self.badge if isinstance(self.badge, str) else self.badge.name


class RuleFile(_Strict):
    """The whole file."""

    version: Literal[1] = 1
    rules: Annotated[tuple[FileRule, ...], Field(min_length=1, max_length=500)]


def parse_rule_file(text: str) -> RuleFile:
    """Read a file (YAML, or JSON, which is YAML too). Raises InvalidInput with every mistake and
    where it stands."""
    if len(text) > MAX_BYTES:
        raise InvalidInput("The file is larger than a megabyte; split it.")
    try:
        found = yaml.load(text, Loader=_NoAliases)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"The file is not YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(found, Mapping):
        raise InvalidInput("The file must hold “rules:” with a list of rules.")
    try:
        return RuleFile.model_validate(found)
    except (ValidationError, RecursionError) as error:
        raise InvalidInput(_mistakes(error)) from None


def write_rule_file(rules: RuleFile) -> str:
    """The file as YAML, without what is the default anyway."""
    plain = rules.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump({"version": 1, **plain}, sort_keys=False, allow_unicode=True, width=100)


def rule_file_schema() -> dict[str, Any]:
    """The JSON Schema of a rule file, for editors and checkers."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RuleFile.model_json_schema(),
        "title": "lti-badges rule file",
    }


class _NoAliases(yaml.SafeLoader):
    """YAML without anchors: a few lines of them unfold into gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias; read everything else as usual."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases (& and *) can't be used here")
        return super().compose_node(parent, index)


def _mistakes(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "The conditions are nested too deep."
    said: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        # Of a union's many complaints, one per place says enough.
        place = [str(part) for part in each["loc"] if not str(part)[:1].isupper()]
        where = ".".join(part for part in place if not part.startswith("constrained-"))
        said.setdefault(where, each["msg"])
    shown = [f"{where or 'file'}: {message}" for where, message in list(said.items())[:10]]
    return "The file can't be used. " + "; ".join(shown) + "."
