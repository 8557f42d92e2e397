"""The part of a rule's form that says what follows: falls, validity, dates, which grades count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.rules import CountsAt, OnFall, Policy
from lti_badges.rules.policy import MAX_GRACE_DAYS, MAX_SETTLE_MINUTES, MAX_VALID_DAYS


def read_policy(form: Mapping[str, str]) -> Policy:
    """The policy that the fields mean. Raises InvalidInput naming the field."""
    try:
        on_fall = OnFall(form.get("on_fall", OnFall.KEEP.value))
    except ValueError:
        raise InvalidInput("Choose what happens when a grade falls.", field="on_fall") from None
    days = form.get("grace_days", "").strip() or "7"
    if not days.isdecimal() or int(days) > MAX_GRACE_DAYS:
        raise InvalidInput(
            f"The days of grace must be a whole number up to {MAX_GRACE_DAYS}.", field="grace_days"
        )
    valid_days, valid_until = _validity(form)
    first, last = _day(form, "not_before"), _day(form, "not_after")
    if first and last and first > last:
        raise InvalidInput("The rule would end before it begins.", field="not_after")
    delay = form.get("delay_days", "").strip() or "0"
    if not delay.isdecimal() or int(delay) > MAX_GRACE_DAYS:
        raise InvalidInput(
            f"A badge can wait up to {MAX_GRACE_DAYS} whole days.", field="delay_days"
        )
    settle = form.get("settle_minutes", "").strip() or "0"
    if not settle.isdecimal() or int(settle) > MAX_SETTLE_MINUTES:
        raise InvalidInput(
            f"A grade can be waited for up to {MAX_SETTLE_MINUTES} whole minutes.",
            field="settle_minutes",
        )
    return Policy(
        on_fall,
        int(days),
        form.get("pass_back") == "on",
        valid_days,
        valid_until,
        first,
        last,
        int(delay),
        form.get("counts_hidden") == "on",
        int(settle),
        _counts_at(form),
        form.get("may_show_result") == "on",
    )


def _counts_at(form: Mapping[str, str]) -> CountsAt:
    try:
        return CountsAt(form.get("counts_at") or CountsAt.GRADED.value)
    except ValueError:
        raise InvalidInput("Choose which time of a grade counts.", field="counts_at") from None


def _day(form: Mapping[str, str], name: str) -> date | None:
    given = form.get(name, "").strip()
    if not given:
        return None
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise InvalidInput(f"“{given[:40]}” is not a date.", field=name) from None


def _validity(form: Mapping[str, str]) -> tuple[int | None, date | None]:
    days = form.get("valid_days", "").strip()
    if form.get("valid") == "days":
        if not days.isdecimal() or not 1 <= int(days) <= MAX_VALID_DAYS:
            raise InvalidInput(
                f"The badge can be valid for 1 to {MAX_VALID_DAYS} days.", field="valid_days"
            )
        return int(days), None
    if form.get("valid") == "until":
        day = _day(form, "valid_until")
        if day is None:
            raise InvalidInput(
                "Choose the last day on which the badge is valid.", field="valid_until"
            )
        if day < clock.now().date():
            raise InvalidInput("The last day of validity is over already.", field="valid_until")
        return None, day
    return None, None
