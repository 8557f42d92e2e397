"""Brightspace's own ways, against a server that refuses what Brightspace refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import select

from lti_badges.core import clock
from lti_badges.core.errors import NoRight, Unsupported
from lti_badges.lms import LMS
from lti_badges.lms.brightspace import valence
from lti_badges.lms.brightspace.adapter import CLAIM, Brightspace
from lti_badges.lms.brightspace.valence import OPTIONAL, REQUIRED
from lti_badges.sandbox.brightspace.state import BrightspaceState
from lti_badges.sandbox.demo_course import COURSE, HOMEWORK, MIDTERM, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import Course
from lti_badges.values.course import Completion, Gradable, Kind, Result, ResultState, Unread
from tests.support.campus import TEACHER
from tests.support.campus import campus as running_campus
from tests.support.lms_side import Side, read, side_of, values

BEN, CHIARA = "5", "6"


@pytest.fixture
def side(keys_folder: Path) -> Iterator[Side]:
    valence._VERSIONS.clear()
    with side_of("brightspace", keys_folder) as side:
        yield side
    valence._VERSIONS.clear()


def state(side: Side) -> BrightspaceState:
    found: BrightspaceState = side.world.vendor.state
    return found


def of_kind(course: LMS, kind: Kind) -> Gradable:
    return next(each for each in course.gradables() if each.kind is kind)


def final(side: Side, account: str) -> Result:
    """The final grade of one learner, read for all and alone alike."""
    course = side.opened()
    grade, sub = of_kind(course, Kind.COURSE_GRADE), side.world.user_id(account)
    found = read(course, grade, side.subs())[sub]
    alone = values(course.readings_of(sub, [grade]))[sub]
    assert isinstance(found, Result)
    assert isinstance(alone, Result)
    assert (found.score, found.state, found.mark) == (alone.score, alone.state, alone.mark)
    return found


def test_one_quiz_is_no_course_grade_of_a_hundred_percent(side: Side) -> None:
    items = side.world.courses[COURSE].items
    items[HOMEWORK].scores[BEN] = Fraction(20)
    items[MIDTERM].scores.pop(BEN, None)
    items[QUIZ].scores.pop(BEN, None)
    assert final(side, BEN).score == 20  # of 120: what nobody graded counts as zero
    state(side).null_is_zero = False
    early = final(side, BEN)
    assert early.state is ResultState.PENDING
    items[MIDTERM].scores[BEN] = Fraction(50)
    items[QUIZ].excused = {BEN}  # exempt: nothing is left to be graded
    whole = final(side, BEN)
    assert (whole.state, whole.score, whole.maximum) == (ResultState.GRADED, 70, 70)


def test_a_final_grade_counts_once_it_is_released_and_shows_its_letter(side: Side) -> None:
    state(side).symbols[BEN] = "91.5 % (A-)"
    assert (final(side, BEN).state, final(side, BEN).mark) == (ResultState.GRADED, "A-")
    assert final(side, CHIARA).mark is None
    state(side).unreleased.add(BEN)
    assert final(side, BEN).state is ResultState.HIDDEN


def test_a_record_completes_a_course_and_so_do_all_its_topics(side: Side) -> None:
    course = side.world.courses[COURSE]
    course.done[BEN], course.done[CHIARA] = {"21"}, set(course.activities)
    opened = side.opened()
    completion = of_kind(opened, Kind.COMPLETION)
    ben, chiara = (side.world.user_id(each) for each in (BEN, CHIARA))

    def done(sub: str) -> bool | None:
        found = read(opened, completion, side.subs()).get(sub)
        alone = values(opened.readings_of(sub, [completion])).get(sub)
        assert (found is None) == (alone is None)
        return found.completed if isinstance(found, Completion) else None

    assert (done(ben), done(chiara)) == (False, True)
    state(side).records[BEN] = clock.now()
    assert done(ben) is True
    state(side).scopes -= {"content:completions:read"}
    assert (done(ben), done(chiara)) == (True, None)  # known by records alone
    state(side).scopes -= {"grades:coursecompletion:read"}
    state(side).scopes |= {"content:completions:read"}
    assert (done(ben), done(chiara)) == (False, True)  # and by content alone


def test_a_learner_without_a_number_is_unknown_and_never_without_a_grade(side: Side) -> None:
    course = side.opened()
    quiz = next(each for each in course.gradables() if each.label == "Final quiz")
    found = read(course, quiz, [*side.subs(), "anonymous-guid", "campus_x"])
    for sub in ("anonymous-guid", "campus_x"):
        result = found[sub]
        assert isinstance(result, Result)
        assert result.state is ResultState.PENDING
    (alone,) = course.readings_of("anonymous-guid", [quiz])
    assert isinstance(alone, Unread)
    assert alone.code == Unsupported.code


def test_the_org_unit_is_what_the_platform_signed(side: Side) -> None:
    course = side.opened()
    bent = Brightspace(replace(course.course, custom={"brightspace_org_unit": "666"}))
    assert list(bent.gradables())
    assert all("666" not in path for _, path, _ in side.world.requests)


def test_the_nearest_version_that_is_still_there_is_spoken(side: Side) -> None:
    state(side).versions = {"le": ("1.70", "1.97"), "lp": ("1.20", "1.31")}
    assert list(side.opened().gradables())
    assert any("/le/1.70/" in path for _, path, _ in side.world.requests)


def test_a_service_user_proves_itself_by_the_tools_own_key(side: Side) -> None:
    connection = {
        "url": side.world.base_url,
        "client_id": state(side).client_id,
        "read_as": "service-user",
        "token_url": f"{side.world.base_url}/core/connect/token",
    }
    course = side.opened(connection)
    assert course.is_connected
    assert not course.asks_instructors
    assert "let us in" in course.check()
    assert list(course.gradables())
    state(side).service_user = False
    state(side).tokens.clear()
    with pytest.raises(NoRight):
        side.opened(connection).check()


def test_a_refresh_token_is_used_once_and_the_new_one_kept(side: Side) -> None:
    course = side.opened()
    for _ in range(3):
        list(course.gradables())
        state(side).tokens.clear()  # taken back: each reading renews
    assert state(side).grants == 3


def test_each_scope_that_is_missing_is_named(side: Side) -> None:
    state(side).scopes = set(REQUIRED)
    said = side.opened().check()
    assert all(name in said for name in OPTIONAL)
    with pytest.raises(NoRight) as refused:
        list(side.opened().rare_gradables())
    assert "sections:section:read" in refused.value.message
    assert "groups:group:read" in refused.value.message
    state(side).scopes.discard("grades:gradesettings:read")
    with pytest.raises(NoRight) as refused:
        side.opened().check()
    assert "grades:gradesettings:read" in refused.value.message
    assert "grades:gradevalues:read" not in refused.value.message


def test_the_copys_history_is_in_a_claim_of_its_own(sqlite_settings: Settings) -> None:
    """The variable of that name is not filled in by every version."""
    with running_campus(sqlite_settings, "brightspace") as campus:
        campus.world.courses[COURSE].copied_from = ["12", "11"]
        campus.enter(TEACHER)
        with campus.context.sessions() as session:
            assert session.scalars(select(Course)).one().custom["context_history"] == "12,11"
    for odd in ({}, {CLAIM: {"Context.id.history": ""}}, {CLAIM: 5}):
        assert Brightspace.told_besides(odd) == {}
