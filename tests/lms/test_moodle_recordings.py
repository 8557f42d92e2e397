"""What a running Moodle 4.5.6 sent and answered, through our own code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask, Response, request

from lti_badges.core.errors import Gone, LaunchError, NoRight, Unsupported
from lti_badges.core.http import Http
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.moodle.adapter import Moodle
from lti_badges.lms.moodle.further_sources import MoodleMore
from lti_badges.lti.claims import MessageType, parse_launch
from lti_badges.lti.id_token import verified_claims
from lti_badges.lti.keysets import KeySets
from lti_badges.lti.service import Service
from lti_badges.lti.tokens import PlatformEndpoint, ServiceTokens
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    ReadInFull,
    Result,
    ResultState,
    Role,
    Unread,
)
from tests.support.keys import keys_at
from tests.support.serving import served

FOLDER = Path(__file__).parent / "moodle"
TOOL = "http://127.0.0.1:5000"
LAUNCHES = sorted(
    file.stem for file in FOLDER.glob("launch_*.json") if file.stem != "launch_user_not_enrolled"
)


def recorded(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


@dataclass
class Replay:
    """A server that answers with the recordings."""

    base: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def app(self) -> Flask:
        app = Flask("moodle")
        keys = recorded("platform_jwks")

        @app.get("/jwks")
        def jwks() -> Any:
            return keys.get("json", keys)

        @app.post("/mod/lti/token.php")
        def token() -> Response:
            return Response(json.dumps(recorded("token")["json"]), mimetype="text/html")

        @app.get("/mod/lti/services.php/<path:path>")
        def service(path: str) -> Response:
            self.asked.append((request.full_path, request.headers["Accept"]))
            name = {
                "CourseSection/2/bindings/1/memberships": "nrps_members",
                "2/lineitems": "ags_lineitems",
                "2/lineitems/3/lineitem/results": "ags_results",
            }[path]
            return self._answer(name)

        @app.post("/webservice/rest/server.php")
        def web_service() -> Response:
            form = request.form
            if form["wstoken"] != "WSTOKEN":
                return self._answer("ws_error_bad_token")
            return self._answer(_web_service(form["wsfunction"], form.get("userid", "")))

        return app

    def _answer(self, name: str) -> Response:
        found = recorded(name)
        text = json.dumps(found["json"]).replace("http://127.0.0.1:8100", self.base)
        answer = Response(text, found["status"])
        for header in ("Content-Type", "Content-type", "Link"):
            if header in found["headers"]:
                answer.headers[header] = found["headers"][header]
        return answer


def _web_service(function: str, user: str) -> str:
    if function == "gradereport_user_get_grade_items":
        return "ws_grade_items_all" if user == "0" else "ws_grade_items_student1"
    if function == "core_completion_get_course_completion_status":
        students = {"5": "student1", "7": "student3", "8": "student4", "9": "student5"}
        return f"ws_course_completion_{students.get(user, 'teacher1')}"
    if function == "core_completion_get_activities_completion_status":
        return "ws_activities_completion_student1"
    return {
        "core_course_get_contents": "ws_course_contents",
        "core_webservice_get_site_info": "ws_site_info",
    }.get(function, "ws_error_function_not_in_service")


@pytest.fixture
def replay() -> Iterator[Replay]:
    made = Replay()
    with served(made.app()) as base:
        made.base = base
        yield made


def course(replay: Replay, keys: Path, token: str | None = "WSTOKEN") -> Moodle:
    http = Http(allow_loopback=True)
    base = replay.base
    endpoint = PlatformEndpoint("p", base, "rigclient000001", f"{base}/mod/lti/token.php")
    return Moodle(
        CourseHandle(
            issuer=base,
            context_id="2",
            lineitems_url=f"{base}/mod/lti/services.php/2/lineitems?type_id=1",
            memberships_url=f"{base}/mod/lti/services.php/CourseSection/2/bindings/1/memberships",
            scopes=frozenset(),
            custom={},
            service=Service(http, ServiceTokens(http, keys_at(keys)), endpoint),
            http=http,
            connection={"token": token} if token else {},
        )
    )


@pytest.mark.parametrize("name", [*LAUNCHES, "deeplink_one_request", "deeplink_two_request"])
def test_a_recorded_launch_verifies_and_parses(name: str, replay: Replay) -> None:
    found = recorded(name)
    claims = found["launch"]["claims"]
    with time_machine.travel(claims["iat"] + 5, tick=False):
        verified = verified_claims(
            found["id_token"],
            issuer="http://127.0.0.1:8100",
            client_id=claims["aud"],
            key_set_url=f"{replay.base}/jwks",
            key_sets=KeySets(Http(allow_loopback=True)),
        )
    launch = parse_launch(verified, TOOL)
    assert launch.context is not None
    assert launch.context.title
    assert launch.sub == claims["sub"]
    expected = Role.LEARNER if "student" in name else Role.INSTRUCTOR
    assert launch.role is expected
    if "anonymous" in name:
        assert (launch.name, launch.email) == (None, None)
    else:
        assert launch.email
        assert launch.name
    if name == "launch_submission_review":
        assert launch.message is MessageType.SUBMISSION_REVIEW
        assert launch.for_user
    if "deeplink" in name:
        assert launch.deep_linking is not None
        assert launch.deep_linking.data is None
        assert launch.deep_linking.accept_multiple


def test_a_recorded_launch_is_refused_four_minutes_later(replay: Replay) -> None:
    found = recorded("launch_student")
    late = found["launch"]["claims"]["exp"] + 240
    with time_machine.travel(late, tick=False), pytest.raises(LaunchError) as refusal:
        verified_claims(
            found["id_token"],
            issuer="http://127.0.0.1:8100",
            client_id="rigclient000001",
            key_set_url=f"{replay.base}/jwks",
            key_sets=KeySets(Http(allow_loopback=True)),
        )
    assert refusal.value.code == "expired"


def test_the_recorded_consumer_key_as_audience_needs_an_admins_word(replay: Replay) -> None:
    found = recorded("quirk_aud_is_instance_resourcekey")
    at = found["launch"]["claims"]["iat"] + 5

    def verify(**more: Any) -> dict[str, Any]:
        with time_machine.travel(at, tick=False):
            return verified_claims(
                found["id_token"],
                issuer="http://127.0.0.1:8100",
                client_id="rigclient000001",
                key_set_url=f"{replay.base}/jwks",
                key_sets=KeySets(Http(allow_loopback=True)),
                **more,
            )

    with pytest.raises(LaunchError, match="consumer key"):
        verify(audience_hint=Moodle.audience_hint)
    assert verify(also_audiences=["12345"])["aud"] == "12345"


def test_members_as_nrps_lists_them(replay: Replay, keys_folder: Path) -> None:
    members = {member.sub: member for member in course(replay, keys_folder).members()}
    assert members["5"].name == "Ada Ashworth"
    assert members["5"].can_earn
    assert any("& " in (member.name or "") for member in members.values())
    assert not any("&amp;" in (member.name or "") for member in members.values())
    assert sum(member.can_earn for member in members.values()) == 5  # the suspended one is missing
    assert replay.asked[0][0].endswith("memberships?")


def test_everything_a_rule_can_use_is_listed(replay: Replay, keys_folder: Path) -> None:
    found = {(each.kind, each.key): each for each in course(replay, keys_folder).gradables()}
    assert found[Kind.ITEM, "moodle-item:2"].label == "Repair log assignment"
    assert (Kind.COURSE_GRADE, COURSE_GRADE_KEY) in found
    assert (Kind.COMPLETION, COURSE_COMPLETION) in found
    assert any(kind is Kind.ACTIVITY for kind, _ in found)


def wanted(replay: Replay, keys: Path, *kinds: Kind) -> list[Gradable]:
    return [each for each in course(replay, keys).gradables() if each.kind in kinds]


def test_grades_are_raw_points_of_their_own_maximum(replay: Replay, keys_folder: Path) -> None:
    asked = wanted(replay, keys_folder, Kind.ITEM, Kind.COURSE_GRADE)
    readings = list(course(replay, keys_folder).readings(asked, lambda: iter(())))
    found = {(r.key, r.sub): r for r in readings if isinstance(r, Result)}
    assert found["moodle-item:2", "8"].score == Fraction(4999, 100)
    assert found["moodle-item:3", "6"].score == 0
    assert found["moodle-item:2", "9"].state is ResultState.MISSING
    assert (found[COURSE_GRADE_KEY, "5"].score, found[COURSE_GRADE_KEY, "5"].maximum) == (182, 200)
    assert sum(isinstance(each, ReadInFull) for each in readings) == len(asked)


def test_completion_of_the_course_and_its_activities(replay: Replay, keys_folder: Path) -> None:
    asked = wanted(replay, keys_folder, Kind.COMPLETION)
    subs = ("5", "7", "8", "9", "3")
    readings = list(course(replay, keys_folder).readings(asked, lambda: iter(subs)))
    done = {r.sub: r.completed for r in readings if isinstance(r, Completion)}
    assert done == {"5": True, "7": True, "8": False, "9": False}
    one = next(r for r in readings if isinstance(r, Completion) and r.sub == "5")
    assert one.completed_at is not None
    activities = wanted(replay, keys_folder, Kind.ACTIVITY)
    of_one = list(course(replay, keys_folder).readings_of("5", activities))
    assert any(isinstance(r, Completion) and r.completed for r in of_one)


def test_a_learner_is_read_in_one_call_for_all_grades(replay: Replay, keys_folder: Path) -> None:
    asked = wanted(replay, keys_folder, Kind.ITEM, Kind.COURSE_GRADE)
    readings = list(course(replay, keys_folder).readings_of("5", asked))
    assert {r.sub for r in readings if isinstance(r, Result)} == {"5"}


def test_a_bad_token_is_no_right_and_no_zero(replay: Replay, keys_folder: Path) -> None:
    asked = wanted(replay, keys_folder, Kind.ITEM)
    broken = course(replay, keys_folder, token="wrong")
    readings = list(broken.readings(asked, lambda: iter(())))
    assert {type(each) for each in readings} == {Unread}
    with pytest.raises(NoRight):
        broken.check()


def test_without_web_services_only_own_columns_are_seen(replay: Replay, keys_folder: Path) -> None:
    plain = course(replay, keys_folder, token=None)
    found = list(plain.gradables())
    assert [each.kind for each in found] == [Kind.ITEM, Kind.ITEM]
    assert not next(c for c in plain.capabilities() if c.kind is Kind.COURSE_GRADE).available
    readings = list(plain.readings(found[:1], lambda: iter(())))
    states = {r.sub: r.state for r in readings if isinstance(r, Result)}
    assert states["7"] is ResultState.MISSING
    assert states["8"] is ResultState.GRADED
    with pytest.raises(Unsupported):
        Moodle(
            CourseHandle(
                **{
                    field: getattr(plain.course, field)
                    for field in plain.course.__dataclass_fields__
                }
                | {"memberships_url": None}
            )
        ).members()


def test_groups_and_competencies_by_their_own_parameters() -> None:
    asked: list[tuple[str, str | None, dict[str, str]]] = []

    def call(function: str, course: str | None = "courseid", **arguments: str) -> Any:
        asked.append((function, course, arguments))
        if arguments.get("userid") == "9":
            raise Gone("not enrolled")
        rated = {"competencyid": 4, "proficiency": arguments.get("userid") == "5", "grade": 2}
        answers: dict[str, Any] = {
            "core_group_get_course_groups": [{"id": 3, "name": "Tom &amp; Jerry"}],
            "core_group_get_group_members": [{"groupid": 3, "userids": [5, 7]}],
            "core_cohort_get_cohorts": [],
            "core_competency_list_course_competencies": [
                {"competency": {"id": 4, "shortname": "Reasoning"}, "coursecompetency": {}}
            ],
            "report_competency_data_for_report": {
                "usercompetencies": [{"usercompetencycourse": rated, "competency": {}}]
            },
        }
        return answers[function]

    more = MoodleMore(call)
    assert [each.label for each in more.gradables()] == [
        "Group “Tom & Jerry”",
        "Competency “Reasoning”",
    ]
    assert {each.sub for each in more.members("moodle-group:3")} == {"5", "7"}
    done = more.proficient({"moodle-competency:4"}, iter(["5", "7", "9"]))
    assert {each.sub: each.completed for each in done} == {"5": True, "7": False}
    assert ("core_group_get_group_members", None, {"groupids[0]": "3"}) in asked
    assert ("core_competency_list_course_competencies", "id", {}) in asked


def test_without_their_functions_the_token_still_tells_the_rest(
    replay: Replay, keys_folder: Path
) -> None:
    made = course(replay, keys_folder)
    with pytest.raises(NoRight):
        list(made.rare_gradables())
    assert list(made.gradables())
