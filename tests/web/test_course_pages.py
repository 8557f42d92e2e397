"""The instructor's and the learner's pages: who may do what, and what they say when things fail."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import delete, select

from lti_badges import pipeline
from lti_badges.awarding.rule_views import rules_of
from lti_badges.store import Achievement, Course, LineItem
from tests.support.campus import TEACHER, Campus, hidden

BEN = "5"


def token_of(page: httpx.Response) -> dict[str, str]:
    """The bearer header that the page sends with each request."""
    found = re.search(r"hx-headers='([^']+)'", page.text)
    assert found, page.text[:500]
    return dict(json.loads(html.unescape(found.group(1))))


class Pages:
    """One person's open page."""

    def __init__(self, campus: Campus, sub: str, **more: str) -> None:
        self.campus = campus
        self.first = campus.enter(sub, **more)
        self.headers = {**token_of(self.first), "HX-Request": "true"}

    def get(self, path: str, **params: Any) -> httpx.Response:
        return httpx.get(self.campus.tool + path, headers=self.headers, params=params)

    def post(self, path: str, **data: Any) -> httpx.Response:
        return httpx.post(self.campus.tool + path, headers=self.headers, data=data)


def test_a_form_that_is_opened_before_the_first_reading_fills_itself(lite: Campus) -> None:
    page = Pages(lite, TEACHER)
    with lite.context.sessions.begin() as session:
        session.execute(delete(LineItem))
        session.query(Course).one().synced_at = None
    form = page.get("/course/rules/new")
    assert "being read for the first time" in form.text
    assert "Final quiz" not in form.text
    typed = {"node": "1", "source-1": "", "percent-1": "73", "edit": "read"}
    waiting = page.post("/course/rules/conditions", **typed)
    assert "being read for the first time" in waiting.text
    lite.sync()
    filled = page.post("/course/rules/conditions", **typed)
    assert "being read for the first time" not in filled.text
    assert "Final quiz (of 50)" in filled.text
    assert 'value="73"' in filled.text


def test_three_clicks_put_a_rule_in_force(lite: Campus) -> None:
    page = Pages(lite, TEACHER)
    assert "No badge yet" in page.first.text
    form = page.post("/course/achievements", name="Quiz ace", description="Did well")
    badge = re.search(r'name="achievement" value="([^"]+)" checked', form.text)
    assert badge
    source = f"item:{lite.item_key('Final quiz')}"
    chosen = {"achievement": badge.group(1), "source-1": source, "percent-1": "80"}
    rehearsal = page.post("/course/rules/rehearse", **chosen)
    assert f"<strong>{len(lite.expected())}</strong> of 29" in rehearsal.text
    assert 'class="threshold"' in rehearsal.text
    saved = page.post("/course/rules", **chosen)
    assert "Final quiz at least 80 %" in saved.text
    lite.sync()
    assert lite.winners() == lite.expected()


def test_the_form_shows_a_rule_as_it_is_and_saves_a_new_version(lite: Campus) -> None:
    rule_id = lite.rule()
    page = Pages(lite, TEACHER)
    form = page.get(f"/course/rules/{rule_id}").text
    assert 'value="80"' in form
    source = f"item:{lite.item_key('Final quiz')}"
    page.post("/course/rules", rule=rule_id, **{"source-1": source, "percent-1": "92,5"})
    (rule,) = rules_of(lite.context, lite.course_id())
    assert (rule.version, rule.description) == (2, "Final quiz at least 92.5 %")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"source-1": ""}, "Choose what the badge is for"),
        ({"source-1": "item:unknown", "percent-1": "80"}, "not in this course any more"),
        ({"source-1": "course_grade:", "percent-1": "0"}, "more than 0"),
        ({"source-1": "course_grade:", "percent-1": "101"}, "at most 100"),
        ({"source-1": "course_grade:", "percent-1": "many"}, "is not a percentage"),
        ({"source-1": "course_grade:", "percent-1": "1e400"}, "is not a percentage"),
        ({"source-1": "completion:", "source-2": "completion:"}, "are the same"),
        (
            {"source-1": "completion:", "source-2": "course_grade:", "percent-2": "5", "join": "n"}
            | {"n": "3"},
            "a number from 1 to 2",
        ),
        ({"source-1": "completion:", "on_fall": "burn"}, "Choose what happens"),
        ({"source-1": "completion:", "grace_days": "9999"}, "days of grace"),
        ({"source-1": "completion:", "achievement": ""}, "Choose a badge"),
        ({"source-1": "completion:", "achievement": "nope"}, "no such badge"),
    ],
)
def test_a_wrong_form_says_what_to_do_and_changes_nothing(
    lite: Campus, fields: dict[str, str], said: str
) -> None:
    page = Pages(lite, TEACHER)
    answer = page.post("/course/rules", **({"achievement": lite.badge()} | fields))
    assert 400 <= answer.status_code < 500
    assert said in html.unescape(answer.text)
    assert rules_of(lite.context, lite.course_id()) == []


