"""The LMSes' own REST APIs, against servers written after their documentation."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import time_machine
from flask import Flask, Response, jsonify, request

from lti_badges.core import clock
from lti_badges.core.errors import NoRight, PlatformDown, PlatformError, Unsupported
from lti_badges.core.http import Http
from lti_badges.core.text import NO_ID
from lti_badges.lms.base import LMS
from lti_badges.lms.blackboard.adapter import Blackboard
from lti_badges.lms.brightspace.adapter import Brightspace
from lti_badges.lms.canvas.adapter import Canvas
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lti.service import Service
from lti_badges.lti.tokens import PlatformEndpoint, ServiceTokens
from lti_badges.values.course import (
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    ReadInFull,
    Result,
    ResultState,
    Unread,
)
from tests.support.keys import keys_at
from tests.support.serving import served

# The same learners everywhere: LTI id, the API's own id, and how they stand in the quiz of 50.
REFRESHED = {"client_id": "k", "client_secret": "s", "refresh_token": "refresh-1"}
BACK = "https://badges.example/lms/signed-in"
ROSTERS = {"throttled": 429, "down": 503, "forbidden": 403}
OVERRIDDEN = {"override_score": 95.0, "final_grade": "F", "override_grade": "A"}
RELEASED = "2026-05-01T10:00:00Z"
ANN, BEN, CAT, DAN, EVE = "ann", "ben", "cat", "dan", "eve"
IDS = {ANN: "101", BEN: "102", CAT: "103", DAN: "104", EVE: "105"}
STATES = {
    ANN: (ResultState.GRADED, Fraction(46)),
    BEN: (ResultState.GRADED, Fraction(3999, 100)),
    CAT: (ResultState.MISSING, None),
    DAN: (ResultState.EXCUSED, None),
    EVE: (ResultState.HIDDEN, Fraction(50)),
}


@dataclass
class Server:
    """An institution's API: tokens that end, refresh tokens that work once, pages of two."""

    base: str = ""
    valid: set[str] = field(default_factory=set)
    refresh: str = "refresh-1"
    grants: int = 0
    calls: list[str] = field(default_factory=list)
    fault: Response | None = None
    modules: bool = True
    spent: bool = False
    roster: str = "mapped"

    def sub(self, person: str) -> str:
        return person

    def guard(self) -> Response | None:
        self.calls.append(request.full_path.rstrip("?"))
        if "token" in request.path or "services" in request.path:
            return None
        if self.fault is not None:
            return self.fault
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.valid:
            return Response('{"errors":[{"message":"Invalid access token."}]}', 401)
        return None

    def grant(self) -> Any:
        self.grants += 1
        token = f"t{self.grants}"
        self.valid = {token}
        return {"access_token": token, "token_type": "Bearer", "expires_in": 3600}

    def signed_in(self, proved: bool) -> Any:
        """Tokens for an instructor's code, which works once."""
        form = request.form
        if not proved or form["code"] != "c0de" or form["redirect_uri"] != BACK or self.spent:
            return jsonify({"error": "invalid_grant"}), 400
        self.spent = True
        return jsonify({**self.grant(), "refresh_token": self.refresh})


