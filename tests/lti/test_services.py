"""AGS, NRPS and tokens as real platforms answer them, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask, Response, request
from hypothesis import given
from hypothesis import strategies as st

from lti_badges.core.errors import Gone, NoRight, PlatformDown
from lti_badges.core.http import Http
from lti_badges.core.paging import next_page
from lti_badges.lti import ags, nrps
from lti_badges.lti.service import Service
from lti_badges.lti.tokens import PlatformEndpoint, ServiceTokens
from lti_badges.values.course import ResultState
from tests.support.keys import keys_at
from tests.support.serving import served


@dataclass
class Scripted:
    """A platform that answers as it is told, path by path, and remembers what it was asked."""

    base: str = ""
    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)
    token_calls: int = 0

    def app(self) -> Flask:
        app = Flask("scripted")

        @app.route("/token", methods=["POST"])
        def token() -> Any:
            self.token_calls += 1
            time.sleep(0.02)
            if self.tokens:
                return self.tokens.pop(0)
            return Response(
                json.dumps({"access_token": f"t{self.token_calls}", "expires_in": 3600}),
                mimetype="text/html",  # as Moodle does
            )

        @app.route("/<path:path>", methods=["GET", "POST", "PUT"])
        def anything(path: str) -> Any:
            full = request.full_path.rstrip("?")
            self.asked.append((request.method, full, dict(request.headers)))
            queue = self.answers.get(full) or self.answers.get(f"/{path}")
            if not queue:
                return Response("nothing here", 404)
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
            return answer if isinstance(answer, Response) else answer()

        return app

    def service(self, keys: Path) -> Service:
        http = Http(allow_loopback=True)
        endpoint = PlatformEndpoint("p", "https://lms", "client", f"{self.base}/token")
        return Service(http, ServiceTokens(http, keys_at(keys)), endpoint)


@pytest.fixture
def lms() -> Iterator[Scripted]:
    scripted = Scripted()
    with served(scripted.app()) as base:
        scripted.base = base
        yield scripted


def page(body: Any, link: str | None = None) -> Response:
    headers = {"Link": link} if link else {}
    return Response(json.dumps(body), headers=headers, mimetype="application/json")


def result(user: str, score: Any = 1, maximum: Any = 2) -> dict[str, Any]:
    return {"id": user, "userId": user, "resultScore": score, "resultMaximum": maximum}


def test_case_sensitive_bookmarks_reach_the_last_page(lms: Scripted, keys_folder: Path) -> None:
    first, second = "/items/1/results", "/items/1/results?page=bookmark:WyJBYmMiXQ"
    lms.answers[first] = [page([result("1")], f'<{lms.base}{second}>; rel="next"')]
    lms.answers[second] = [page([result("2")])]
    found = ags.results(lms.service(keys_folder), f"{lms.base}/items/1")
    assert [each.sub for each in found] == ["1", "2"]


def test_a_loop_of_pages_is_told_as_such(lms: Scripted, keys_folder: Path) -> None:
    path = "/items/1/results"
    lms.answers[path] = [page([result("1")], f'<{lms.base}{path}>; rel="next"')]
    with pytest.raises(PlatformDown, match="read already"):
        list(ags.results(lms.service(keys_folder), f"{lms.base}/items/1"))


@pytest.mark.parametrize("change", ["host", "port", "scheme", "broken"])
def test_our_token_never_goes_to_another_host(
    lms: Scripted, keys_folder: Path, change: str
) -> None:
    following = {
        "host": lms.base.replace("127.0.0.1", "localhost"),
        "port": lms.base.rpartition(":")[0] + ":9",
        "scheme": lms.base.replace("http:", "https:"),
        "broken": "http://[::1",
    }[change]
    lms.answers["/items/1/results"] = [page([], f'<{following}/x>; rel="next"')]
    with pytest.raises(PlatformDown, match="another host"):
        list(ags.results(lms.service(keys_folder), f"{lms.base}/items/1"))


def test_results_stand_before_a_query(lms: Scripted, keys_folder: Path) -> None:
    lms.answers["/items/1/lineitem/results?type_id=3&user_id=7"] = [page([result("7")])]
    url = f"{lms.base}/items/1/lineitem?type_id=3"
    (found,) = ags.results(lms.service(keys_folder), url, "7")
    assert found.key == url


def test_what_a_result_can_look_like(lms: Scripted, keys_folder: Path) -> None:
    lms.answers["/i/results"] = [
        page(
            [
                result("full", 2.4, 3),
                {"userId": "none"},
                result("null", None),
                result("nan", "much"),
                result("huge", 10**400),
                {"userId": "default", "resultScore": 0.5},
                result("zero", 0, 10),
                "junk",
                {"resultScore": 1},
            ]
        )
    ]
    found = {each.sub: each for each in ags.results(lms.service(keys_folder), f"{lms.base}/i")}
    # The row that names nobody comes along without a name, so that it can be told of.
    assert set(found) == {"full", "none", "null", "nan", "huge", "default", "zero", ""}
    assert (found["full"].score, found["full"].maximum) == (Fraction(12, 5), Fraction(3))
    assert found["none"].state is ResultState.MISSING
    assert found["null"].state is ResultState.MISSING
    assert found["nan"].state is ResultState.PENDING
    assert found["huge"].state is ResultState.PENDING
    assert found["default"].maximum == 1
    assert (found["zero"].score, found["zero"].state) == (0, ResultState.GRADED)


def test_members_come_once_with_names_as_people_write_them(
    lms: Scripted, keys_folder: Path
) -> None:
    ann = {"user_id": "1", "roles": ["Learner"], "name": "Tables &amp; Sons", "email": ""}
    lms.answers["/m?p=2"] = [page({"members": [ann, {"user_id": ""}, "x"]})]
    lms.answers["/m"] = [page({"members": [ann]}, f"<{lms.base}/m?p=2>; rel=next")]
    member, nobody = nrps.members(lms.service(keys_folder), f"{lms.base}/m")
    assert nobody.sub == ""  # told of by name, never stored
    assert (member.name, member.email, member.status) == ("Tables & Sons", None, "Active")
    assert "limit" not in lms.asked[0][1]
    assert lms.asked[0][2]["Accept"] == nrps.CONTAINER_TYPE


def test_a_page_is_read_before_the_next_is_asked_for(lms: Scripted, keys_folder: Path) -> None:
    for number in range(50):
        lms.answers[f"/m?p={number}"] = [
            page(
                {"members": [{"user_id": str(number), "roles": []}]},
                f'<{lms.base}/m?p={number + 1}>; rel="next"',
            )
        ]
    members = nrps.members(lms.service(keys_folder), f"{lms.base}/m?p=0")
    for _ in range(3):
        next(members)
    assert len(lms.asked) == 3


def test_one_token_serves_all_threads_until_shortly_before_its_end(
    lms: Scripted, keys_folder: Path
) -> None:
    lms.answers["/i/results"] = [lambda: page([])]
    service = lms.service(keys_folder)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: list(ags.results(service, f"{lms.base}/i")), range(16)))
    assert lms.token_calls == 1
    lms.answers["/m"] = [lambda: page({"members": []})]
    list(nrps.members(service, f"{lms.base}/m"))
    assert lms.token_calls == 2  # another scope


def test_a_refused_token_is_renewed_once(lms: Scripted, keys_folder: Path) -> None:
    lms.answers["/i/results"] = [Response("", 401), page([result("1")])]
    assert len(list(ags.results(lms.service(keys_folder), f"{lms.base}/i"))) == 1
    assert lms.token_calls == 2
    lms.answers["/j/results"] = [Response("", 401)]
    with pytest.raises(NoRight):
        list(ags.results(lms.service(keys_folder), f"{lms.base}/j"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response("<html>Error</html>", 200), PlatformDown),
        (Response("", 204), PlatformDown),
        (Response('{"error" : ""kid" invalid.."}', 400), NoRight),
        (Response('{"error": "invalid_scope"}', 400), NoRight),
        (Response("{}", 200), PlatformDown),
        (Response('{"access_token": "x", "scope": "other"}', 200), NoRight),
        (Response("[]", 200), PlatformDown),
        (Response("", 503), PlatformDown),
        (Response("", 429, headers={"Retry-After": "9"}), PlatformDown),
    ],
)
def test_token_answers_that_are_none(
    lms: Scripted, keys_folder: Path, answer: Response, error: type[Exception]
) -> None:
    lms.tokens = [answer, answer]
    with pytest.raises(error):
        list(ags.results(lms.service(keys_folder), f"{lms.base}/i"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response("", 404), Gone),
        (Response("", 403), NoRight),
        (Response("403 Forbidden (Rate Limit Exceeded)", 403), PlatformDown),
        (Response("", 500), PlatformDown),
        (Response("", 429, headers={"Retry-After": "9"}), PlatformDown),
        (Response("<html>login</html>", 200), PlatformDown),
        (Response('{"not": "a list"}', 200), PlatformDown),
        (Response(b"\xff\xfe", 200), PlatformDown),
    ],
)
def test_service_answers_that_are_none(
    lms: Scripted, keys_folder: Path, answer: Response, error: type[Exception]
) -> None:
    lms.answers["/i/results"] = [answer]
    with pytest.raises(error):
        list(ags.results(lms.service(keys_folder), f"{lms.base}/i"))


def test_scores_rise_by_a_second_and_a_conflict_is_tried_once_more(
    lms: Scripted, keys_folder: Path
) -> None:
    lms.answers["/i/scores?type_id=1"] = [Response("[]", 409), Response("", 200)]
    score = ags.Score("7", Fraction(1), Fraction(1))
    ags.post_score(lms.service(keys_folder), f"{lms.base}/i?type_id=1", score, frozenset())
    assert [path for _, path, _ in lms.asked] == ["/i/scores?type_id=1"] * 2
    assert lms.asked[0][2]["Content-Type"] == ags.SCORE_TYPE


class _Lines:
    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        return self.lines if key.lower() == "link" else []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['<https://a/x?p=Ab>; rel="next"'], "https://a/x?p=Ab"),
        (["<https://a/x?a=1&amp;b=2>; rel=“next”"], "https://a/x?a=1&b=2"),
        (["<https://a/x?a=1&#38;b=2>; rel=next"], "https://a/x?a=1&b=2"),
        (["<https://a/x?p=2&timestamp=3&copy=4>; rel=next"], "https://a/x?p=2&timestamp=3&copy=4"),
        (["<https://a/1>; rel=next"], "https://a/1"),
        (['<https://a/1>; rel="prev", <https://a/2>; rel="next"'], "https://a/2"),
        (['<https://a/1>; rel="first"', '<https://a/2>; rel="last next"'], "https://a/2"),
        (['</y?p=2>; rel="NEXT"'], "https://a/y?p=2"),
        (['<https://a/1>; title="next"; rel="prev"'], None),
        ([""], None),
        ([], None),
    ],
)
def test_link_headers_as_they_are_written(lines: list[str], expected: str | None) -> None:
    assert next_page(_Lines(*lines), "https://a/x") == expected


@given(st.text())
def test_no_link_header_breaks_us(text: str) -> None:
    found = next_page(_Lines(text), "https://a/x")
    assert found is None or "next" in text.lower()


def test_httpx_headers_are_such_headers() -> None:
    headers = httpx.Headers([("link", "<https://a/1>; rel=next")])
    assert next_page(headers, "https://a/") == "https://a/1"
