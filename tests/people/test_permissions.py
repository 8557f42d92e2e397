"""Who may do what: by LTI role, by the institution's own table, and until the role is lost."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import time_machine
from click.testing import CliRunner, Result

from lti_badges.cli.main import cli
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.people.permissions import permissions_of, role_names, set_permissions, table
from lti_badges.store import DEFAULT_INSTITUTION
from lti_badges.values.permission import OF_A_COURSE
from tests.support.campus import TEACHER, Campus
from tests.support.platform import MEMBERSHIP, Browser, TestPlatform
from tests.web.test_course_pages import Pages, token_of

SUB = "http://purl.imsglobal.org/vocab/lis/v2/membership/"
INSTRUCTOR, LEARNER = f"{MEMBERSHIP}Instructor", f"{MEMBERSHIP}Learner"
ASSISTANT = f"{SUB}Instructor#TeachingAssistant"
SEES = {"see_learners", "see_grades", "award"}


@pytest.mark.parametrize(
    ("roles", "names", "may"),
    [
        ([INSTRUCTOR], {"Instructor"}, set(OF_A_COURSE)),
        ([f"{MEMBERSHIP}Administrator"], {"Administrator"}, set(OF_A_COURSE)),
        ([INSTRUCTOR, ASSISTANT], {"Instructor#TeachingAssistant"}, SEES),
        ([f"{SUB}Instructor#TeachingAssistantSection"], {"Instructor#TeachingAssistant"}, SEES),
        ([f"{SUB}Instructor#Grader"], {"Instructor#Grader"}, SEES),
        ([f"{MEMBERSHIP}TeachingAssistant"], {"Instructor#TeachingAssistant"}, SEES),
        ([f"{SUB}Instructor#Lecturer"], {"Instructor#Lecturer"}, set(OF_A_COURSE)),
        ([f"{MEMBERSHIP}ContentDeveloper"], {"ContentDeveloper"}, {"edit_rules", "edit_badges"}),
        ([LEARNER], {"Learner"}, set()),
        (["Instructor"], {"Instructor"}, set(OF_A_COURSE)),
        (["http://purl.imsglobal.org/vocab/lis/v2/system/person#Administrator"], set(), set()),
        (["urn:unknown#Instructor", ""], set(), set()),
        ([], set(), set()),
    ],
)
def test_roles_lead_to_permissions(
    lite: Campus, roles: list[str], names: set[str], may: set[str]
) -> None:
    assert role_names(roles) - {""} == names
    with lite.context.within(DEFAULT_INSTITUTION).sessions() as session:
        assert permissions_of(session, roles) == may


@pytest.fixture
def browser(lite: Campus) -> Any:
    """Somebody of an LMS whose claims a test bends."""
    with TestPlatform().running() as platform:
        platform.register(lite.context.sessions)
        yield Browser(lite.tool, platform)


def ask(browser: Browser, page: httpx.Response, path: str, **data: Any) -> httpx.Response:
    """With the page's token: POST when there is something to say."""
    headers = {**token_of(page), "HX-Request": "true"}
    if data:
        return httpx.post(browser.tool + path, headers=headers, data=data)
    return httpx.get(browser.tool + path, headers=headers)


def test_each_role_sees_and_does_its_part(lite: Campus, browser: Browser) -> None:
    assistant = browser.launch(sub="ta", roles=[INSTRUCTOR, ASSISTANT])
    assert "Add a badge" not in assistant.text
    assert "Learners</button>" in assistant.text
    assert ask(browser, assistant, "/course/learners").status_code == 200
    for path, data in (
        ("/course/achievements", {"name": "n", "description": "d"}),
        ("/course/backend", {"backend": "b"}),
    ):
        refused = ask(browser, assistant, path, **data)
        assert refused.status_code == 403, path
        assert "Your role does not let you" in refused.text
    author = browser.launch(sub="author", roles=[f"{MEMBERSHIP}ContentDeveloper"])
    assert "Add a badge" in author.text
    assert "Learners</button>" not in author.text
    assert ask(browser, author, "/course/learners").status_code == 403
    assert ask(browser, author, "/course/awards.csv", x="1").status_code == 403
    assert ask(browser, author, "/course/rules/new").status_code == 200
    teacher = browser.launch(sub="teacher")
    assert "Add a badge" in teacher.text
    assert ask(browser, teacher, "/course/awards.csv", x="1").status_code == 200