class CanvasServer(Server):
    connection: ClassVar[dict[str, str]] = {
        "client_id": "k",
        "client_secret": "s",
        "refresh_token": "refresh-1",
    }
    vendor: type[LMS] = Canvas
    item = "canvas-assignment:9"

    def app(self) -> Flask:
        app = Flask("canvas")
        app.before_request(self.guard)
        course = "/api/v1/courses/lti_context_id:ctx"

        @app.post("/login/oauth2/token")
        def token() -> Any:
            if request.form["grant_type"] == "authorization_code":
                return self.signed_in({"client_id", "client_secret"} <= set(request.form))
            if request.form["refresh_token"] != self.refresh:
                return jsonify({"error": "invalid_grant"}), 400
            return jsonify(self.grant())  # the refresh token stays the same

        @app.get("/services/members")
        def members() -> Any:
            custom = "https://purl.imsglobal.org/spec/lti/claim/custom"
            assert request.args.get("rlid", "ctx") == "ctx"
            assert "rlid" in request.args or self.roster != "mapped"
            if "rlid" in request.args and self.roster != "mapped":
                told = {"empty": jsonify({"members": []}), "gone": Response("", 404)}
                return told.get(self.roster, Response("", ROSTERS.get(self.roster, 400)))
            mapped = "rlid" in request.args
            return jsonify(
                {
                    "members": [
                        {
                            "user_id": person,
                            "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
                            "message": [{custom: {"canvas_user_id": int(number)}}]
                            if mapped
                            else [],
                        }
                        for person, number in IDS.items()
                    ]
                }
            )

        @app.get("/api/v1/users/self")
        def me() -> Any:
            return jsonify({"id": 1, "name": "Badge service"})

        @app.get(f"{course}/users/lti_1_3_id:<sub>")
        def user(sub: str) -> Any:
            return jsonify({"id": int(IDS[sub])})

        @app.get(f"{course}/assignments")
        def assignments() -> Any:
            return _linked(
                [
                    {"id": 9, "name": "Final quiz", "points_possible": 50.0, "published": True},
                    {"id": 10, "name": "Draft", "points_possible": 5, "published": False},
                    {"id": 11, "name": "Survey", "grading_type": "not_graded"},
                    {"id": 12, "name": "Essay", "grading_type": "letter_grade"}
                    | {"points_possible": 10},
                ]
            )

        @app.get(f"{course}/students/submissions")
        def submissions() -> Any:
            wanted = request.args["student_ids[]"]
            found = []
            if request.args["assignment_ids[]"] == "12":
                told = {"workflow_state": "graded", "posted_at": RELEASED, "assignment_id": 12}
                return _linked(
                    [
                        {**told, "user_id": 101, "score": 9.0, "grade": "A-"},
                        {**told, "user_id": 102, "score": 1.0, "grade": "F", "posted_at": None},
                        {**told, "user_id": 103, "score": None, "grade": None},
                    ]
                )
            for person, number in IDS.items():
                state, score = STATES[person]
                if wanted not in {"all", number}:
                    continue
                found.append(
                    {
                        "assignment_id": 9,
                        "user_id": int(number),
                        "score": None if score is None else float(score),
                        "workflow_state": "graded" if score is not None else "unsubmitted",
                        "posted_at": None
                        if state is ResultState.HIDDEN
                        else "2026-05-01T10:00:00Z",
                        "excused": state is ResultState.EXCUSED,
                    }
                )
            return _linked(found)

        @app.get(f"{course}/enrollments")
        def enrollments() -> Any:
            rows = [
                {"user_id": 101, "grades": {"final_score": 92.5, "override_score": None}}
                | {"course_section_id": 1},
                {"user_id": 101, "grades": {"final_score": 92.5, "override_score": None}}
                | {"course_section_id": 2},
                {
                    "user_id": 102,
                    "grades": {"final_score": 10.0, "override_score": 95.0} | OVERRIDDEN,
                },
                {"user_id": 103, "grades": {"final_score": None}},
                {"user_id": 105, "grades": {"html_url": "x"}},
            ]
            if request.args.get("grading_period_id") == "5":
                rows = [{"user_id": 102, "grades": {"final_score": 55.5}}]
            wanted = request.args.get("user_id")
            return _linked([r for r in rows if wanted in {None, str(r["user_id"])}])

        @app.get(f"{course}/modules")
        @app.get(f"{course}/assignment_groups")
        def none() -> Any:
            return jsonify([])

        @app.get(f"{course}/sections")
        def sections() -> Any:
            return _linked([{"id": n, "name": name} for n, name in ((1, "Day"), (2, "Evening"))])

        @app.get(f"{course}/groups")
        def groups() -> Any:
            return _linked([{"id": 7, "name": "Red"}])

        @app.get("/api/v1/groups/7/users")
        def group() -> Any:
            return _linked([{"id": 101}, {"id": 103}, {"id": 999}])

        @app.get(f"{course}/outcome_group_links")
        def outcomes() -> Any:
            assert request.args["outcome_style"] == "full"
            told = {"id": 42, "title": "Reasoning", "mastery_points": 3, "points_possible": 5}
            return _linked([{"outcome": told}, {"outcome": told}])

        @app.get(f"{course}/outcome_rollups")
        def rollups() -> Any:
            assert request.args["outcome_ids[]"] == "42"
            scores = {101: 3.0, 102: 2.99, 103: None}
            rows = [
                {
                    "scores": [{"score": score, "links": {"outcome": "42"}}],
                    "links": {"user": str(user), "section": "1"},
                }
                for user, score in scores.items()
                if request.args.get("user_ids[]") in {None, str(user)}
            ]
            return jsonify({"rollups": rows})

        @app.get(f"{course}/grading_periods")
        def periods() -> Any:
            return jsonify({"grading_periods": [{"id": 5, "title": "Autumn"}]})

        @app.get(f"{course}/bulk_user_progress")
        def progress() -> Any:
            if not self.modules:
                return jsonify(
                    {"error": {"message": "no progress available because this course is"}}
                )
            return _linked(
                [{"id": 101, "progress": _progress(2)}, {"id": 102, "progress": _progress(1)}]
            )

        @app.get(f"{course}/users/<int:user>/progress")
        def one(user: int) -> Any:
            return jsonify(_progress(2 if user == 101 else 1))

        return app


