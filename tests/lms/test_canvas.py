"""Canvas's own ways, against a server that refuses what Canvas refuses."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from lti_badges.core.errors import NoRight, PlatformDown
from lti_badges.lms import LMS
from lti_badges.lms.canvas.scopes import OPTIONAL, REQUIRED, scope
from lti_badges.sandbox.canvas.state import CanvasState
from lti_badges.sandbox.demo_course import COURSE, HOMEWORK, MIDTERM, QUIZ
from lti_badges.values.course import Completion, Gradable, Kind, Result, ResultState, Unread
from tests.support.lms_side import Side, read, side_of, values

BEN, CHIARA = "5", "6"


@pytest.fixture
def side(keys_folder: Path) -> Iterator[Side]:
    with side_of("canvas", keys_folder) as side:
        yield side


def state(side: Side) -> CanvasState:
    found: CanvasState = side.world.vendor.state
    return found


def labelled(course: LMS, label: str) -> Gradable:
    listed = [*course.gradables(), *course.rare_gradables()]
    return next(each for each in listed if each.label == label)


def scored(side: Side, label: str, account: str) -> Result | None:
    course = side.opened()
    gradable = labelled(course, label)
    sub = side.world.user_id(account)
    found = read(course, gradable, side.subs()).get(sub)
    alone = values(course.readings_of(sub, [gradable])).get(sub)
    if isinstance(found, Result) and isinstance(alone, Result):
        assert (found.score, found.state) == (alone.score, alone.state)
    assert found is None or isinstance(found, Result)
    return found


def test_a_check_names_each_scope_that_is_missing_and_no_more(side: Side) -> None:
    held = state(side)
    held.scopes = {scope(path) for path in REQUIRED}
    said = side.opened().check()
    for paths in OPTIONAL.values():
        assert all(scope(path) in said for path in paths)
    held.scopes |= {scope(path) for paths in OPTIONAL.values() for path in paths}
    assert "lack" not in side.opened().check()
    held.scopes.discard(scope(REQUIRED[2]))
    with pytest.raises(NoRight) as refused:
        side.opened().check()
    assert scope(REQUIRED[2]) in refused.value.message
    assert scope(REQUIRED[1]) not in refused.value.message


def test_a_missing_scope_is_never_a_dead_token(side: Side) -> None:
    held = state(side)
    held.scopes = {scope(path) for path in REQUIRED}
    connection = {
        "url": side.world.base_url,
        "client_id": held.client_id,
        "client_secret": held.client_secret,
        "refresh_token": held.refresh_token,
    }
    course = side.opened(connection)
    with pytest.raises(NoRight) as refused:
        list(course.rare_gradables())
    for paths in OPTIONAL.values():
        assert scope(paths[0]) in refused.value.message
    assert "connect it anew" not in refused.value.message
    assert len(held.tokens) == 1  # the token was not renewed for it


def test_a_dead_token_says_so(side: Side) -> None:
    course = side.opened({"url": side.world.base_url, "token": "dead"})
    with pytest.raises(NoRight) as refused:
        course.check()
    assert "connect it anew" in refused.value.message


def test_a_throttled_call_is_a_wait_and_no_refusal(side: Side) -> None:
    course = side.opened()
    quiz = labelled(course, "Final quiz")
    list(course.members())
    state(side).quota = 0
    (reading,) = course.readings([quiz], lambda: iter(side.subs()))
    assert isinstance(reading, Unread)
    assert reading.code == "throttled"


def test_the_course_grade_has_its_several_readings(side: Side) -> None:
    items = side.world.courses[COURSE].items
    for item in items.values():
        item.scores.pop(BEN, None)
    items[HOMEWORK].scores[BEN] = Fraction(20)
    final = Fraction(str(round(20 / 120 * 100, 2)))
    assert scored(side, "Course grade", BEN).score == final  # type: ignore[union-attr]
    so_far = "Course grade so far (ungraded work left out)"
    assert scored(side, so_far, BEN).score == 100  # type: ignore[union-attr]
    by_hand = scored(side, "Course grade set by hand (override)", BEN)
    assert by_hand is not None
    assert by_hand.state is ResultState.MISSING
    state(side).overrides[BEN] = 61.5
    for label in ("Course grade", "Course grade set by hand (override)"):
        assert scored(side, label, BEN).score == Fraction(123, 2)  # type: ignore[union-attr]
    assert scored(side, so_far, BEN).score == 100  # type: ignore[union-attr]
    first = scored(side, "Course grade of “First half”", BEN)
    second = scored(side, "Course grade of “Second half” so far", BEN)
    assert first is not None
    assert second is not None
    assert (first.score, second.state) == (100, ResultState.MISSING)


def test_an_unposted_grade_is_in_no_course_grade(side: Side) -> None:
    items = side.world.courses[COURSE].items
    for item in items.values():
        item.scores[BEN], item.hidden = item.maximum, {BEN}
    assert scored(side, "Course grade", BEN).score == 0  # type: ignore[union-attr]
    assert scored(side, "Final quiz", BEN).state is ResultState.HIDDEN  # type: ignore[union-attr]
    items[QUIZ].hidden.clear()  # posted for this assignment alone
    assert scored(side, "Final quiz", BEN).state is ResultState.GRADED  # type: ignore[union-attr]
    assert scored(side, "Midterm", BEN).state is ResultState.HIDDEN  # type: ignore[union-attr]


def test_after_the_term_completed_enrolments_still_have_their_grades(side: Side) -> None:
    met = {member.sub: dict(member.custom) for member in side.opened().members()}
    ben = side.world.user_id(BEN)
    state(side).concluded.add(BEN)
    assert ben not in {member.sub for member in side.opened().members()}
    side.known = met
    opened = side.opened()
    member = next(each for each in opened.members() if each.sub == ben)
    assert member.can_earn
    found = read(opened, labelled(opened, "Course grade"), [ben])
    assert isinstance(found[ben], Result)


def test_a_module_is_a_condition_of_its_own(side: Side) -> None:
    course = side.world.courses[COURSE]
    course.done[BEN] = {"22"}
    opened = side.opened()
    homework = labelled(opened, "Module “Homework 1”")
    midterm = labelled(opened, "Module “Midterm”")
    assert homework.kind is Kind.ACTIVITY
    ben = side.world.user_id(BEN)
    readings = list(opened.readings([homework, midterm], lambda: iter([ben])))
    done = {r.activity: r.completed for r in readings if isinstance(r, Completion)}
    assert done == {homework.key: True, midterm.key: False}
    asked = [path for _, path, _ in side.world.requests if path.endswith("/modules")]
    assert len(asked) == 2 + 1  # the two lists above, and one call for both modules


def test_an_assignment_group_counts_what_is_missing_and_not_what_is_excused(side: Side) -> None:
    items = side.world.courses[COURSE].items
    items[MIDTERM].group = items[QUIZ].group = "Exams"
    items[MIDTERM].scores[BEN] = Fraction(50)
    items[QUIZ].scores.pop(BEN, None)
    label = "Assignment group “Exams”"
    found = scored(side, label, BEN)
    assert found is not None
    assert (found.score, found.maximum) == (50, 100)
    items[QUIZ].excused = {BEN}
    found = scored(side, label, BEN)
    assert found is not None
    assert (found.score, found.maximum) == (50, 50)
    items[MIDTERM].hidden = {BEN}
    assert scored(side, label, BEN).state is ResultState.HIDDEN  # type: ignore[union-attr]
    state(side).group_rules["Exams"] = {"drop_lowest": 1}
    opened = side.opened()
    (reading,) = opened.readings([labelled(opened, label)], lambda: iter(side.subs()))
    assert isinstance(reading, Unread)
    assert "drops scores" in reading.error


def test_pages_are_as_large_as_canvas_allows(side: Side) -> None:
    course = side.opened()
    quiz = labelled(course, "Final quiz")
    side.world.requests.clear()
    read(course, quiz, side.subs())
    asked = [path for _, path, _ in side.world.requests if "submissions" in path]
    assert len(asked) == 1


def test_ids_as_texts_are_the_same_ids(side: Side) -> None:
    course = side.opened()
    quiz = labelled(course, "Final quiz")
    assert quiz.key == f"canvas-assignment:{QUIZ}"
    state(side).string_ids = True
    again = side.opened()
    assert labelled(again, "Final quiz").key == quiz.key
    assert read(again, quiz, side.subs()).keys() == read(course, quiz, side.subs()).keys()


def test_an_own_host_answers_only_its_own_audience(side: Side) -> None:
    """The token address and nothing else, by letter (jwt_validator.rb)."""
    service = side.opened().course.service
    from dataclasses import replace

    service.endpoint = replace(service.endpoint, audience=side.world.base_url)
    with pytest.raises((NoRight, PlatformDown)) as refused:
        list(LMS(replace(side.opened({}).course, service=service)).members())
    assert "Audience" in refused.value.message
