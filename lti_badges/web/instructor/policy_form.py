"""The part of a rule's form that says what follows: falls, validity, dates, which grades count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import Field

from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.core.forms import Day, Form, Said, Ticked, Whole, read_form
from lti_badges.rules import CountsAt, OnFall, Policy
from lti_badges.rules.policy import MAX_GRACE_DAYS, MAX_SETTLE_MINUTES, MAX_VALID_DAYS

NO_DATE = Said("“{given}” is not a date.")


class PolicyForm(Form):
    """The fields as the page names them; an empty one is its default."""

    on_fall: Annotated[OnFall, Said("Choose what happens when a grade falls.")] = OnFall.KEEP
    grace_days: Annotated[
        Whole,
        Field(le=MAX_GRACE_DAYS),
        Said(f"The days of grace must be a whole number up to {MAX_GRACE_DAYS}."),
    ] = 7
    not_before: Annotated[Day | None, NO_DATE] = None
    not_after: Annotated[Day | None, NO_DATE] = None
    delay_days: Annotated[
        Whole,
        Field(le=MAX_GRACE_DAYS),
        Said(f"A badge can wait up to {MAX_GRACE_DAYS} whole days."),
    ] = 0
    settle_minutes: Annotated[
        Whole,
        Field(le=MAX_SETTLE_MINUTES),
        Said(f"A grade can be waited for up to {MAX_SETTLE_MINUTES} whole minutes."),
    ] = 0
    counts_at: Annotated[CountsAt, Said("Choose which time of a grade counts.")] = CountsAt.GRADED
    pass_back: Ticked = False
    counts_hidden: Ticked = False
    may_show_result: Ticked = False


class ValidDays(Form):
    """The badge is valid for so many days."""

    valid_days: Annotated[
        Whole,
        Field(ge=1, le=MAX_VALID_DAYS),
        Said(f"The badge can be valid for 1 to {MAX_VALID_DAYS} days."),
    ]


class ValidUntil(Form):
    """The badge is valid to the end of a day."""

    valid_until: Annotated[Day | None, NO_DATE] = None


def read_policy(form: Mapping[str, str]) -> Policy:
    """The policy that the fields mean. Raises InvalidInput naming the field."""
    given = read_form(PolicyForm, form)
    valid_days, valid_until = _validity(form)
    if given.not_before and given.not_after and given.not_before > given.not_after:
        raise InvalidInput("The rule would end before it begins.", field="not_after")
    return Policy(
        given.on_fall,
        given.grace_days,
        given.pass_back,
        valid_days,
        valid_until,
        given.not_before,
        given.not_after,
        given.delay_days,
        given.counts_hidden,
        given.settle_minutes,
        given.counts_at,
        given.may_show_result,
    )


def _validity(form: Mapping[str, str]) -> tuple[int | None, date | None]:
    if form.get("valid") == "days":
        return read_form(ValidDays, form).valid_days, None
    if form.get("valid") == "until":
        day = read_form(ValidUntil, form).valid_until
        if day is None:
            raise InvalidInput(
                "Choose the last day on which the badge is valid.", field="valid_until"
            )
        if day < clock.now().date():
            raise InvalidInput("The last day of validity is over already.", field="valid_until")
        return None, day
    return None, None