def test_the_institutions_own_table_counts_from_the_next_launch(
    lite: Campus, browser: Browser
) -> None:
    tool = lite.context.within(DEFAULT_INSTITUTION)
    set_permissions(tool, "Instructor#TeachingAssistant", ["edit_rules"], by="a test")
    page = browser.launch(sub="ta", roles=[INSTRUCTOR, ASSISTANT])
    assert "Add a badge" in page.text
    assert "Learners</button>" not in page.text
    for role, wanted in (("Nobody", ["award"]), ("Instructor", ["fly"]), ("", [])):
        with pytest.raises(InvalidInput):
            set_permissions(tool, role, wanted, by="a test")
    set_permissions(tool, "Instructor#TeachingAssistant", sorted(SEES), by="a test")
    assert table(tool)["Instructor#TeachingAssistant"] == SEES


def test_the_command_shows_and_changes_the_table(lite: Campus) -> None:
    settings = lite.context.settings
    env = {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }

    def run(*changes: str) -> Result:
        sets = [f"--set={change}" for change in changes]
        path = ["institutions", "permissions", "default", "--json", *sets]
        return CliRunner().invoke(cli, path, env=env)

    def told(done: Result) -> dict[str, set[str]]:
        assert done.exit_code == 0, done.output
        return {row["role"]: set(row["permissions"]) for row in json.loads(done.output)}

    assert told(run())["Instructor#Grader"] == SEES
    changed = told(run("Instructor#Grader:revoke=on", "Instructor#Grader:award=off"))
    assert changed["Instructor#Grader"] == SEES - {"award"} | {"revoke"}
    # A sub-role that the table does not have begins as its principal.
    lecturer = told(run("Instructor#Lecturer:choose_backend=off"))["Instructor#Lecturer"]
    assert lecturer == set(OF_A_COURSE) - {"choose_backend"}
    for wrong in ("Instructor:fly=on", "Nobody:award=on", "Instructor:award=maybe", "award=on"):
        done = run("Instructor#Grader:award=on", wrong)
        assert done.exit_code != 0, wrong
    assert told(run())["Instructor#Grader"] == SEES - {"award"} | {"revoke"}


def test_a_lost_role_ends_older_pages_and_no_others(lite: Campus, browser: Browser) -> None:
    before = browser.launch(sub="one")
    other = browser.launch(sub="two")
    assert ask(browser, before, "/course/learners").status_code == 200
    again = browser.launch(sub="one")  # the same role: nothing ends
    assert ask(browser, before, "/course/learners").status_code == 200
    learner = browser.launch(sub="one", roles=[LEARNER])
    for page in (before, again):
        ended = ask(browser, page, "/course/learners")
        assert ended.status_code == 401
        assert "role in this course has changed" in ended.text
    assert ask(browser, learner, "/me").status_code in {200, 204}
    assert ask(browser, learner, "/course/learners").status_code == 403
    assert ask(browser, other, "/course/learners").status_code == 200


def test_pages_live_twenty_minutes_and_longer_while_they_are_used(lite: Campus) -> None:
    page = Pages(lite, TEACHER)
    assert "X-Access-Token" not in page.get("/course/badges").headers
    start = clock.now().timestamp()
    with time_machine.travel(start + 21 * 60):
        assert page.get("/course/badges").status_code == 401
    for minutes in (15, 30, 45):
        with time_machine.travel(start + minutes * 60):
            answer = page.get("/course/badges")
            assert answer.status_code == 200
            page.headers["Authorization"] = f"Bearer {answer.headers['X-Access-Token']}"
    with time_machine.travel(start + 13 * 60 * 60):
        assert page.get("/course/badges").status_code == 401


def test_a_mentor_sees_only_whom_they_observe(lite: Campus, browser: Browser) -> None:
    for sub, name in (("ada", "Ada Lovelace"), ("ben", "Ben Bitdiddle")):
        browser.launch(sub=sub, roles=[LEARNER], name=name)
    mentor = {"sub": "parent", "roles": [f"{MEMBERSHIP}Mentor"]}
    page = browser.launch(**mentor, role_scope_mentor=["ada"])
    assert "Ada Lovelace" in page.text
    assert "Ben Bitdiddle" not in page.text
    assert ask(browser, page, "/me/observed").status_code == 200
    assert ask(browser, page, "/course/learners").status_code == 403
    assert "as an observer" in browser.launch(**mentor).text


def test_a_removed_platforms_pages_end_at_once(lite: Campus, browser: Browser) -> None:
    from lti_badges.catalogue.platforms import remove_platform
    from lti_badges.store import Platform

    page = browser.launch(sub="one")
    with lite.context.sessions() as session:
        (row,) = [each for each in session.query(Platform) if each.client_id == "client-1"]
    assert remove_platform(lite.context, row.id, with_data=False, by="a test") is False
    assert ask(browser, page, "/course/badges").status_code == 401
    assert browser.login().status_code == 403