class BlackboardServer(Server):
    connection: ClassVar[dict[str, str]] = {"application_key": "k", "application_secret": "s"}
    vendor: type[LMS] = Blackboard
    item = "blackboard-column:_9_1"

    def app(self) -> Flask:
        app = Flask("blackboard")
        app.before_request(self.guard)
        api = "/learn/api/public"
        course = f"{api}/<version>/courses/uuid:ctx"

        @app.post(f"{api}/v1/oauth2/token")
        def token() -> Any:
            basic = base64.b64encode(b"k:s").decode()
            if request.headers["Authorization"] != f"Basic {basic}":
                return jsonify({"error": "invalid_client"}), 401
            if request.form["grant_type"] == "authorization_code":
                return self.signed_in(proved=True)
            if request.form["grant_type"] == "refresh_token":
                assert request.form["refresh_token"] == self.refresh
                assert request.form["redirect_uri"] == BACK
            return jsonify(self.grant())

        @app.get(f"{api}/v1/system/version")
        def version() -> Any:
            return jsonify({"learn": {"major": 3900, "minor": 95}})

        @app.get(f"{course}/users")
        def users(version: str) -> Any:
            expanded = self.roster == "mapped"
            rows = [
                {"userId": f"_{n}_1"} | ({"user": {"uuid": p}} if expanded else {})
                for p, n in IDS.items()
            ]
            return self._results(rows)

        @app.get(f"{course}/gradebook/columns")
        def columns(version: str) -> Any:
            return self._results(
                [
                    {"id": "_9_1", "name": "Final quiz", "score": {"possible": 50}},
                    {"id": "_12_1", "name": "Essay", "score": {"possible": 10}},
                    {"id": "_13_1", "name": "Secret", "score": {"possible": 50}}
                    | {"availability": {"available": "No"}},
                    {"id": "_1_1", "name": "Overall", "externalGrade": True}
                    | {"score": {"possible": 100}},
                ]
            )

        @app.get(f"{course}/gradebook/columns/<column>/users")
        def values(version: str, column: str) -> Any:
            rows = [self._value(column, p) for p in IDS if self._value(column, p)]
            return self._results(rows)

        @app.get(f"{course}/gradebook/columns/<column>/users/uuid:<sub>")
        def value(version: str, column: str, sub: str) -> Any:
            row = self._value(column, sub)
            if not row:
                return jsonify({"status": 404, "message": "not yet been populated"}), 404
            return jsonify(row)

        @app.get(f"{course}/groups")
        def groups(version: str) -> Any:
            return self._results([{"id": "_7_1", "name": "Red"}])

        @app.get(f"{course}/groups/_7_1/users")
        def group(version: str) -> Any:
            return self._results([{"userId": "_101_1"}, {"userId": "_103_1"}, {"userId": "_9_1"}])

        @app.get(f"{course}/groups/_7_1/users/uuid:<sub>")
        def in_group(version: str, sub: str) -> Any:
            held = sub in {ANN, CAT}
            return jsonify({"userId": f"_{IDS[sub]}_1"}) if held else ("", 404)

        @app.get(f"{course}/performance/contentReviewStatus")
        def reviews(version: str) -> Any:
            rows = [
                {"userId": "_101_1", "reviewedCount": 4, "reviewableCount": 4},
                {"userId": "_102_1", "reviewedCount": 3, "reviewableCount": 4},
                {"userId": "_103_1", "reviewedCount": 0, "reviewableCount": 0},
            ]
            wanted = request.args.get("userId", "").removeprefix("uuid:")
            return self._results(
                [r for r in rows if not wanted or r["userId"] == f"_{IDS[wanted]}_1"]
            )

        return app

    def _value(self, column: str, person: str) -> dict[str, Any]:
        shown: dict[str, Any]
        if column == "_12_1":
            shown = {"scaleType": "Tabular", "score": 9.5, "possible": 10, "text": "A-"}
            graded = {"userId": f"_{IDS[person]}_1", "status": "Graded", "displayGrade": shown}
            return graded if person == ANN else {}
        state, score = STATES[person]
        if state in {ResultState.MISSING, ResultState.HIDDEN}:
            return {}  # what is not posted is left out by default
        shown = {"scaleType": "Score", "score": float(score or 0), "possible": 50}
        if column == "finalGrade":
            shown = {"scaleType": "Percent", "score": 92.5, "possible": 200, "text": "92.50%"}
        return {
            "userId": f"_{IDS[person]}_1",
            "status": "Graded",
            "displayGrade": shown,
            "exempt": state is ResultState.EXCUSED,
        }

    def _results(self, rows: list[dict[str, Any]]) -> Response:
        start = int(request.args.get("offset", 0))
        answer: dict[str, Any] = {"results": rows[start : start + 2]}
        if start + 2 < len(rows):
            answer["paging"] = {"nextPage": f"{request.path}?offset={start + 2}"}
        return jsonify(answer)