def test_a_learner_can_do_nothing_an_instructor_can(lite: Campus) -> None:
    rule_id = lite.rule()
    lite.sync()
    page, award = Pages(lite, BEN), lite.awards()[0]
    for method, path in (
        ("GET", "/course/badges"),
        ("GET", "/course/learners"),
        ("GET", f"/course/learners/{award.member_id}"),
        ("GET", f"/course/rules/{rule_id}"),
        ("POST", "/course/rules"),
        ("POST", f"/course/rules/{rule_id}/remove"),
        ("POST", f"/course/awards/{award.id}/revoke"),
        ("POST", "/course/awards.csv"),
        ("POST", "/course/sync"),
        ("POST", "/picker/place"),
    ):
        answer = page.get(path) if method == "GET" else page.post(path, reason="x")
        assert answer.status_code == 403, path
    assert len(rules_of(lite.context, lite.course_id())) == 1


def test_without_a_token_or_with_a_bent_one_nothing_opens(lite: Campus) -> None:
    good = Pages(lite, TEACHER).headers["Authorization"]
    for value in ("", "Bearer", "Bearer x", good[:-2] + "xx", good + "x", good.lower()):
        for path in ("/course/badges", "/course/learners", "/me"):
            answer = httpx.get(lite.tool + path, headers={"Authorization": value} if value else {})
            assert answer.status_code == 401, (value, path)


