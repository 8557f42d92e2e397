"""Moodle's adapter against a server that refuses what Moodle refuses."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from lti_badges.core.errors import NoRight
from lti_badges.lms.moodle.gradebook import AT_ONCE
from lti_badges.lms.moodle.rights import COURSE_DONE, GRADES, ITEMS
from lti_badges.lms.moodle.values import mark_of
from lti_badges.sandbox.demo_course import COURSE, HOMEWORK, QUIZ
from lti_badges.sandbox.moodle.state import MoodleState
from lti_badges.values.course import (
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    ReadInFull,
    Reading,
    Result,
    ResultState,
    Unread,
)
from tests.support.lms_side import Side, side_of

BEN, CHIARA = "5", "6"


@pytest.fixture
def side(keys_folder: Path) -> Iterator[Side]:
    with side_of("moodle", keys_folder) as found:
        yield found


def site(side: Side) -> MoodleState:
    state = side.world.vendor.state
    assert isinstance(state, MoodleState)
    return state


def read(side: Side, wanted: list[Gradable]) -> list[Reading]:
    """Of everybody, as the course's own reading asks."""
    return list(side.opened().readings(wanted, lambda: iter(side.subs())))


def quiz(side: Side) -> Gradable:
    return next(each for each in side.opened().gradables() if each.label == "Final quiz")


def test_a_grade_hidden_from_one_learner_hides_no_item(side: Side) -> None:
    """With and without the right to see hidden grades; hidden is not deleted."""
    everybody = {person.sub for person in side.world.learners_of(COURSE)}
    side.world.courses[COURSE].items[QUIZ].hidden = {"4"}
    assert not quiz(side).is_hidden
    site(side).rights.discard("moodle/grade:viewhidden")
    assert not quiz(side).is_hidden
    side.world.courses[COURSE].items[QUIZ].hidden = everybody
    found = quiz(side)
    assert found.is_hidden
    assert found.key == f"moodle-item:{QUIZ}"


def test_a_large_class_is_read_learner_by_learner(side: Side) -> None:
    wanted = quiz(side)
    site(side).limit, site(side).calls[:] = AT_ONCE, []
    found = read(side, [wanted])
    told = {each.sub for each in found if isinstance(each, Result)}
    assert told == set(side.subs())
    assert isinstance(found[-1], ReadInFull)
    assert site(side).calls.count(GRADES) == len(side.subs())


def test_a_small_class_is_read_in_one_call_and_by_learner_where_that_is_too_slow(
    side: Side,
) -> None:
    course = side.world.courses[COURSE]
    course.members = course.members[:15]
    wanted = quiz(side)
    site(side).calls[:] = []
    assert isinstance(read(side, [wanted])[-1], ReadInFull)
    assert site(side).calls == [GRADES]
    site(side).limit = 3
    found = read(side, [wanted])
    assert {each.sub for each in found if isinstance(each, Result)} == set(side.subs())


def test_one_late_learner_never_starves_the_others(side: Side) -> None:
    wanted = quiz(side)
    site(side).late = {BEN: 1}
    found = read(side, [wanted])
    told = {each.sub for each in found if isinstance(each, Result)}
    assert told == set(side.subs()) - {BEN}
    last = found[-1]
    assert isinstance(last, Unread)
    assert last.code == "late"
    assert "1 learners" in last.error
    assert isinstance(read(side, [wanted])[-1], ReadInFull)


def test_a_server_that_answers_nobody_is_left_alone_soon(side: Side) -> None:
    wanted = quiz(side)
    site(side).late, site(side).calls[:] = dict.fromkeys(side.subs(), 9), []
    assert isinstance(read(side, [wanted])[-1], Unread)
    assert len(site(side).calls) == 3


def test_a_scale_is_shown_in_its_words_and_compares(side: Side) -> None:
    site(side).scales[HOMEWORK] = ("Fail", "Pass", "Merit")
    item = side.world.courses[COURSE].items[HOMEWORK]
    item.scores = {BEN: Fraction(3), CHIARA: Fraction(2)}
    wanted = next(each for each in side.opened().gradables() if each.label == "Homework 1")
    assert wanted.in_words
    told = {each.sub: each for each in read(side, [wanted]) if isinstance(each, Result)}
    assert (told[BEN].mark, told[BEN].score, told[BEN].maximum) == ("Merit", 2, 2)
    assert (told[CHIARA].mark, told[CHIARA].score) == ("Pass", 1)


