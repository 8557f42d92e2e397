"""How long badges are valid, and what renews them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
import time_machine

from lti_badges.awarding.manual import award_by_hand
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.rules import Policy
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages

BEN = "5"


@contextmanager
def later(campus: Campus, **span: float) -> Iterator[None]:
    """After a while: tokens and keys are a day's matter, so they are forgotten."""
    with time_machine.travel(clock.now() + timedelta(**span), tick=True):
        campus.context.tokens.__init__(campus.context.http, campus.context.keys)  # type: ignore[misc]
        campus.world.tokens.clear()
        yield


def test_when_a_badge_expires() -> None:
    achieved = datetime(2026, 2, 27, 10, tzinfo=UTC)
    assert Policy().expires_at(achieved) is None
    assert Policy(valid_days=2).expires_at(achieved) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    last = Policy(valid_until=date(2026, 2, 28))
    assert last.expires_at(achieved) == datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    both = Policy(valid_days=365, valid_until=date(2026, 2, 28))
    assert both.expires_at(achieved) == last.expires_at(achieved)
    for days in (0, -1, 10**6):
        with pytest.raises(ValueError, match="valid from 1"):
            Policy(valid_days=days)


def test_a_badge_expires_and_verifies_until_then(campus: Campus) -> None:
    campus.grade(BEN, 50)
    campus.rule(valid_days=30)
    campus.sync()
    campus.deliver()
    award = campus.award_of(BEN)
    assert award.expires_at == award.achieved_at + timedelta(days=30)
    address = f"{campus.tool}/credentials/{award.id}"
    document = httpx.get(address, headers={"Accept": "application/json"}).json()
    assert document["validUntil"] == clock.iso(award.expires_at)
    assert "This credential is valid" in httpx.get(address, headers={"Accept": "text/html"}).text
    with later(campus, days=31):
        assert (
            "This credential is not valid"
            in httpx.get(address, headers={"Accept": "text/html"}).text
        )


def test_an_expired_badge_comes_back_only_when_the_rule_is_met_anew(campus: Campus) -> None:
    campus.grade(BEN, 50)
    campus.rule(valid_days=30)
    campus.sync()
    campus.deliver()
    first = campus.award_of(BEN)
    count = len(campus.awards())
    with later(campus, days=31):
        campus.sync()
        assert len(campus.awards()) == count
        campus.grade(BEN, 10)
        campus.sync()
        campus.grade(BEN, 45)
        campus.sync()
        campus.deliver()
        second = campus.award_of(BEN)
        assert (second.number, second.state) == (2, "issued")
        assert len(campus.awards()) == count + 1
        renewed = httpx.get(
            f"{campus.tool}/credentials/{second.id}", headers={"Accept": "application/json"}
        ).json()
        assert f"/credentials/{first.id}" in str(renewed["credentialSubject"])
        page = httpx.get(
            f"{campus.tool}/credentials/{first.id}", headers={"Accept": "text/html"}
        ).text
        assert f"/credentials/{second.id}" in page


def test_an_instructor_renews_by_hand_only_what_expired(lite: Campus) -> None:
    lite.grade(BEN, 50)
    lite.rule(valid_days=30)
    lite.sync()
    lite.deliver()
    award = lite.award_of(BEN)
    order = (lite.context, lite.course_id(), award.member_id, award.achievement_id)
    with pytest.raises(InvalidInput):
        award_by_hand(*order, by="a test", reason="Renewed")
    with later(lite, days=31):
        award_by_hand(*order, by="a test", reason="Renewed")
        assert lite.award_of(BEN).number == 2


def test_nothing_is_granted_that_would_be_expired_already(lite: Campus) -> None:
    lite.rule(valid_until=(clock.now() + timedelta(days=1)).date())
    with later(lite, days=3):
        lite.sync()
        assert lite.awards() == []


def test_the_form_keeps_how_long_a_badge_is_valid(lite: Campus) -> None:
    page = Pages(lite, TEACHER)
    chosen = {
        "achievement": lite.badge(),
        "source-1": f"item:{lite.item_key('Final quiz')}",
        "percent-1": "80",
        "valid": "days",
        "valid_days": "730",
    }
    saved = page.post("/course/rules", **chosen).text
    assert "valid for 730 days" in saved
    rule = re.search(r"/course/rules/([0-9a-f-]{36})", saved)
    assert rule
    assert 'value="730"' in page.get(f"/course/rules/{rule.group(1)}").text
    until = {**chosen, "rule": rule.group(1), "valid": "until", "valid_until": "2099-12-31"}
    assert "valid to 2099-12-31" in page.post("/course/rules", **until).text
    for wrong in ({"valid_days": "0"}, {"valid_days": "x"}, {"valid": "until", "valid_until": ""}):
        assert page.post("/course/rules", **chosen | wrong).status_code == 422
    past = chosen | {"valid": "until", "valid_until": "2020-01-01"}
    assert "over already" in page.post("/course/rules", **past).text