def test_one_course_never_sees_another(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    award = lite.awards()[0]
    with lite.context.sessions.begin() as session:
        course = session.scalar(select(Course))
        assert course is not None
        course.context_id = "elsewhere"
    page = Pages(lite, TEACHER)
    for method, path in (
        ("GET", f"/course/learners/{award.member_id}"),
        ("GET", f"/course/rules/{award.rule_id}"),
        ("POST", f"/course/rules/{award.rule_id}/pause"),
        ("POST", f"/course/awards/{award.id}/revoke"),
        ("POST", f"/course/awards/{award.id}/retry"),
        ("POST", f"/course/flags/{award.rule_id}/{award.member_id}/keep"),
    ):
        answer = page.get(path) if method == "GET" else page.post(path, reason="x")
        assert answer.status_code == 404, path


def test_revoking_asks_for_a_reason_and_keeps_it(lite: Campus) -> None:
    lite.rule()
    lite.grade(BEN, 50)
    lite.sync()
    lite.deliver()
    page, award = Pages(lite, TEACHER), lite.award_of(BEN)
    assert page.post(f"/course/awards/{award.id}/revoke", reason=" ").status_code == 422
    assert page.post(f"/course/awards/{award.id}/revoke", reason="Copied").status_code == 200
    lite.deliver()
    assert "This badge was revoked: Copied" in lite.enter(BEN).text


def test_the_roster_pages_and_searches(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    page = Pages(lite, TEACHER)
    assert page.get("/course/learners").text.count("<tr>") == 30
    found = page.get("/course/learners", search="ben carter").text
    assert "Ben Carter" in found
    assert "Amara" not in found
    assert page.get("/course/learners", page="999").status_code == 200
    assert page.get("/course/learners", page="x").status_code == 200
    csv = page.post("/course/awards.csv")
    assert csv.text.count("\n") == 1 + len(lite.expected())


@pytest.mark.parametrize("fault", ["500", "429:3", "garbage", "html", "drop", "404", "403"])
def test_the_course_page_opens_while_the_lms_is_in_trouble(lite: Campus, fault: str) -> None:
    lite.rule()
    lite.sync()
    before = lite.winners()
    for path in ("/api", "/webservice"):
        lite.world.faults.next(path, fault, times=200)
    page = lite.enter(TEACHER)
    assert page.status_code == 200
    assert "something can't be read" in page.text
    learner = lite.enter(BEN)
    assert learner.status_code == 200
    assert "Final quiz" in learner.text
    assert lite.winners() == before
    lite.world.faults.clear()
    lite.sync()
    assert "can't be read" not in lite.enter(TEACHER).text


def test_a_slow_lms_does_not_hold_the_page_back(
    lite: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LAUNCH_BUDGET_S", 0.2)
    lite.rule()
    lite.sync()
    lite.world.faults.next("/webservice", "slow:7", times=3)
    lite.grade(BEN, 1)
    page = lite.enter(BEN)
    assert page.elapsed.total_seconds() < 14  # the LMS takes 21
    assert "What you can earn" in page.text


def test_deep_linking_places_several_badges_that_open_where_they_were_placed(
    lite: Campus,
) -> None:
    first, second = lite.badge("First"), lite.badge("Second")
    lite.rule(badge=second)
    picker = lite.enter(TEACHER, deep="1")
    assert "Place in the course" in picker.text
    token = token_of(picker)["Authorization"].removeprefix("Bearer ")
    answer = httpx.post(
        f"{lite.tool}/picker/place", data={"access": token, "achievement": [first, second]}
    )
    form = hidden(answer.text)
    action = re.search(r'action="([^"]+)"', answer.text)
    assert action
    placed = httpx.post(html.unescape(action.group(1)), data=form)
    assert placed.status_code == 200, placed.text
    links = [link for link in lite.world.courses["2"].links.values() if link.id != "main"]
    assert [link.title for link in links] == ["First", "Second"]
    assert links[1].custom["achievement_id"] == second
    assert links[0].custom["achievement_signature"] != links[1].custom["achievement_signature"]
    assert "What you can earn" in lite.enter(BEN, links[1].id).text
    again = httpx.post(html.unescape(action.group(1)), data=form)
    assert again.status_code == 400  # the sandbox takes an answer once


def test_links_are_placed_with_column_and_dates_only_when_asked(lite: Campus) -> None:
    badge = lite.badge()
    token = token_of(lite.enter(TEACHER, deep="1"))["Authorization"].removeprefix("Bearer ")

    def item(**more: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{lite.tool}/picker/place", data={"access": token, "achievement": badge, **more}
        )
        claims = jwt.decode(hidden(answer.text)["JWT"], options={"verify_signature": False})
        return dict(claims["https://purl.imsglobal.org/spec/lti-dl/claim/content_items"][0])

    plain = item()
    assert {"lineItem", "available"} & set(plain) == set()
    assert plain["icon"]["url"].endswith(f"/achievements/{badge}/image.png")
    assert plain["text"] == "Knows statistics."
    full = item(column="on", open_from="2026-05-03", open_until="2026-06-01")
    assert full["lineItem"]["scoreMaximum"] == 100
    assert full["available"] == {
        "startDateTime": "2026-05-03T00:00:00Z",
        "endDateTime": "2026-06-01T00:00:00Z",
    }
    for wrong in ({"open_from": "soon"}, {"open_from": "2026-06-01", "open_until": "2026-05-01"}):
        answer = httpx.post(
            f"{lite.tool}/picker/place", data={"access": token, "achievement": badge, **wrong}
        )
        assert answer.status_code == 422


def test_the_picker_can_be_left_and_needs_a_choice(lite: Campus) -> None:
    lite.badge()
    token = token_of(lite.enter(TEACHER, deep="1"))["Authorization"].removeprefix("Bearer ")
    nothing = httpx.post(f"{lite.tool}/picker/place", data={"access": token})
    assert nothing.status_code == 422
    unknown = httpx.post(f"{lite.tool}/picker/place", data={"access": token, "achievement": "nope"})
    assert unknown.status_code == 422
    left = httpx.post(f"{lite.tool}/picker/place", data={"access": token, "cancel": "1"})
    assert 'name="JWT"' in left.text


def test_an_uploaded_picture_is_checked_and_used(lite: Campus) -> None:
    page = Pages(lite, TEACHER)
    bad = httpx.post(
        f"{lite.tool}/course/achievements",
        headers=page.headers,
        data={"name": "N", "description": "D"},
        files={"image": ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")},
    )
    assert bad.status_code == 422
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>'
    good = httpx.post(
        f"{lite.tool}/course/achievements",
        headers=page.headers,
        data={"name": "N", "description": "D"},
        files={"image": ("x.svg", svg)},
    )
    assert good.status_code == 200
    with lite.context.sessions() as session:
        (row,) = session.scalars(select(Achievement))
    shown = httpx.get(f"{lite.tool}/achievements/{row.id}/image.svg")
    assert b"circle" in shown.content
    assert httpx.get(f"{lite.tool}/achievements/{row.id}/image.png").content[:4] == b"\x89PNG"
