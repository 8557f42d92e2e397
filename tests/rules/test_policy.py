"""What a rule's policy says of days: when a badge is given, when it is too late, when it ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lti_badges.rules import Facts, OnFall, Policy
from lti_badges.values.course import Result, ResultState

MET = datetime(2026, 5, 3, 10, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def test_without_dates_a_badge_is_given_at_once_and_for_ever() -> None:
    policy = Policy()
    assert (policy.on_fall, policy.grace_days, policy.pass_back) == (OnFall.KEEP, 7, False)
    assert policy.opens_at(MET) == MET
    assert not policy.is_too_late(MET)
    assert policy.expires_at(MET) is None


def test_it_is_given_after_its_delay_and_not_before_its_day() -> None:
    assert Policy(delay_days=3).opens_at(MET) == MET + 3 * DAY
    day = datetime(2026, 5, 10, tzinfo=UTC)
    assert Policy(not_before=date(2026, 5, 10)).opens_at(MET) == day
    both = Policy(not_before=date(2026, 5, 10), delay_days=30)
    assert both.opens_at(MET) == MET + 30 * DAY
    assert Policy(not_before=date(2026, 5, 1)).opens_at(MET) == MET


def test_the_last_day_counts_to_its_last_second() -> None:
    policy = Policy(not_after=date(2026, 5, 3))
    last = datetime(2026, 5, 3, 23, 59, 59, tzinfo=UTC)
    assert not policy.is_too_late(last)
    assert policy.is_too_late(last + timedelta(seconds=1))


def test_it_ends_with_whichever_comes_first() -> None:
    end = datetime(2026, 5, 20, 23, 59, 59, tzinfo=UTC)
    assert Policy(valid_days=5).expires_at(MET) == MET + 5 * DAY
    assert Policy(valid_until=date(2026, 5, 20)).expires_at(MET) == end
    assert Policy(valid_days=5, valid_until=date(2026, 5, 20)).expires_at(MET) == MET + 5 * DAY
    assert Policy(valid_days=50, valid_until=date(2026, 5, 20)).expires_at(MET) == end


@pytest.mark.parametrize(
    ("name", "least", "most", "says"),
    [
        ("valid_days", 1, 36_500, "a badge must be valid from 1 to 36500 days"),
        ("grace_days", 0, 365, "the grace period must be from 0 to 365 days"),
        ("settle_minutes", 0, 10_080, "a grade can be waited for from 0 to 10080 minutes"),
        ("delay_days", 0, 365, "a badge can wait from 0 to 365 days"),
    ],
)
def test_each_number_has_its_bounds(name: str, least: int, most: int, says: str) -> None:
    for good in (least, most):
        chosen: dict[str, Any] = {name: good}
        assert getattr(Policy(**chosen), name) == good
    for bad in (least - 1, most + 1):
        values: dict[str, Any] = {name: bad}
        with pytest.raises(ValueError, match=f"^{says}$"):
            Policy(**values)


def test_a_rule_ends_on_or_after_the_day_it_begins() -> None:
    day = date(2026, 5, 3)
    assert Policy(not_before=day, not_after=day).not_after == day
    assert Policy(not_after=day).not_before is None
    assert Policy(not_before=day).not_after is None
    with pytest.raises(ValueError, match="can't end before it begins"):
        Policy(not_before=day, not_after=date(2026, 5, 2))


def test_facts_say_whether_a_grade_is_still_settling() -> None:
    seen = Result("a", "ada", ResultState.GRADED, None, None, MET, "A", changed_at=MET)
    facts = Facts(results={"a": seen})
    policy = Policy(settle_minutes=10)
    early = facts.under(policy, MET + timedelta(minutes=9))
    assert (early.unsettled, early.results["a"].state) == (True, ResultState.PENDING)
    stands = facts.under(policy, MET + timedelta(minutes=10))
    assert (stands.unsettled, stands.results["a"].state) == (False, ResultState.GRADED)
    assert stands.unsettled is False
    assert facts.under(Policy(), MET).results is facts.results
