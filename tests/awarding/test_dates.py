"""Rules with dates: not before, not after, some days after they are met."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_badges.core import clock
from lti_badges.rules import Policy
from tests.awarding.test_expiry import later
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages

BEN = "5"


@given(
    met=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants bounds without zone
    first=st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    delay=st.integers(0, 365),
)
def test_a_badge_is_never_given_before_its_time(
    met: datetime, first: date | None, delay: int
) -> None:
    opens = Policy(not_before=first, delay_days=delay).opens_at(met)
    assert opens >= met + timedelta(days=delay)
    assert first is None or opens.date() >= first
    floor = datetime.combine(first or date(2020, 1, 1), datetime.min.time(), UTC)
    assert opens in {met + timedelta(days=delay), floor}


def test_a_rule_ends_with_the_end_of_its_last_day() -> None:
    policy = Policy(not_after=date(2026, 3, 1))
    assert not policy.is_too_late(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    assert policy.is_too_late(datetime(2026, 3, 2, tzinfo=UTC))
    with pytest.raises(ValueError, match="before it begins"):
        Policy(not_before=date(2026, 3, 2), not_after=date(2026, 3, 1))


def test_a_badge_waits_for_its_day_and_says_so(campus: Campus) -> None:
    campus.grade(BEN, 50)
    campus.rule(not_before=(clock.now() + timedelta(days=10)).date())
    campus.sync()
    assert campus.awards() == []
    assert "The badge is given from" in campus.enter(BEN).text
    with later(campus, days=11):
        campus.sync()  # nothing changed in the LMS, and still everybody is looked at
        assert campus.winners() == campus.expected()
        page = campus.enter(BEN).text
    assert "The badge is given from" not in page


def test_days_after_it_is_met(lite: Campus) -> None:
    lite.grade(BEN, 50)
    lite.rule(delay_days=3)
    for days in (0, 2):
        with later(lite, days=days):
            lite.sync()
            assert lite.awards() == []
    with later(lite, days=3.1):
        lite.sync()
        assert lite.world.user_id(BEN) in lite.winners()
    award = lite.award_of(BEN)
    assert award.created_at - award.achieved_at >= timedelta(days=3)


def test_what_is_met_after_the_last_day_is_too_late_and_what_was_met_before_is_not(
    lite: Campus,
) -> None:
    lite.rule(not_after=(clock.now() + timedelta(days=1)).date())
    lite.sync()
    before = lite.winners()
    assert before
    with later(lite, days=5):
        lite.grade(BEN, 50)
        lite.sync()
        assert lite.winners() == before
        assert "the rule&#39;s last day" in lite.enter(BEN).text


def test_the_form_keeps_the_dates(lite: Campus) -> None:
    page = Pages(lite, TEACHER)
    chosen = {
        "achievement": lite.badge(),
        "source-1": f"item:{lite.item_key('Final quiz')}",
        "percent-1": "80",
        "not_before": "2099-01-01",
        "not_after": "2099-12-31",
        "delay_days": "7",
    }
    saved = page.post("/course/rules", **chosen).text
    assert "from 2099-01-01" in saved
    assert "until 2099-12-31" in saved
    assert "7 days after it is met" in saved
    for wrong in ({"not_before": "2100-01-01"}, {"delay_days": "x"}, {"not_after": "soon"}):
        assert page.post("/course/rules", **chosen | wrong).status_code == 422