class BrightspaceServer(Server):
    connection: ClassVar[dict[str, str]] = {
        "client_id": "k",
        "client_secret": "s",
        "refresh_token": "refresh-1",
    }
    vendor: type[LMS] = Brightspace
    item = "brightspace-grade:9"

    def sub(self, person: str) -> str:
        return f"guid_{IDS[person]}"

    def app(self) -> Flask:
        app = Flask("brightspace")
        app.before_request(self.guard)
        course = "/d2l/api/le/1.51/ctx"

        @app.post("/core/connect/token")
        def token() -> Any:
            if request.form["grant_type"] == "authorization_code":
                return self.signed_in("Authorization" in request.headers)
            if request.form["refresh_token"] != self.refresh:
                return jsonify({"error": "invalid_grant"}), 400
            self.refresh = f"refresh-{self.grants + 2}"  # each works once
            return jsonify({**self.grant(), "refresh_token": self.refresh})

        @app.get("/d2l/api/lp/1.31/users/whoami")
        def whoami() -> Any:
            return jsonify({"UniqueName": "badge.service"})

        @app.get("/d2l/api/versions/")
        def versions() -> Any:
            return jsonify([])

        @app.get(f"{course}/grades/setup/")
        def setup() -> Any:
            return jsonify({"IsNullGradeZero": True})

        @app.get(f"{course}/grades/<item>/exemptions/")
        def exemptions(item: str) -> Any:
            return jsonify([{"UserId": int(IDS[DAN])}] if item == "9" else [])

        @app.get(f"{course}/grades/")
        def items() -> Any:
            return jsonify(
                [
                    {"Id": 9, "Name": "Final quiz", "MaxPoints": 50.0, "GradeType": "Numeric"},
                    {"Id": 12, "Name": "Essay", "GradeType": "SelectBox"},
                    {"Id": 13, "Name": "Secret", "MaxPoints": 50.0, "IsHidden": True},
                ]
            )

        lp = "/d2l/api/lp/1.31/ctx"

        @app.get(f"{lp}/sections/")
        def sections() -> Any:
            return jsonify([{"SectionId": 1, "Name": "Day", "Enrollments": [101]}])

        @app.get(f"{lp}/sections/1")
        def section() -> Any:
            return jsonify({"SectionId": 1, "Name": "Day", "Enrollments": [101, 999]})

        @app.get(f"{lp}/groupcategories/")
        def categories() -> Any:
            return jsonify([{"GroupCategoryId": 3, "Name": "Teams", "Groups": [7]}])

        @app.get(f"{lp}/groupcategories/3/groups/")
        def groups() -> Any:
            return jsonify([{"GroupId": 7, "Name": "Red", "Enrollments": []}])

        @app.get(f"{lp}/groupcategories/3/groups/7")
        def group() -> Any:
            return jsonify({"GroupId": 7, "Name": "Red", "Enrollments": [101, 103]})

        @app.get(f"{course}/content/toc")
        def toc() -> Any:
            inner = {"Modules": [], "Topics": [{"TopicId": 21, "Title": "Reading"}]}
            hidden = {"TopicId": 22, "Title": "Notes", "IsHidden": True}
            return jsonify({"Modules": [{"Modules": [inner], "Topics": [hidden]}]})

        @app.get(f"{course}/content/topics/21/completions/")
        def completions_of() -> Any:
            row = {"UserId": 101, "CompletionDate": "2026-05-01T00:00:00.000Z"}
            return jsonify({"Objects": [row], "Next": None})

        @app.get(f"{course}/content/topics/21/completions/users/<user>")
        def completion_of(user: str) -> Any:
            if user != "101":
                return jsonify({"Errors": []}), 404
            return jsonify({"UserId": 101, "CompletionDate": "2026-05-01T00:00:00.000Z"})

        @app.get(f"{course}/grades/<item>/values/")
        def values(item: str) -> Any:
            found = [
                {"User": {"Identifier": IDS[p]}, "GradeValue": self._value(item, p)} for p in IDS
            ]
            start = int(request.args.get("at", 0))
            following = None
            if start + 2 < len(found):
                following = f"{self.base}{request.path}?at={start + 2}"
            return jsonify({"Objects": found[start : start + 2], "Next": following})

        @app.get(f"{course}/grades/<item>/values/<user>")
        def value(item: str, user: str) -> Any:
            person = next(p for p, number in IDS.items() if number == user)
            row = self._value(item, person)
            return jsonify(row) if row else (jsonify({"Errors": []}), 404)

        @app.get(f"{course}/grades/courseCompletion/")
        def completions() -> Any:
            rows = [{"UserId": 101, "CompletedDate": "2026-05-01T00:00:00.000Z"}]
            return jsonify({"PagingInfo": {"Bookmark": "", "HasMoreItems": False}, "Items": rows})

        return app

    def _value(self, item: str, person: str) -> dict[str, Any] | None:
        if item == "12":
            return {"DisplayedGrade": "A-", "ReleasedDate": RELEASED} if person == ANN else None
        state, score = STATES[person]
        if state in {ResultState.MISSING, ResultState.EXCUSED}:
            return None
        released = None if state is ResultState.HIDDEN else "2026-05-01T10:00:00.000Z"
        return {
            "PointsNumerator": float((score or 0) * (2 if item == "final" else 1)),
            "PointsDenominator": 100.0 if item == "final" else 50.0,
            "DisplayedGrade": "x",
            "ReleasedDate": released,
        }


