"""A learner who does not want a badge: it ends, and no rule gives it again; a person may."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_badges.awarding.decide import Action, Situation, decide
from lti_badges.awarding.manual import award_by_hand
from lti_badges.core import clock
from lti_badges.rules import OnFall, Outcome, Policy
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages

BEST, OTHER = "16", "10"


def test_a_declined_badge_ends_and_stays_away(campus: Campus) -> None:
    campus.rule()
    campus.sync()
    campus.deliver()
    award = campus.award_of(BEST)
    url = f"{campus.tool}/credentials/{award.id}"
    assert "is valid" in httpx.get(url, headers={"Accept": "text/html"}).text
    mine = Pages(campus, BEST)
    assert "Decline this badge" in mine.first.text

    answer = mine.post(f"/me/badges/{award.id}/decline")

    assert answer.status_code == 200
    assert "You declined this badge" in answer.text
    campus.deliver()
    ended = campus.award_of(BEST)
    assert (ended.state, ended.revocation_reason) == ("revoked", "The learner declined it.")
    assert "is valid" not in httpx.get(url, headers={"Accept": "text/html"}).text
    campus.grade(BEST, 1)  # missed and met anew: a revoked badge would come back
    campus.sync()
    campus.grade(BEST, 50)
    campus.sync()
    assert BEST not in campus.winners()

    award_by_hand(
        campus.context,
        campus.course_id(),
        award.member_id,
        award.achievement_id,
        by="their instructor",
        reason="They asked for it after all.",
    )
    campus.deliver()
    assert campus.award_of(BEST).state == "issued"
    assert "You declined this badge" in Pages(campus, BEST).first.text


def test_only_its_learner_can_decline_a_badge(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    award = lite.award_of(BEST)
    assert Pages(lite, OTHER).post(f"/me/badges/{award.id}/decline").status_code == 404
    assert Pages(lite, TEACHER).post(f"/me/badges/{award.id}/decline").status_code in {403, 404}
    assert lite.award_of(BEST).state == "issued"


def test_what_is_on_its_way_can_be_declined_too(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    award = lite.award_of(BEST)
    assert award.state == "pending"
    assert Pages(lite, BEST).post(f"/me/badges/{award.id}/decline").status_code == 200
    lite.deliver()
    assert lite.award_of(BEST).state == "revoked"


@pytest.mark.parametrize("on_fall", list(OnFall))
@given(outcome=st.sampled_from(Outcome), away=st.booleans(), ended=st.booleans())
def test_no_rule_grants_what_was_declined(
    on_fall: OnFall, outcome: Outcome, away: bool, ended: bool
) -> None:
    now = clock.now()
    situation = Situation(
        outcome=outcome,
        can_earn=True,
        away=away,
        holds=False,
        granted_by_this_rule=True,
        met_since=now,
        fallen_at=None,
        ended_at=now if ended else None,
        flagged=False,
        kept=False,
        declined=True,
    )
    assert decide(situation, Policy(on_fall=on_fall), now) is Action.NOTHING
