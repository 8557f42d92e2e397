"""Whatever an LMS answers, its adapter raises nothing but its own family of errors.

A fast part by default; `FUZZ=20` does twenty times as much.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lti_badges import lms
from lti_badges.core.errors import PlatformError
from lti_badges.core.http import Http
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lti import ags, nrps
from lti_badges.lti.service import Service
from lti_badges.lti.tokens import PlatformEndpoint
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    Result,
    Unread,
)
from tests.support.lms_side import side_of
from tests.support.odd import OddHttp, SameAnswer, SpoiltHttp, names_in

TIMES = int(os.environ.get("FUZZ", "1"))
ROUNDS, SPOILT_ROUNDS = 60 * TIMES, 3 * TIMES
KEPT = {
    "url": "https://lms.example",
    "token": "t",
    "client_id": "c",
    "client_secret": "s",
    "refresh_token": "r",
    "application_key": "k",
    "application_secret": "s",
    "version": "1.51",
}


class Tokens:
    """A token is always there."""

    def get(self, _endpoint: object, _scopes: object) -> str:
        return "t"

    def forget(self, *_: object) -> None:
        return


def names_of(vendor: type[lms.LMS]) -> tuple[str, ...]:
    package = vendor.__module__.rpartition(".")[0]
    found = [importlib.import_module(vendor.__module__), ags, nrps]
    if package != "lti_badges.lms":
        path = importlib.import_module(package).__path__
        found += [
            importlib.import_module(f"{package}.{m.name}") for m in pkgutil.iter_modules(path)
        ]
    return names_in(*found)


def gradables(keys: list[str]) -> list[Gradable]:
    made = [
        Gradable(Kind.COURSE_GRADE, COURSE_GRADE_KEY, "Course grade", Fraction(100), "x"),
        Gradable(Kind.COMPLETION, COURSE_COMPLETION, "Completion", None, "x"),
    ]
    return made + [
        Gradable(kind, key, "Quiz", Fraction(50), "x", is_rare=kind is Kind.GROUP)
        for key in keys
        for kind in (Kind.ITEM, Kind.ACTIVITY, Kind.GROUP)
    ]


def prefixes(vendor: type[lms.LMS]) -> list[str]:
    """The keys that a vendor's own gradables begin with."""
    return sorted({name for name in names_of(vendor) if name.startswith(f"{vendor.key}-")})


@pytest.mark.parametrize("key", list(lms.LMSES))
def test_no_answer_of_an_lms_leaves_its_family_of_errors(key: str) -> None:
    vendor = lms.LMSES[key]
    names = names_of(vendor)
    keys = [f"{prefix}:1" for prefix in prefixes(vendor)] + ["https://lms.example/items/1"]
    for seed in range(ROUNDS):
        http = OddHttp(random.Random(f"{key} {seed}"), names)
        exercise(opened(vendor, http, KEPT if seed % 4 else {}), gradables(keys))


@pytest.mark.parametrize("key", list(lms.LMSES))
def test_one_odd_place_in_a_true_answer_leaves_no_family_of_errors(
    key: str, keys_folder: Path
) -> None:
    with side_of(key, keys_folder) as side:
        course = side.opened()
        known = [*course.gradables(), *course.rare_gradables()]
        for seed in range(SPOILT_ROUNDS):
            chance = random.Random(f"{key} {seed}")
            side.http = SpoiltHttp(chance)
            exercise(side.opened(), chance.sample(known, min(3, len(known))))
            side.http.close()


@pytest.mark.parametrize("answer", [[{"groupid": 1, "userids": None}], [{"groupid": 1}]])
def test_a_group_whose_members_can_t_be_read_is_not_empty(answer: object) -> None:
    """Taking it for an empty one would take its members' badges."""
    course = opened(lms.LMSES["moodle"], SameAnswer(answer), KEPT)
    wanted = [Gradable(Kind.GROUP, "moodle-group:1", "Group", None, "x", is_rare=True)]
    told = list(course.readings(wanted, lambda: iter(("5", "6"))))
    assert [type(each) for each in told] == [Unread]


def opened(vendor: type[lms.LMS], http: Http, connection: dict[str, str]) -> lms.LMS:
    endpoint = PlatformEndpoint("p", "https://lms.example", "c", "https://lms.example/token")
    return vendor(
        CourseHandle(
            issuer="https://lms.example",
            context_id="7",
            lineitems_url="https://lms.example/items",
            memberships_url="https://lms.example/members",
            scopes=frozenset({ags.LINEITEM}),
            custom={"brightspace_org_unit": "7"},
            service=Service(http, Tokens(), endpoint),  # type: ignore[arg-type]
            http=http,
            connection=connection,
            update_connection=lambda change: change(KEPT),
        )
    )


def exercise(course: lms.LMS, wanted: list[Gradable]) -> None:
    calls: list[Callable[[], Any]] = [
        course.members,
        course.gradables,
        course.rare_gradables,
        lambda: course.readings(wanted, lambda: iter(("5", "6"))),
        lambda: course.readings_of("5", wanted),
        lambda: [course.check()] if course.is_connected else [],
        lambda: ags.results(course.course.service, "https://lms.example/items/1"),
    ]
    for call in calls:
        try:
            told = list(islice(iterated(call), 3000))
        except PlatformError:
            continue
        for each in told:
            assert_storable(each)


def iterated(call: Callable[[], Any]) -> Iterator[Any]:
    yield from call()


def assert_storable(value: object) -> None:
    """What was understood has the types that are stored."""
    if isinstance(value, Result):
        assert value.score is None or isinstance(value.score, Fraction)
        assert isinstance(value.sub, str)
    if isinstance(value, Completion):
        assert isinstance(value.completed, bool)
        assert isinstance(value.sub, str)