@pytest.mark.parametrize(
    ("shown", "mark"),
    [
        ("46.00", None),
        ("46,00", None),
        ("92.00 %", None),
        ("46.00 (92.00 %)", None),
        ("A- (92.00 %)", "A-"),
        ("Sehr gut", "Sehr gut"),
        ("優", "優"),
        ("ممتاز", "ممتاز"),
        ("1,3", "1,3"),
        ("-", None),
        ('<i class="icon"></i>46.0', None),
    ],
)
def test_letters_are_told_from_points_in_every_language(shown: str, mark: str | None) -> None:
    item = {"graderaw": 46, "grademin": 0, "grademax": 50, "gradeformatted": shown}
    assert mark_of(item) == mark


def test_the_check_names_each_missing_function_and_right(side: Side) -> None:
    assert "let us in as badge-service" in side.opened().check()
    site(side).functions -= {COURSE_DONE, ITEMS}
    with pytest.raises(NoRight) as refused:
        side.opened().check()
    assert COURSE_DONE in refused.value.message
    assert ITEMS in refused.value.message
    site(side).functions |= {COURSE_DONE, ITEMS}
    site(side).rights -= {"report/completion:view", "report/progress:view"}
    with pytest.raises(NoRight) as refused:
        side.opened().check()
    for right in ("report/completion:view", "report/progress:view"):
        assert right in refused.value.message
    site(side).rights |= {"report/completion:view", "report/progress:view"}
    site(side).rights.discard("moodle/grade:viewhidden")
    side.world.courses[COURSE].items[QUIZ].published = False
    with pytest.raises(NoRight, match="moodle/grade:viewhidden"):
        side.opened().check()


def test_what_rules_can_use_is_asked_of_the_site(side: Side) -> None:
    site(side).functions.discard(COURSE_DONE)
    found = {each.sentence: each.available for each in side.opened().capabilities()}
    (missing,) = [said for said in found if COURSE_DONE in said]
    assert not found[missing]
    assert "report/completion:view" in missing
    assert found["Every grade item of the gradebook."]


def test_separate_groups_are_a_missing_right_and_nobody_gone(side: Side) -> None:
    wanted = quiz(side)
    site(side).separate_groups = True
    site(side).rights.discard("moodle/site:accessallgroups")
    last = read(side, [wanted])[-1]
    assert isinstance(last, Unread)
    assert "accessallgroups" in last.error


def test_suspended_accounts_and_untracked_people_never_earn(side: Side) -> None:
    site(side).suspended = {BEN}
    side.world.courses[COURSE].untracked = {CHIARA}
    members = {member.sub: member for member in side.opened().members()}
    assert not members[BEN].can_earn
    assert members[CHIARA].can_earn
    wanted = [each for each in side.opened().gradables() if each.label == "Read the syllabus"]
    told = {each.sub: each for each in read(side, wanted) if isinstance(each, Completion)}
    assert told["4"].completed
    assert CHIARA not in told


def test_cohorts_are_conditions(side: Side) -> None:
    site(side).cohorts["Class of 2027"] = {BEN, CHIARA}
    cohort = next(
        each for each in side.opened().rare_gradables() if each.label == "Cohort “Class of 2027”"
    )
    assert cohort.kind is Kind.GROUP
    told = {each.sub for each in read(side, [cohort]) if isinstance(each, Completion)}
    assert told == {BEN, CHIARA}


def test_a_hidden_grade_is_hidden(side: Side) -> None:
    side.world.courses[COURSE].items[QUIZ].hidden = {BEN}
    wanted = [quiz(side)]
    told = {each.sub: each for each in read(side, wanted) if isinstance(each, Result)}
    assert told[BEN].state is ResultState.HIDDEN
    assert all(each.key != COURSE_GRADE_KEY for each in told.values())
