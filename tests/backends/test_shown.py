"""What people see of awards and badges that live at other places."""

from __future__ import annotations

import httpx
import pytest

from lti_badges.catalogue.achievements import catalogue_of
from tests.backends.test_contract import REMOTE, add, badge_at
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages


@pytest.mark.parametrize("name", ["timeback", "webhook", "obf-v1", "badgr"])
def test_the_public_page_says_who_issued_it(lite: Campus, name: str) -> None:
    kind = REMOTE[name]
    with kind.server().running() as server:
        backend_id = add(lite.context, kind, server.base)
        lite.rule(badge=badge_at(lite.context, server, backend_id))
        lite.sync()
        lite.deliver()
        award = lite.awards()[0]
        assert award.state == "issued"
        page = httpx.get(f"{lite.tool}/credentials/{award.id}").text
        assert f"Issued by {name}" in page
        assert "Not issued" not in page
        assert ("See and verify it there" in page) is (award.backend_url is not None)
        if name == "obf-v1":
            assert award.backend_url == f"https://obf.example/{award.backend_ref}.json"


def test_the_course_page_travels_with_the_award(lite: Campus) -> None:
    kind = REMOTE["oeb"]
    with kind.server().running() as server:
        backend_id = add(lite.context, kind, server.base)
        lite.rule(badge=badge_at(lite.context, server, backend_id))
        lite.sync()
        lite.deliver()
        told = {each["course_url"] for each in server.assertions}  # type: ignore[attr-defined]
        assert told == {f"{lite.world.base_url}/course/view.php?id=2"}


def test_micro_degrees_are_shown_but_not_to_be_awarded(lite: Campus) -> None:
    kind = REMOTE["oeb"]
    with kind.server().running() as server:
        backend_id = add(lite.context, kind, server.base)
        own = server.badge("P1", "Data literacy, completed")  # type: ignore[attr-defined]
        server.badges["P1"] = own  # type: ignore[attr-defined]
        path = {"name": "Data literacy", "participationBadge_id": "P1"}
        server.paths[:] = [path]  # type: ignore[attr-defined]
        badge_at(lite.context, server, backend_id)
        shown = catalogue_of(lite.context, lite.course_id())
        assert shown.awards_itself == ("Data literacy",)
        form = Pages(lite, TEACHER).get("/course/rules/new").text
        assert "awards by itself: Data literacy" in form
        assert "Data literacy, completed" not in form
