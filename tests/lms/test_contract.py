"""What each LMS's adapter keeps, run against its vendor's loopback server: each capability, each
sort of error. A new LMS is tested by its line in the registry alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from lti_badges.core.errors import NoRight, PlatformError
from lti_badges.lms import LMS, LMSES
from lti_badges.sandbox import Item, Tool
from lti_badges.sandbox.demo_course import COURSE, MIDTERM, QUIZ
from lti_badges.values.course import (
    Completion,
    Gradable,
    Kind,
    ReadInFull,
    Result,
    ResultState,
    Unread,
)
from tests.support.lms_side import CLIENT, Side, read, side_of, values

BEN, CHIARA, DANIEL = "5", "6", "7"


@pytest.fixture(scope="module", params=list(LMSES))
def running(request: pytest.FixtureRequest, keys_folder: Path) -> Iterator[Side]:
    with side_of(request.param, keys_folder) as side:
        yield side


@pytest.fixture
def side(running: Side) -> Iterator[Side]:
    """The same servers, as they were before each test."""
    course = running.world.courses[COURSE]
    kept = {key: dict(item.scores) for key, item in course.items.items()}
    yield running
    running.world.faults.clear()
    running.world.page_size = None
    course.items = {key: item for key, item in course.items.items() if key in kept}
    for key, item in course.items.items():
        item.scores, item.hidden, item.excused = kept[key], set(), set()


@pytest.fixture
def connected(side: Side) -> Side:
    if not side.world.vendor.connection(side.world):
        pytest.skip("this LMS has no API of its own here")
    return side


def own_column(side: Side) -> Item:
    item = Item("500", "Badge task", Fraction(10), owner=CLIENT)
    side.world.courses[COURSE].items[item.id] = item
    item.scores |= {BEN: Fraction(8), CHIARA: Fraction(799, 100)}
    return item


def named(course: LMS, label: str) -> Gradable:
    items = [each for each in course.gradables() if each.kind is Kind.ITEM]
    found = [each for each in items if each.label == label]
    assert len(found) == 1, label
    return found[0]


def test_the_roster_is_read_to_its_end_once_each(side: Side) -> None:
    side.world.page_size = 7
    found = [member.sub for member in side.opened().members()]
    assert len(found) == len(set(found))
    assert set(side.subs()) <= set(found)


def test_over_lti_alone_the_tools_own_columns_are_read(side: Side) -> None:
    own_column(side)
    side.world.page_size = 1
    course = side.opened({})
    assert not course.is_connected
    item = named(course, "Badge task")
    found = read(course, item, side.subs())
    ben = found[side.world.user_id(BEN)]
    assert isinstance(ben, Result)
    assert (ben.score, ben.maximum, ben.state) == (8, 10, ResultState.GRADED)
    alone = values(course.readings_of(side.world.user_id(BEN), [item]))
    assert list(alone) == [side.world.user_id(BEN)]
    told = {each.kind: each.available for each in course.capabilities()}
    assert told[Kind.ITEM]
    assert not told[Kind.COURSE_GRADE]


def test_its_connection_is_proved_in_a_sentence(connected: Side) -> None:
    assert connected.opened().check().endswith(".")


def test_credentials_that_no_longer_count_are_no_right(connected: Side) -> None:
    held = connected.world.vendor.connection(connected.world)
    wrong = {key: value if key == "url" else "wrong" for key, value in held.items()}
    course = connected.opened(wrong | {k: v for k, v in held.items() if k.endswith("_url")})
    with pytest.raises(NoRight):
        course.check()
    with pytest.raises(PlatformError):
        list(course.gradables())


def test_what_it_promises_is_listed_under_keys_that_differ(connected: Side) -> None:
    course = connected.opened()
    listed = [*course.gradables(), *course.rare_gradables()]
    keys = [(each.kind, each.key) for each in listed]
    assert len(keys) == len(set(keys))
    promised = {each.kind for each in course.capabilities() if each.available}
    assert {each.kind for each in listed} <= promised | {Kind.ACTIVITY}
    assert {Kind.ITEM, Kind.COURSE_GRADE, Kind.COMPLETION} <= {each.kind for each in listed}


@pytest.mark.parametrize("size", [None, 3])
def test_a_quiz_is_read_for_all_and_for_one_alike(connected: Side, size: int | None) -> None:
    connected.world.page_size = size
    course = connected.opened()
    quiz = named(course, "Final quiz")
    assert quiz.maximum == 50
    found = read(course, quiz, connected.subs())
    scores = connected.world.courses[COURSE].items[QUIZ].scores
    for sub in connected.subs():
        account = connected.world.account(sub)
        result = found.get(sub)
        expected = scores.get(account or "")
        got = result.score if isinstance(result, Result) else None
        assert got == expected, account
        if expected is None and result is not None:
            assert isinstance(result, Result)
            assert result.state is ResultState.MISSING
    for account in (BEN, "19"):
        sub = connected.world.user_id(account)
        alone = values(course.readings_of(sub, [quiz]))
        assert isinstance(alone[sub], Result)
        assert alone[sub].score == scores[account]  # type: ignore[union-attr]


def test_what_a_learner_may_not_see_is_no_grade(connected: Side) -> None:
    item = connected.world.courses[COURSE].items[QUIZ]
    item.hidden = {BEN}
    course = connected.opened()
    quiz = named(course, "Final quiz")
    sub = connected.world.user_id(BEN)
    for found in (
        read(course, quiz, connected.subs()),
        values(course.readings_of(sub, [quiz])),
    ):
        result = found.get(sub)
        assert result is None or (
            isinstance(result, Result) and result.state is not ResultState.GRADED
        )
    others = read(course, quiz, connected.subs())
    assert connected.world.user_id(CHIARA) in others


def test_who_is_excused_has_no_grade_and_no_zero(connected: Side) -> None:
    if not connected.world.vendor.excuses:
        pytest.skip("this LMS excuses nobody")
    connected.world.courses[COURSE].items[QUIZ].excused = {DANIEL}
    course = connected.opened()
    quiz = named(course, "Final quiz")
    result = read(course, quiz, connected.subs())[connected.world.user_id(DANIEL)]
    assert isinstance(result, Result)
    assert result.state is ResultState.EXCUSED


def test_course_grade_and_completion_are_read_for_all_and_for_one_alike(connected: Side) -> None:
    course = connected.opened()
    listed = {each.kind: each for each in course.gradables()}
    world, subs = connected.world, connected.subs()
    for kind in (Kind.COURSE_GRADE, Kind.COMPLETION):
        found = read(course, listed[kind], subs)
        assert found, kind
        sub = world.user_id(BEN)
        alone = values(course.readings_of(sub, [listed[kind]]))
        same = [each[sub] for each in (found, alone) if sub in each]
        if kind is Kind.COMPLETION:
            assert len({each.completed for each in same if isinstance(each, Completion)}) == 1
        else:
            assert len({each.score for each in same if isinstance(each, Result)}) == 1
    done = read(course, listed[Kind.COMPLETION], subs)
    completed = {
        sub for sub, each in done.items() if isinstance(each, Completion) and each.completed
    }
    books = {world.user_id(account) for account in world.courses[COURSE].completed}
    assert completed == books & set(subs)


def test_all_that_is_rarely_listed_can_be_read(connected: Side) -> None:
    course = connected.opened()
    for gradable in course.rare_gradables():
        assert gradable.is_rare
        readings = list(course.readings([gradable], lambda: iter(connected.subs())))
        assert isinstance(readings[-1], ReadInFull), (gradable, readings[-1])
        found = values(readings)
        sub = connected.world.user_id(BEN)
        alone = values(course.readings_of(sub, [gradable]))
        met = [
            each.completed if isinstance(each, Completion) else each.score
            for each in (found.get(sub), alone.get(sub))
            if each is not None
        ]
        assert len(set(met)) <= 1, gradable


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("500", {"platform_down"}),
        ("429:9", {"throttled", "platform_down"}),
        ("403", {"no_right"}),
        ("404", {"gone", "platform_down"}),
        ("garbage", {"unreadable", "not_json"}),
        ("html", {"unreadable", "not_json"}),
        ("drop", {"reply_lost", "not_sent"}),
    ],
)
def test_what_can_not_be_read_is_unread_and_says_why(
    connected: Side, fault: str, codes: set[str]
) -> None:
    course = connected.opened()
    quiz = named(course, "Final quiz")
    list(course.members())
    connected.world.faults.next("/", fault, times=50)
    readings = list(course.readings([quiz], lambda: iter(connected.subs())))
    assert [type(each) for each in readings] == [Unread]
    assert isinstance(readings[0], Unread)
    assert readings[0].code in codes
    assert readings[0].error.endswith(".")
    if fault == "429:9":
        assert readings[0].retry_after == 9


def test_one_item_that_is_gone_stops_no_other(connected: Side) -> None:
    course = connected.opened()
    quiz, midterm = named(course, "Final quiz"), named(course, "Midterm")
    items = connected.world.courses[COURSE].items
    taken = items.pop(QUIZ)
    try:
        readings = list(course.readings([quiz, midterm], lambda: iter(connected.subs())))
    finally:
        items[QUIZ] = taken
        items[MIDTERM] = items.pop(MIDTERM)
    assert any(isinstance(each, ReadInFull) and each.key == midterm.key for each in readings)
    graded = [each for each in readings if isinstance(each, Result) and each.key == quiz.key]
    assert not [each for each in graded if each.state is ResultState.GRADED]


def test_a_tool_whose_key_set_is_unknown_gets_no_token(side: Side) -> None:
    """The vendor checks the assertion: audience, key, times."""
    tool = side.world.tools[CLIENT]
    side.world.tools.pop(CLIENT)
    try:
        with pytest.raises(NoRight):
            list(side.opened({}).members())
    finally:
        side.world.register_tool(tool)


def test_a_scope_that_is_not_granted_is_no_right(side: Side) -> None:
    tool = side.world.tools[CLIENT]
    rest = frozenset(scope for scope in tool.scopes if "nrps" not in scope)
    side.world.register_tool(_with_scopes(tool, rest))
    try:
        with pytest.raises(NoRight):
            list(side.opened({}).members())
    finally:
        side.world.register_tool(tool)


def _with_scopes(tool: Tool, scopes: frozenset[str]) -> Tool:
    return replace(tool, scopes=scopes)
