"""Badges placed by deep linking: what the LMS is told of them, and what their links open."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt

from lti_badges.lti.claims import DL
from lti_badges.sandbox.model import Link
from tests.support.campus import TEACHER, Campus, hidden
from tests.web.test_course_pages import token_of

BEN = "5"


def placed_link(lite: Campus, badge: str) -> str:
    """Place a badge as a teacher does. Returns the link's id in the sandbox."""
    token = token_of(lite.enter(TEACHER, deep="1"))["Authorization"].removeprefix("Bearer ")
    answer = httpx.post(f"{lite.tool}/picker/place", data={"access": token, "achievement": badge})
    action = re.search(r'action="([^"]+)"', answer.text)
    assert action
    assert httpx.post(html.unescape(action.group(1)), data=hidden(answer.text)).is_success
    links: list[Link] = list(lite.world.courses["2"].links.values())
    return links[-1].id


def item(lite: Campus, targets: list[str] | None = None, **fields: str) -> dict[str, Any]:
    """The content item of the one badge."""
    badge = lite.badge()
    token = token_of(lite.enter(TEACHER, deep="1"))["Authorization"].removeprefix("Bearer ")
    answer = httpx.post(
        f"{lite.tool}/picker/place", data={"access": token, "achievement": badge, **fields}
    )
    claims = jwt.decode(hidden(answer.text)["JWT"], options={"verify_signature": False})
    return dict(claims[f"{DL}content_items"][0])


def test_a_badges_link_opens_its_rule_for_instructors_and_comes_first_for_learners(
    lite: Campus,
) -> None:
    earned, placed = lite.badge("Earned before"), lite.badge("Placed here")
    lite.rule(badge=earned)
    lite.grade(BEN, 50)
    lite.sync()
    link = placed_link(lite, placed)
    mine = lite.enter(BEN, link).text
    assert "Your instructor has not said yet how it is earned" in mine
    assert mine.index("Placed here") < mine.index("Earned before")
    assert "Placed here" not in lite.enter(BEN).text
    new = html.unescape(lite.enter(TEACHER, link).text)
    assert "Add a badge" in new
    assert f'value="{placed}" checked' in new
    lite.rule(lite.quiz_at_least(90), badge=placed)
    edit = html.unescape(lite.enter(TEACHER, link).text)
    assert "Edit the rule" in edit
    assert 'value="90"' in edit
    mine = lite.enter(BEN, link).text
    assert mine.index("Placed here") < mine.index("Earned before")
    assert "Badges of this course" in lite.enter(TEACHER).text


def test_a_placed_link_has_a_size_a_picture_and_the_dates_that_were_chosen(lite: Campus) -> None:
    plain = item(lite)
    assert plain["iframe"] == {"width": 800, "height": 900}
    assert "window" not in plain
    assert plain["thumbnail"] == {"url": plain["icon"]["url"], "width": 128, "height": 128}
    assert "submission" not in plain
    full = item(lite, own_window="on", submit_from="2026-05-03", submit_until="2026-06-01")
    assert full["window"] == {"targetName": "_blank", "width": 800, "height": 900}
    assert "iframe" not in full
    assert full["submission"] == {
        "startDateTime": "2026-05-03T00:00:00Z",
        "endDateTime": "2026-06-01T00:00:00Z",
    }


def test_a_refused_picker_says_so_to_the_person_the_platform_and_its_log(lite: Campus) -> None:
    lite.badge()
    page = lite.enter(BEN, deep="1")
    assert page.status_code == 403
    assert "Only instructors can place badges in a course." in page.text
    claims = jwt.decode(hidden(page.text)["JWT"], options={"verify_signature": False})
    assert claims[f"{DL}content_items"] == []
    assert claims[f"{DL}errormsg"] == "Only instructors can place badges in a course."
    assert claims[f"{DL}errorlog"] == "Refused: learner_deep_link"
    action = re.search(r'action="([^"]+)"', page.text)
    assert action
    assert urlsplit(html.unescape(action.group(1))).path == "/deep-link-return"
    assert httpx.post(html.unescape(action.group(1)), data=hidden(page.text)).is_success


def test_the_way_back_carries_a_message_and_a_line_for_the_log(lite: Campus) -> None:
    claims = lite.world.vendor.claims
    presentation = "https://purl.imsglobal.org/spec/lti/claim/launch_presentation"
    back = {"return_url": "https://lms.example/back?a=1", "document_target": "window"}
    lite.world.vendor.claims = lambda *given: {**claims(*given), presentation: back}  # type: ignore[method-assign]
    link = re.search(r'href="(https://lms.example/back[^"]+)"', lite.enter(TEACHER).text)
    assert link
    told = parse_qs(urlsplit(html.unescape(link.group(1))).query)
    assert told["a"] == ["1"]
    assert told["lti_msg"] == ["You are back from the badges of this course."]
    assert "instructor" in told["lti_log"][0]