def _linked(rows: list[dict[str, Any]]) -> Response:
    start = int(request.args.get("at", 0))
    response = jsonify(rows[start : start + 2])
    if start + 2 < len(rows):
        query = "&".join(f"{k}={v}" for k, v in {**request.args, "at": start + 2}.items())
        response.headers["Link"] = f'<{request.base_url}?{query}>; rel="next"'
    return response


def _progress(done: int) -> dict[str, Any]:
    return {
        "requirement_count": 2,
        "requirement_completed_count": done,
        "completed_at": "2026-06-01T00:00:00Z" if done == 2 else None,
    }


@pytest.fixture(params=[CanvasServer, BlackboardServer, BrightspaceServer])
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    with served(made.app()) as base:
        made.base = base
        yield made


def opened(server: Any, keys: Path, **changes: str) -> LMS:
    """The course at its LMS, with a connection that is stored between calls."""
    http = Http(allow_loopback=True)
    stored: dict[str, str] = {
        "url": server.base,
        "token_url": f"{server.base}/core/connect/token",
        **server.connection,
        **changes,
    }

    def update(change: Any) -> Mapping[str, str]:
        fresh = dict(change(dict(stored)))
        stored.clear()
        stored.update(fresh)
        return fresh

    service = Service(
        http,
        ServiceTokens(http, keys_at(keys)),
        PlatformEndpoint("p", "https://lms", "client", f"{server.base}/services/token"),
    )
    made: LMS = server.vendor(
        CourseHandle(
            issuer="https://lms",
            context_id="ctx",
            lineitems_url=None,
            memberships_url=f"{server.base}/services/members",
            scopes=frozenset(),
            custom={},
            service=service,
            http=http,
            connection=dict(stored),
            update_connection=update,
        )
    )
    return made


@pytest.fixture(autouse=True)
def lti_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The LTI side's token is not what these tests are about."""
    monkeypatch.setattr(ServiceTokens, "get", lambda *_: "lti")


def listed(course: LMS) -> dict[tuple[Kind, str], Gradable]:
    return {(each.kind, each.key): each for each in course.gradables()}


def test_every_column_the_course_grade_and_completion_are_offered(
    server: Any, keys_folder: Path
) -> None:
    course = opened(server, keys_folder)
    assert course.check().endswith(".")
    found = listed(course)
    assert found[Kind.ITEM, server.item].label == "Final quiz"
    assert found[Kind.ITEM, server.item].maximum == 50
    assert {kind for kind, _ in found} == {Kind.ITEM, Kind.COURSE_GRADE, Kind.COMPLETION}
    assert all(each.available for each in course.capabilities())
    assert not any(each.label in {"Draft", "Survey"} for each in found.values())


