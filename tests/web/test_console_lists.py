"""The console's lists: searched, paged and filtered on the server; bulk actions count first."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.queries.award_list import AwardFilter, award_list
from lti_badges.queries.course_list import course_list
from lti_badges.queries.listing import PAGE
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    AuditEvent,
    Award,
    Course,
    CourseMember,
    Person,
    Platform,
)
from tests.support.campus import Campus
from tests.web.test_admin import Console

BEN = "5"


def add_people(campus: Campus, *names: str) -> None:
    with campus.context.sessions.begin() as session:
        platform_id = session.scalars(select(Platform.id)).one()
        for number, name in enumerate(names):
            session.add(
                Person(
                    institution_id=DEFAULT_INSTITUTION,
                    platform_id=platform_id,
                    sub=f"s{number}",
                    name=name,
                    email=f"s{number}@example.edu",
                )
            )


def named(page: str) -> list[str]:
    """The people in a list, in its order."""
    return [html.unescape(each) for each in re.findall(r'hx-target="#main">([^<]+)</button>', page)]


def turned(console: Console, page: str, label: str) -> str:
    """The page behind a button of the pager, as the button asks for it."""
    found = re.search(rf'hx-get="/admin([^"]+)"[^>]*>{label}<', page)
    assert found, page[-600:]
    console.headers["HX-Target"] = "list"
    return httpx.get(console.base + html.unescape(found.group(1)), headers=console.headers).text


def test_people_are_paged_forth_and_back_without_a_gap(lite: Campus) -> None:
    everybody = [f"Same {number % 40:03}" for number in range(2 * PAGE + 7)]
    add_people(lite, *everybody)
    console = Console(lite)
    console.headers["HX-Target"] = "list"
    first = console.get("/people").text
    assert "Previous" not in first
    second = turned(console, first, "Next")
    third = turned(console, second, "Next")
    assert "Next" not in third
    seen = [*named(first), *named(second), *named(third)]
    assert seen == sorted(everybody)
    assert named(turned(console, third, "Previous")) == named(second)
    assert named(turned(console, turned(console, third, "Previous"), "Previous")) == named(first)
    assert "Previous" not in turned(console, second, "Previous")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("100%", ["100% Zed"]),
        ("a_b", ["a_b"]),
        ("%", ["100% Zed"]),
        ("_", ["a_b"]),
        ("\\", ["back\\slash"]),
        ("ZED 100", ["1000 Zed", "100% Zed"]),
        ("s3@EXAMPLE.edu", ["axb"]),
        ("'; drop", []),
        ("nobody", []),
    ],
)
def test_a_search_takes_every_letter_as_itself(lite: Campus, search: str, found: list[str]) -> None:
    add_people(lite, "100% Zed", "a_b", "back\\slash", "axb", "1000 Zed")
    page = Console(lite).get("/people", search=search).text
    assert sorted(named(page)) == sorted(found)


@pytest.mark.parametrize("at", ["x", "+", "+e30=", "+WyJ2IiwxXQ==", "-bm9wZQ==", "*WyJ2IiwxLDJd"])
def test_what_is_no_page_is_refused(lite: Campus, at: str) -> None:
    console = Console(lite)
    for path in ("/people", "/courses", "/awards", "/audit"):
        answer = console.get(path, at=at)
        assert answer.status_code == 422, path
        assert "begin at the first one" in answer.text


def test_courses_are_searched_sorted_and_read(lite: Campus) -> None:
    lite.rule()
    with lite.context.sessions.begin() as session:
        here = session.scalars(select(Course)).one()
        for number, title in enumerate(("Zoology", "anatomy", "100% maths")):
            session.add(
                Course(
                    deployment_id=here.deployment_id,
                    context_id=f"c{number}",
                    title=title,
                    custom={},
                    scopes=[],
                    settings={},
                    sync_error="The LMS is down." if number == 1 else None,
                    created_at=clock.now() + timedelta(minutes=number),
                )
            )
        here_id = here.id
    tool = lite.context
    titles = [each.title for each in course_list(tool).rows]
    assert titles == ["100% maths", "anatomy", "Statistics 101", "Zoology"]
    assert course_list(tool, sort="newest").rows[0].title == "100% maths"
    assert [each.title for each in course_list(tool, failing=True).rows] == ["anatomy"]
    console = Console(lite)
    page = console.get("/courses", search="statistics").text
    assert "Statistics 101" in page
    assert "Zoology" not in page
    assert re.search(r"<td>29</td><td>1</td>", page)
    assert "is being read now" in console.post(f"/courses/{here_id}/read").text
    assert console.post("/courses/nothing/read").status_code == 404
    assert console.get("/courses", sort="odd").status_code == 422


def test_awards_are_found_by_what_an_admin_knows(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    with lite.context.sessions.begin() as session:
        award = session.scalars(select(Award)).first()
        assert award is not None
        award.state, award.error, award.next_attempt_at = "rejected", "Terms (5%) first.", None
        name = session.get_one(CourseMember, award.member_id).name
        backend, course = award.backend_id, award.course_id
    console = Console(lite)
    everybody = len(lite.expected())

    def count(**wanted: str) -> int:
        return console.get("/awards", **wanted).text.count('name="award"')

    assert count() == everybody
    assert count(state="rejected") == 1
    assert count(search=name or "") == 1
    assert count(search="terms (5%)") == 1
    assert count(search="statistics", backend=backend, course=course) == everybody
    assert count(search="statistics", state="revoked") == 0
    for wrong, status in (({"state": "odd"}, 422), ({"backend": "x"}, 404), ({"course": "x"}, 404)):
        assert console.get("/awards", **wrong).status_code == status
    newest = [each.id for each in award_list(lite.context, AwardFilter()).rows]
    oldest = [each.id for each in award_list(lite.context, AwardFilter(sort="oldest")).rows]
    assert newest == oldest[::-1]


def mark_of(page: str) -> str:
    found = re.search(r'name="mark" value="([0-9a-f]+)"', page)
    assert found, page
    return found.group(1)


def test_many_are_revoked_only_after_they_were_counted_and_named(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    console, many = Console(lite), len(lite.expected())
    review = console.post("/awards/revoke/review", state="issued").text
    assert f"Revoke {many} awards" in review
    assert "can’t be undone" in review
    with lite.context.sessions() as session:
        for name in session.scalars(select(CourseMember.name).join(Award)):
            assert html.escape(name or "", quote=False).replace("'", "&#39;") in review
    assert {each.state for each in lite.awards()} == {"issued"}
    mark = mark_of(review)
    for wrong in ({"mark": "0" * 64}, {}, {"mark": mark, "search": "ben"}):
        answer = console.post("/awards/revoke", state="issued", reason="A mistake", **wrong).text
        assert "Nothing was done" in answer
    refused = console.post("/awards/revoke", state="issued", reason="  ", mark=mark)
    assert refused.status_code == 422
    assert "reason" in refused.text
    assert {each.state for each in lite.awards()} == {"issued"}
    done = console.post("/awards/revoke", state="issued", reason="A mistake", mark=mark).text
    assert f"{many} awards are revoked, or on their way" in done
    lite.deliver()
    assert {(each.state, each.revocation_reason) for each in lite.awards()} == {
        ("revoked", "A mistake")
    }
    with lite.context.sessions() as session:
        events = session.scalars(
            select(AuditEvent.actor).where(
                AuditEvent.kind == "award_state", AuditEvent.actor != "lti-badges"
            )
        ).all()
    assert events == ["An admin"] * many
    assert console.post("/awards/revoke/review", state="issued").status_code == 422


def test_only_the_ticked_awards_are_taken_and_those_for_which_it_is_something(
    lite: Campus,
) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    first, second, *rest = [each.id for each in lite.awards()]
    with lite.context.sessions.begin() as session:
        for award_id in (first, second):
            award = session.get_one(Award, award_id)
            award.state, award.error, award.next_attempt_at = "rejected", "No.", None
    console = Console(lite)
    review = console.post("/awards/retry/review", award=[first, rest[0]]).text
    assert "Try again: 1 award" in review
    assert "1 more was chosen and is left alone" in review
    done = console.post("/awards/retry", award=[first, rest[0]], mark=mark_of(review)).text
    assert "1 awards are tried again" in done
    states = {each.id: each.state for each in lite.awards()}
    assert (states[first], states[second]) == ("pending", "rejected")
    assert console.post("/awards/retry/review", award=[first, "nothing"]).status_code == 404


def test_awards_that_changed_meanwhile_are_shown_anew(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    console = Console(lite)
    mark = mark_of(console.post("/awards/revoke/review", state="issued").text)
    with lite.context.sessions.begin() as session:
        award = session.scalars(select(Award)).first()
        assert award is not None
        award.state = "revoked"
    again = console.post("/awards/revoke", state="issued", reason="r", mark=mark).text
    assert "Nothing was done" in again
    assert [each.state for each in lite.awards()].count("revoked") == 1


def test_a_person_is_looked_at_exported_and_erased(lite: Campus) -> None:
    lite.rule()
    lite.grade(BEN, 46)
    lite.sync()
    lite.deliver()
    award = lite.award_of(BEN)
    with lite.context.sessions() as session:
        person = session.get_one(CourseMember, award.member_id).person_id
    console = Console(lite)
    view = console.get(f"/people/{person}").text
    assert "ben.carter@example.org" in view
    assert "Statistics 101" in view
    file = console.post(f"/people/{person}.json")
    assert file.headers["content-disposition"].startswith("attachment")
    assert json.loads(file.text)["awards"][0]["id"] == award.id
    preview = console.get(f"/people/{person}/erase").text
    assert "the badge that still stands is revoked first" in " ".join(preview.split())
    assert "ben.carter@example.org" in console.get(f"/people/{person}").text
    assert "Erased." in console.post(f"/people/{person}/erase").text
    after = console.get(f"/people/{person}").text
    assert "ben.carter" not in after
    with lite.context.sessions() as session:
        assert session.get_one(Award, award.id).state == "revoked"
    assert "Ben Carter" not in console.get("/audit").text
    for method, path in (("get", ""), ("post", ".json"), ("get", "/erase"), ("post", "/erase")):
        assert getattr(console, method)(f"/people/nobody{path}").status_code == 404


def test_the_audit_log_says_who_did_what_and_is_filtered(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    console = Console(lite)
    console.post("/profile", name="University of Example")
    page = console.get("/audit", search="profile saved").text
    assert "Profile saved" in page
    assert "An admin" in page
    assert "127.0.0.1" in page
    assert "Granted by version" not in page
    assert "Granted by version" in console.get("/audit", search="granted").text
    assert "Profile saved" not in console.get("/audit", actor="somebody else").text
    today, tomorrow = clock.now().date(), clock.now().date() + timedelta(days=1)
    assert "Profile saved" in console.get("/audit", since=str(today), until=str(today)).text
    assert "Nothing like that" in console.get("/audit", since=str(tomorrow)).text
    assert console.get("/audit", since="soon").status_code == 422
    # Signing in is the installation's: only an operator who asks for all of it sees it.
    assert "Admin signed in" not in console.get("/audit").text
    assert "Admin signed in" in console.get("/audit", all="on").text
    file = console.post("/audit.csv", search="profile saved").text
    assert file.count("\n") == 2
    assert "Profile saved,An admin,127.0.0.1" in file


def test_a_long_log_is_exported_whole_and_formulas_stay_text(lite: Campus) -> None:
    with lite.context.sessions.begin() as session:
        for number in range(1203):
            session.add(
                AuditEvent(
                    kind="noted",
                    actor="=1+1",
                    institution_id=DEFAULT_INSTITUTION,
                    detail={"number": number},
                )
            )
    lines = Console(lite).post("/audit.csv", search="noted").text.splitlines()
    assert len(lines) == 1204
    assert {line.rpartition("number: ")[2] for line in lines[1:]} == set(map(str, range(1203)))
    assert all("'=1+1" in line for line in lines[1:])


def test_a_filter_that_is_odd_is_no_state() -> None:
    with pytest.raises(InvalidInput):
        AwardFilter.read({"state": "x"})
