"""The gradebook column of a badge: one for each rule, of one point, and gone when it should be."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from fractions import Fraction

import pytest
import time_machine
from sqlalchemy import select

from lti_badges.awarding.manual import revoke
from lti_badges.awarding.rulebook import remove_rule
from lti_badges.core import clock
from lti_badges.delivery.deliver import deliver_due
from lti_badges.delivery.grade_passback import (
    due_columns,
    due_for_pass_back,
    pass_back,
    settle_column,
)
from lti_badges.sandbox import Item
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.store import AwardRule, ResourceLink
from tests.support.campus import Campus

BEN = "5"
SCORES = f"/api/{COURSE}/lineitems"


@pytest.fixture
def traveller() -> Iterator[time_machine.Traveller]:
    """A clock that tests can move forward."""
    with time_machine.travel(clock.now(), tick=True) as moved:
        yield moved


def columns(campus: Campus) -> list[Item]:
    items = campus.world.courses[COURSE].items.values()
    return [item for item in items if item.label.startswith("Badge:")]


def begin(campus: Campus) -> str:
    rule = campus.rule(pass_back=True)
    campus.grade(BEN, 50)
    campus.sync()
    campus.deliver()
    return rule


def write(campus: Campus) -> int:
    return sum(pass_back(campus.context, each) for each in due_for_pass_back(campus.context))


def test_awards_at_once_share_one_column_of_one_point(campus: Campus) -> None:
    begin(campus)
    due = due_for_pass_back(campus.context)
    assert len(due) > 3
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda award_id: pass_back(campus.context, award_id), due * 2))
    with time_machine.travel(clock.now() + timedelta(seconds=5), tick=True):
        while write(campus):
            pass
    (column,) = columns(campus)
    assert column.maximum == 1
    assert column.scores == dict.fromkeys(campus.winners(), column.maximum)
    assert due_for_pass_back(campus.context) == []


def test_a_lost_answer_makes_no_second_column(campus: Campus) -> None:
    begin(campus)
    campus.world.faults.next(f"{SCORES}", "lost", times=1)
    due = due_for_pass_back(campus.context)
    pass_back(campus.context, due[0])
    for each in due[1:]:
        pass_back(campus.context, each)
    assert len(columns(campus)) == 1


def test_a_revoked_badge_s_score_is_taken_back(campus: Campus) -> None:
    begin(campus)
    write(campus)
    award = campus.award_of(BEN)
    assert BEN in columns(campus)[0].scores
    revoke(campus.context, award.id, reason="Copied", by="Ada")
    deliver_due(campus.context)
    assert due_for_pass_back(campus.context) == [award.id]
    assert write(campus) == 1
    (column,) = columns(campus)
    assert BEN not in column.scores
    assert len(column.scores) > 2
    assert due_for_pass_back(campus.context) == []


def test_a_badge_revoked_before_its_score_was_written_writes_none(campus: Campus) -> None:
    begin(campus)
    revoke(campus.context, campus.award_of(BEN).id, reason="Copied", by="Ada")
    deliver_due(campus.context)
    write(campus)
    assert BEN not in columns(campus)[0].scores


@pytest.mark.parametrize("drops", [True, False])
def test_the_column_goes_or_stays_with_its_rule_as_asked(campus: Campus, drops: bool) -> None:
    rule = begin(campus)
    write(campus)
    remove_rule(campus.context, rule, by="Ada", drop_column=drops)
    assert due_columns(campus.context) == ([rule] if drops else [])
    assert settle_column(campus.context, rule)
    assert len(columns(campus)) == (0 if drops else 1)
    assert due_columns(campus.context) == []
    assert campus.award_of(BEN).state == "issued"


def test_a_column_that_can_not_be_removed_now_is_removed_later(lite: Campus) -> None:
    rule = begin(lite)
    write(lite)
    remove_rule(lite.context, rule, by="Ada", drop_column=True)
    lite.world.faults.next(SCORES, "500")
    assert not settle_column(lite.context, rule)
    with lite.context.sessions() as session:
        assert session.get_one(AwardRule, rule).column_error
    assert due_columns(lite.context) == [rule]
    assert settle_column(lite.context, rule)
    assert columns(lite) == []


def test_a_deleted_column_is_made_anew_with_all_its_scores(campus: Campus) -> None:
    begin(campus)
    write(campus)
    before = columns(campus)[0].scores
    items = campus.world.courses[COURSE].items
    items.pop(columns(campus)[0].id)
    for person in campus.world.learners_of(COURSE):
        if person.active and person.sub not in before:
            campus.grade(person.sub, 50)
            break
    campus.sync()
    campus.deliver()
    for _ in range(3):
        write(campus)
    (column,) = columns(campus)
    assert set(column.scores) == campus.winners()
    assert len(column.scores) == len(before) + 1


def test_the_line_item_of_the_badge_s_own_link_is_used(campus: Campus) -> None:
    begin(campus)
    client = next(iter(campus.world.tools))
    campus.world.courses[COURSE].items["77"] = Item("77", "Placed", Fraction(100), owner=client)
    query = campus.world.vendor.service_query
    url = f"{campus.world.base_url}/api/{COURSE}/lineitems/77/lineitem{query}"
    with campus.context.sessions.begin() as session:
        session.add(
            ResourceLink(
                course_id=campus.course_id(),
                resource_link_id="placed",
                achievement_id=campus.award_of(BEN).achievement_id,
                lineitem_url=url,
            )
        )
    assert write(campus) > 2
    assert columns(campus) == []
    assert campus.world.courses[COURSE].items["77"].scores[BEN] == 100


def test_retry_after_holds_all_scores_of_the_lms_back(
    campus: Campus, traveller: time_machine.Traveller
) -> None:
    begin(campus)
    due = due_for_pass_back(campus.context)
    campus.world.faults.next(SCORES, "429:3600", times=1)
    pass_back(campus.context, due[0])
    called = len(campus.world.requests)
    assert due_for_pass_back(campus.context) == []
    assert not any(pass_back(campus.context, each) for each in due)
    assert len(campus.world.requests) == called
    traveller.shift(timedelta(seconds=3590))
    assert due_for_pass_back(campus.context) == []
    traveller.shift(timedelta(seconds=20))
    campus.world.tokens.clear()
    assert set(due_for_pass_back(campus.context)) == set(due)
    assert write(campus) == len(due)


def test_the_oldest_award_s_score_is_written_first(lite: Campus) -> None:
    begin(lite)
    with lite.context.sessions() as session:
        assert session.scalars(select(AwardRule)).one().pass_back_item is None
    assert due_for_pass_back(lite.context) == [award.id for award in lite.awards()]


def test_the_form_says_what_the_column_counts(lite: Campus) -> None:
    page = lite.enter("3").text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    if not token:
        token = page.partition("Bearer ")[2].partition('"')[0].partition("&")[0]
    form = lite.client.get(
        f"{lite.tool}/course/rules/new", headers={"Authorization": f"Bearer {token}"}
    )
    assert "counts the column as 1 point" in form.text