def test_a_quiz_is_read_for_all_and_for_one_alike(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    quiz = listed(course)[Kind.ITEM, server.item]
    subs = [server.sub(person) for person in IDS]
    readings = list(course.readings([quiz], lambda: iter(subs)))
    assert isinstance(readings[-1], ReadInFull)
    found = {r.sub: r for r in readings if isinstance(r, Result)}
    assert (found[server.sub(ANN)].score, found[server.sub(ANN)].maximum) == (46, 50)
    assert found[server.sub(BEN)].score == Fraction(3999, 100)
    for person, (state, _) in STATES.items():
        result = found.get(server.sub(person))
        seen = result.state if result else ResultState.MISSING
        if server.vendor is Brightspace and person == EVE:
            continue  # its item values tell no release
        if server.vendor is Blackboard and state is ResultState.HIDDEN:
            assert seen is ResultState.MISSING  # it leaves out what is not posted
        else:
            assert seen is state, person
        (*alone, end) = course.readings_of(server.sub(person), [quiz])
        assert isinstance(end, ReadInFull)
        assert [(r.sub, r.state, r.score) for r in alone if isinstance(r, Result)] == (
            [(result.sub, result.state, result.score)] if result else []
        )


def test_course_grades_are_exact_shares(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    grade = listed(course)[Kind.COURSE_GRADE, COURSE_GRADE_KEY]
    subs = [server.sub(person) for person in IDS]
    found = {
        r.sub: r for r in course.readings([grade], lambda: iter(subs)) if isinstance(r, Result)
    }
    ann = found[server.sub(ANN)]
    assert ann.score is not None
    assert ann.maximum
    expected = Fraction(92) / 100 if server.vendor is Brightspace else Fraction(925, 1000)
    assert ann.score / ann.maximum == expected
    if server.vendor is Canvas:
        assert (found[BEN].score, found[BEN].mark) == (95, "A")  # an override wins
        assert found[CAT].state is ResultState.MISSING
        assert found[EVE].state is ResultState.HIDDEN
    if server.vendor is Brightspace:
        assert found[server.sub(EVE)].state is ResultState.HIDDEN


def test_completion_is_told_where_it_is_known(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    done = listed(course)[Kind.COMPLETION, ""]
    subs = [server.sub(person) for person in IDS]
    found = {
        r.sub: r.completed
        for r in course.readings([done], lambda: iter(subs))
        if isinstance(r, Completion)
    }
    assert found[server.sub(ANN)] is True
    assert found[server.sub(BEN)] is False
    if server.vendor is not Brightspace:  # there the content tells of everybody
        assert server.sub(DAN) not in found
    alone = list(course.readings_of(server.sub(ANN), [done]))
    assert [r.completed for r in alone if isinstance(r, Completion)] == [True]


def test_a_course_without_module_requirements_is_said_to_be_out_of_reach(
    keys_folder: Path,
) -> None:
    server = CanvasServer(modules=False)
    with served(server.app()) as base:
        server.base = base
        course = opened(server, keys_folder)
        done = listed(course)[Kind.COMPLETION, ""]
        (reading,) = course.readings([done], lambda: iter(()))
        assert isinstance(reading, Unread)
        assert "module requirements" in reading.error


def test_one_token_serves_until_its_end_and_is_then_renewed(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    for _ in range(3):
        listed(course)
    assert server.grants == 1
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=True):
        listed(course)
        assert server.grants == 2
    server.valid = set()  # taken back before its time
    listed(course)
    assert server.grants == 3


def test_wrong_credentials_are_no_right(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder, refresh_token="wrong", application_secret="wrong")
    with pytest.raises(NoRight):
        course.check()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Response("", 500), "platform_down"),
        (Response("", 429, headers={"Retry-After": "9"}), "throttled"),
        (Response("403 Forbidden (Rate Limit Exceeded)", 403), "throttled"),
        (Response('{"status":"unauthorized"}', 403), "no_right"),
        (Response("", 404), "gone"),
        (Response("<html>", 200), "unreadable"),
        (Response('{"odd": 1}', 200), "unreadable"),
    ],
)
def test_what_can_not_be_read_is_unknown_and_says_why(
    server: Any, keys_folder: Path, fault: Response, code: str
) -> None:
    course = opened(server, keys_folder)
    quiz = listed(course)[Kind.ITEM, server.item]
    server.fault = fault
    fresh = opened(server, keys_folder)
    fresh.course.connection = course.course.connection
    readings = list(fresh.readings([quiz], lambda: iter([server.sub(ANN)])))
    assert [type(each) for each in readings] == [Unread]
    assert isinstance(readings[0], Unread)
    assert readings[0].code == code
    assert readings[0].retry_after == (
        9 if code == "throttled" and fault.status_code == 429 else None
    )


def test_pages_never_lead_the_token_to_another_host(keys_folder: Path) -> None:
    server = BrightspaceServer()
    with served(server.app()) as base:
        server.base = "http://evil.example"
        course_server = BrightspaceServer(base=base)
        course = opened(course_server, keys_folder)
        course.course.connection = {**course.course.connection, "url": base}
        quiz = next(each for each in course.gradables() if each.kind is Kind.ITEM)
        readings = list(course.readings([quiz], lambda: iter(["guid_101"])))
    assert isinstance(readings[-1], Unread)
    assert "another host" in readings[-1].error


