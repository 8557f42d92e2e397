"""One odd row of an LMS never stops the others, on either database: it is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import request
from sqlalchemy import select

from lti_badges.core import clock
from lti_badges.core.text import NO_ID
from lti_badges.courses.odd_rows import OddRows
from lti_badges.lms import LMS
from lti_badges.lms.rest import key_of
from lti_badges.lti import ags, nrps
from lti_badges.queries.course_sources import course_sources
from lti_badges.sandbox import services as sandbox_services
from lti_badges.settings import Settings
from lti_badges.store import CourseMember, LineItem, MemberResult, Platform
from lti_badges.values.course import (
    Gradable,
    Kind,
    ReadInFull,
    Result,
    ResultState,
    UpToDate,
)
from tests.support.campus import TEACHER, Campus
from tests.support.campus import campus as running_campus

LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
MEMBERS = nrps.CONTAINER_TYPE
ODD_MEMBERS: list[Any] = [
    {"user_id": "nul-name", "name": "Ada\0 Lovelace", "roles": [LEARNER]},
    {"user_id": "long-name", "name": "L" * 5000, "roles": [LEARNER, "r" * 9000]},
    {
        "user_id": "surrogate",
        "name": "Gr\ud800ace",
        "email": "g\ud800@x.org",
        "roles": [LEARNER],
    },
    {"user_id": "long-mail", "name": "Mail", "email": "m" * 400 + "@x.example", "roles": [LEARNER]},
    {"user_id": "long-status", "name": "Status", "status": "S" * 90, "roles": [LEARNER]},
    {"user_id": "long-sourcedid", "lis_person_sourcedid": "i" * 900, "roles": [LEARNER]},
    {"user_id": "custom", "message": [{nrps.CUSTOM: {"a\0": "\0b", "c": "d" * 9000}}], "roles": []},
    {"user_id": "i" * 256, "name": "Long Id", "roles": [LEARNER]},
    {"user_id": "nul\0id", "name": "Nul Id", "roles": [LEARNER]},
    {"user_id": "sur\udfffid", "name": "Surrogate Id", "roles": [LEARNER]},
    {"user_id": ["list"], "name": "List Id", "roles": [LEARNER]},
    {"user_id": {}, "name": "Dict Id", "roles": "Learner"},
    {"name": "No Id", "roles": [LEARNER]},
    {"user_id": "last", "name": "Last One", "roles": [LEARNER]},
    "no object",
    None,
]
ODD_ITEMS: list[Any] = [
    {"id": "https://lms.example/1", "label": "Nul\0 label", "scoreMaximum": 10},
    {"id": "https://lms.example/2", "label": "L" * 3000, "tag": "t" * 900, "resourceId": "\0"},
    {"id": "https://lms.example/3", "label": "Infinite", "scoreMaximum": float("inf")},
    {"id": "https://lms.example/" + "4" * 1000, "label": "Long id", "scoreMaximum": 10},
    {"id": "https://lms.example/\0", "label": "Nul id", "scoreMaximum": 10},
    {"label": "No id", "scoreMaximum": 10},
    {"id": 7, "label": "Number id"},
    {"id": "https://lms.example/9", "label": "Last item", "scoreMaximum": 10},
]


def _also_listed(monkeypatch: pytest.MonkeyPatch, kind: str, rows: list[Any]) -> None:
    """The LMS lists these besides its own."""
    answered = sandbox_services._json

    def answer(body: Any, media_type: str, status: int = 200, link: str | None = None) -> Any:
        if media_type == kind and request.method == "GET" and link is None:  # the last page
            body = {**body, "members": [*body["members"], *rows]} if kind == MEMBERS else body
            body = [*body, *rows] if isinstance(body, list) else body
        return answered(body, media_type, status, link)

    monkeypatch.setattr(sandbox_services, "_json", answer)


def test_odd_members_do_not_stop_the_others_and_are_named(
    campus: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    campus.rule()
    _also_listed(monkeypatch, nrps.CONTAINER_TYPE, ODD_MEMBERS)
    report = campus.sync()
    assert not report.errors
    campus.deliver()
    assert campus.winners() == campus.expected()
    with campus.context.sessions() as session:
        kept = {row.sub: row for row in session.scalars(select(CourseMember))}
    assert {"nul-name", "long-name", "surrogate", "long-status", "custom", "last"} <= set(kept)
    assert kept["nul-name"].name == "Ada Lovelace"
    assert len(kept["long-name"].name or "") == 500
    assert kept["surrogate"].email is None
    assert kept["long-mail"].email is None
    said = " ".join(course_sources(campus.context, campus.course_id()).odd_rows)
    for name in ("Long Id", "Nul Id", "Surrogate Id", "List Id", "Dict Id", "No Id"):
        assert f"“{name}”" in said, said
    assert "255 characters" in said
    page = campus.enter(TEACHER).text
    assert "are left out" in page
    monkeypatch.undo()
    campus.sync()
    assert course_sources(campus.context, campus.course_id()).odd_rows == ()


@pytest.fixture
def by_lti(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campus]:
    """An LMS that shows all its columns by LTI, its own API not connected."""
    with running_campus(settings) as both:
        monkeypatch.setattr(type(both.world.vendor), "only_own_columns", False)
        with both.context.sessions.begin() as session:
            for platform in session.scalars(select(Platform)):
                platform.connection = None
        yield both


def test_odd_items_do_not_stop_the_others_and_are_named(
    by_lti: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_lti.rule()
    _also_listed(monkeypatch, ags.CONTAINER_TYPE, ODD_ITEMS)
    assert not by_lti.sync().errors
    with by_lti.context.sessions() as session:
        kept = {row.label: row for row in session.scalars(select(LineItem))}
    assert {"Nul label", "Infinite", "Last item"} <= set(kept)
    assert kept["Infinite"].maximum is None
    said = " ".join(course_sources(by_lti.context, by_lti.course_id()).odd_rows)
    for name in ("Long id", "Nul id", "No id", "Number id"):
        assert f"“{name}”" in said, said


def test_odd_results_do_not_stop_the_others_and_are_named(
    by_lti: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_lti.rule()
    odd: list[Any] = [
        {"userId": "nul\0", "resultScore": 1, "resultMaximum": 1},
        {"userId": "x" * 900, "resultScore": 1, "resultMaximum": 1},
        {"userId": [], "resultScore": 1, "resultMaximum": 1},
        {"resultScore": 1, "resultMaximum": 1},
        {"userId": by_lti.world.user_id("4"), "resultScore": 10**4200, "resultMaximum": 1},
        7,
    ]
    _also_listed(monkeypatch, ags.RESULTS_TYPE, odd)
    assert not by_lti.sync().errors
    said = course_sources(by_lti.context, by_lti.course_id()).odd_rows
    assert any("learner can't be told" in sentence for sentence in said), said
    with by_lti.context.sessions() as session:
        assert session.scalars(select(MemberResult)).all()


def test_a_row_without_an_id_is_named_and_stops_no_other() -> None:
    odd = OddRows()
    rows: list[dict[str, Any]] = [
        {"name": "No id"},
        {"id": None, "name": "Null id"},
        {"id": 7, "name": "Good"},
    ]
    listed = [
        Gradable(Kind.GROUP, key_of("group:", row), row["name"], None, "api", is_rare=True)
        for row in rows
    ]
    assert [each.key for each in odd.gradables(listed)] == ["group:7"]
    assert [said for said in odd.sentences if "No id" in said and "it has no id" in said]
    assert len(odd.sentences) == 2


def test_a_list_with_a_row_left_out_takes_no_value_and_no_item_away() -> None:
    full = ReadInFull(Kind.ITEM, "quiz")
    whole, cut = OddRows(), OddRows()
    nameless = Result("quiz", "\0", ResultState.GRADED, None, None, clock.now())

    assert list(whole.readings([full])) == [full]
    assert list(cut.readings([nameless, full])) == [UpToDate(Kind.ITEM, "quiz")]


def test_an_item_whose_row_lost_its_id_is_not_taken_for_deleted(
    lite: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.rule()
    lite.sync()
    quiz = lite.item_key("Final quiz")
    listed = LMS.gradables

    def cut(course: LMS) -> Iterator[Gradable]:
        for item in listed(course):
            yield replace(item, key=NO_ID) if item.key == quiz else item

    monkeypatch.setattr(LMS, "gradables", cut)
    lite.sync()
    with lite.context.sessions() as session:
        row = session.scalar(select(LineItem).where(LineItem.key == quiz))
    assert row is not None
    assert row.present