def test_a_grade_in_words_is_read_as_it_is_shown(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    essay = next(each for each in listed(course).values() if each.label == "Essay")
    assert essay.in_words or server.vendor is Blackboard  # it tells only beside a grade
    subs = [server.sub(person) for person in IDS]
    found = {
        r.sub: r for r in course.readings([essay], lambda: iter(subs)) if isinstance(r, Result)
    }
    ann = found.pop(server.sub(ANN))
    assert (ann.mark, ann.state) == ("A-", ResultState.GRADED)
    if server.vendor is Canvas:
        assert found[BEN].state is ResultState.HIDDEN
        assert found[CAT].state is ResultState.MISSING
    (alone, end) = course.readings_of(server.sub(ANN), [essay])
    assert isinstance(alone, Result)
    assert alone.mark == "A-"
    assert isinstance(end, ReadInFull)


def rare(course: LMS) -> dict[str, Gradable]:
    return {each.label: each for each in course.rare_gradables()}


def within(course: LMS, server: Any, label: str) -> set[str]:
    """Who is in a group, read for all and then one by one."""
    subs = [server.sub(person) for person in IDS]
    group = rare(course)[label]
    assert group.is_rare
    readings = list(course.readings([group], lambda: iter(subs)))
    assert isinstance(readings[-1], ReadInFull)
    found = {r.sub for r in readings if isinstance(r, Completion) and r.completed}
    for sub in subs:
        alone = course.readings_of(sub, [group])
        told = {r.sub for r in alone if isinstance(r, Completion) and r.completed}
        assert (sub in told) == (sub in found)
    return found


def test_groups_name_their_members(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    assert within(course, server, "Group “Red”") == {server.sub(ANN), server.sub(CAT)}
    if server.vendor is not Blackboard:
        assert within(course, server, "Section “Day”") == {server.sub(ANN)}


def test_canvas_outcomes_and_grading_periods(keys_folder: Path) -> None:
    server = CanvasServer()
    with served(server.app()) as base:
        server.base = base
        course = opened(server, keys_folder)
        assert within(course, server, "Outcome “Reasoning”") == {ANN}  # 2.99 of 3 is not enough
        autumn = rare(course)["Course grade of “Autumn”"]
        (result, _) = course.readings([autumn], lambda: iter(IDS))
        assert isinstance(result, Result)
        assert (result.sub, result.score, result.maximum) == (BEN, Fraction(111, 2), 100)


def test_brightspace_content_topics(keys_folder: Path) -> None:
    server = BrightspaceServer()
    with served(server.app()) as base:
        server.base = base
        course = opened(server, keys_folder)
        assert "Notes" not in rare(course)
        assert within(course, server, "Reading") == {server.sub(ANN)}
        topic = rare(course)["Reading"]
        subs = [server.sub(person) for person in IDS]
        readings = course.readings([topic], lambda: iter(subs))
        known = {r.sub for r in readings if isinstance(r, Completion)}
        assert known == set(subs)  # no progress yet is no completion, not unknown


def test_one_list_that_is_refused_hides_no_other(keys_folder: Path) -> None:
    server = CanvasServer()
    app = server.app()

    @app.before_request
    def refuse() -> Any:
        return ("", 403) if request.path.endswith("/sections") else None

    with served(app) as base:
        server.base = base
        course = opened(server, keys_folder)
        found: list[str] = []
        with pytest.raises(NoRight):
            found.extend(each.label for each in _told(course.rare_gradables(), found))
    assert "Group “Red”" in found
    assert "Outcome “Reasoning”" in found


def _told(gradables: Iterator[Gradable], found: list[str]) -> Iterator[Gradable]:
    for each in gradables:
        found.append(each.label)
        yield each


APPLICATION = {
    Canvas: {"client_id": "k", "client_secret": "s"},
    Brightspace: {"client_id": "k", "client_secret": "s"},
    Blackboard: {"application_key": "k", "application_secret": "s", "read_as": "instructors"},
}


def test_an_instructor_signs_in_for_a_course(server: Any, keys_folder: Path) -> None:
    server.connection = APPLICATION[server.vendor]  # no account of an admin's
    course = opened(server, keys_folder)
    assert course.asks_instructors
    assert not course.is_connected
    page, _, query = course.sign_in_url(BACK, "st4te").partition("?")
    assert page.endswith(("/login/oauth2/auth", "/oauth2/auth", "/oauth2/authorizationcode"))
    asked = dict(httpx.QueryParams(query))
    assert (asked["client_id"], asked["state"], asked["redirect_uri"]) == ("k", "st4te", BACK)
    assert asked["scope"]
    with pytest.raises(NoRight):
        course.take_code("wrong", BACK)
    gained = dict(course.take_code("c0de", BACK))
    assert gained["refresh_token"] == "refresh-1"
    server.connection = {**APPLICATION[server.vendor], **gained}
    course = opened(server, keys_folder)
    assert course.is_connected
    assert (Kind.ITEM, server.item) in listed(course)
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=True):
        assert listed(course)
    assert server.grants == 2


def test_an_admins_account_asks_nobody(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    assert not course.asks_instructors
    with pytest.raises(Unsupported):
        course.sign_in_url(BACK, "st4te")


@pytest.mark.parametrize("server", [BlackboardServer, BrightspaceServer], indirect=True)
def test_a_column_that_learners_can_not_see_is_hidden(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    secret = next(each for each in listed(course).values() if each.label == "Secret")
    subs = [server.sub(person) for person in IDS]
    found = {
        r.sub: r for r in course.readings([secret], lambda: iter(subs)) if isinstance(r, Result)
    }
    assert found[server.sub(ANN)].state is ResultState.HIDDEN
    assert found[server.sub(ANN)].score == 46
    alone, _ = course.readings_of(server.sub(ANN), [secret])
    assert isinstance(alone, Result)
    assert alone.state is ResultState.HIDDEN


@pytest.mark.parametrize("roster", ["empty", "refused", "gone"])
def test_canvas_users_are_looked_up_where_the_roster_does_not_name_their_ids(
    keys_folder: Path, roster: str
) -> None:
    server = CanvasServer(roster=roster)
    with served(server.app()) as base:
        server.base = base
        for _ in range(2):
            course = opened(server, keys_folder)
            assert {member.sub for member in course.members()} == set(IDS)
            quiz = listed(course)[Kind.ITEM, server.item]
            readings = course.readings([quiz], lambda: iter(IDS))
            scores = {r.sub: r.score for r in readings if isinstance(r, Result)}
            assert scores[ANN] == 46
            assert scores[BEN] == Fraction(3999, 100)
    asked = [call for call in server.calls if "lti_1_3_id" in call]
    assert len(asked) == len(set(asked)) == len(IDS)


def test_blackboard_users_are_read_one_by_one_where_they_are_not_expanded(
    keys_folder: Path,
) -> None:
    server = BlackboardServer(roster="plain")
    with served(server.app()) as base:
        server.base = base
        course = opened(server, keys_folder)
        quiz = listed(course)[Kind.ITEM, server.item]
        readings = list(course.readings([quiz], lambda: iter(IDS)))
        assert isinstance(readings[-1], ReadInFull)
        scores = {r.sub: r.score for r in readings if isinstance(r, Result)}
        assert (scores[ANN], scores[BEN]) == (46, Fraction(3999, 100))
        (told,) = course.readings([rare(course)["Group “Red”"]], lambda: iter(IDS))
        assert isinstance(
            told, Unread
        )  # whose user ids are not known is in no group for all we know


@pytest.mark.parametrize("roster", list(ROSTERS))
def test_a_roster_that_can_not_be_read_now_is_not_asked_for_in_another_way(
    keys_folder: Path, roster: str
) -> None:
    server = CanvasServer(roster=roster)
    with served(server.app()) as base:
        server.base = base
        course = opened(server, keys_folder)
        with pytest.raises(PlatformError):
            list(course.members())
    assert len([call for call in server.calls if "members" in call]) == 1


def test_one_learner_is_looked_up_in_a_group_by_one_call(keys_folder: Path) -> None:
    server = BlackboardServer()
    with served(server.app()) as base:
        server.base = base
        course = opened(server, keys_folder)
        group = rare(course)["Group “Red”"]
        server.calls.clear()
        found = list(course.readings_of(ANN, [group]))
        assert [each.sub for each in found if isinstance(each, Completion)] == [ANN]
        assert len(server.calls) == 1


@pytest.mark.parametrize("server", [BlackboardServer, BrightspaceServer], indirect=True)
def test_an_empty_list_in_place_of_an_answer_is_not_nobody(server: Any, keys_folder: Path) -> None:
    course = opened(server, keys_folder)
    quiz = listed(course)[Kind.ITEM, server.item]
    server.fault = Response("[]", 200, mimetype="application/json")
    fresh = opened(server, keys_folder)
    fresh.course.connection = course.course.connection
    (reading,) = fresh.readings([quiz], lambda: iter([server.sub(ANN)]))
    assert isinstance(reading, Unread)
    assert reading.code == "unreadable"


FIXED = {Kind.COURSE_GRADE, Kind.COMPLETION}
"""Kinds whose keys are ours, not the LMS's."""


@pytest.mark.parametrize("answer", ['[{"odd": 1}]', '{"results": [{"odd": 1}]}'])
def test_items_without_an_id_are_nothing_that_can_be_stored(
    server: Any, keys_folder: Path, answer: str
) -> None:
    course = opened(server, keys_folder)
    course.check()
    server.fault = Response(answer, 200, mimetype="application/json")
    for read in (course.gradables, course.rare_gradables):
        with suppress(PlatformDown):
            named = [each.key for each in read() if each.kind not in FIXED]
            named = [key for key in named if not key.startswith("canvas-grade:")]
            assert all(NO_ID in key for key in named), named
