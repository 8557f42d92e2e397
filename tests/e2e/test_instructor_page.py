"""What a hurried instructor does to the page on a slow line, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Error, FrameLocator, Route

from tests.e2e.test_demo import CHROMIUM, TEACHER, Visitor, campus, chromium, visitor

__all__ = ["campus", "chromium", "visitor"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
LATENCY_MS = 400


@pytest.fixture
def slow(visitor: Visitor) -> Iterator[FrameLocator]:
    """The form of a new rule, each of its requests 400 ms late."""

    def late(route: Route) -> None:
        visitor.page.wait_for_timeout(LATENCY_MS)
        with suppress(Error):  # the page went on, or the test is over
            route.continue_()

    visitor.page.route("**/course/**", late)
    tool = visitor.open_tool(TEACHER)
    tool.get_by_role("button", name="Add a badge").click()
    tool.locator("select[name=source-1]").wait_for()
    yield tool
    visitor.page.unroute_all(behavior="ignoreErrors")


def choose(tool: FrameLocator, number: int, label: str) -> None:
    tool.locator(f"select[name=source-{number}]").select_option(label=label)


def test_a_condition_added_right_after_a_change_is_added_and_keeps_what_was_typed(
    slow: FrameLocator,
) -> None:
    slow.get_by_label("Name of the badge").fill("Typed before")
    choose(slow, 1, "Final quiz (of 50)")
    slow.get_by_role("button", name="Add another condition").click()

    made = slow.locator("select[name=source-2]")
    made.wait_for()
    slow.locator("select[name=source-2]:focus").wait_for()
    assert slow.get_by_label("Name of the badge").input_value() == "Typed before"
    assert slow.locator("select[name=source-1]").evaluate("e => e.selectedOptions[0].text") == (
        "Final quiz (of 50)"
    )


def test_a_refused_picture_says_so_until_the_next_try(visitor: Visitor, slow: FrameLocator) -> None:
    slow.get_by_label("Name of the badge").fill("With a picture")
    choose(slow, 1, "Final quiz (of 50)")
    slow.get_by_text("Description and picture").click()
    slow.get_by_label("Picture, PNG").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture at all"}
    )
    visitor.expected = 2  # the browser and htmx each tell of a refused request
    slow.get_by_role("button", name="Start awarding").click()
    alert = slow.locator("#alert .alert")
    alert.wait_for()
    slow.locator("#rehearsal .lead").wait_for()

    assert "picture" in alert.inner_text().lower()
    assert slow.get_by_label("Name of the badge").input_value() == "With a picture"


def test_what_is_asked_for_again_leaves_the_focus_where_it_is(visitor: Visitor) -> None:
    tool = visitor.open_tool(TEACHER)
    read_now = tool.get_by_role("button", name="Read now")
    read_now.focus()
    with (
        visitor.page.expect_response("**/course/status*"),
        visitor.page.expect_response("**/course/status*"),
    ):
        pass
    tool.locator("button:focus", has_text="Read now").wait_for()


def test_a_page_that_shows_everything_already_is_sent_nothing(visitor: Visitor) -> None:
    tool = visitor.open_tool(TEACHER)
    tool.get_by_role("button", name="Read now").wait_for()
    statuses = []
    for _ in range(3):
        with visitor.page.expect_response("**/course/status*") as answer:
            pass
        statuses.append(answer.value.status)
    assert 204 in statuses


def test_the_threshold_moves_by_keys_and_the_preview_follows(slow: FrameLocator) -> None:
    choose(slow, 1, "Final quiz (of 50)")
    slow.get_by_text("7 of 29 learners would get the badge now").wait_for()
    slider = slow.get_by_role("slider")
    slider.focus()
    slider.press("PageDown")
    slow.get_by_text("10 of 29 learners would get the badge now").wait_for()
    assert slow.locator("input[name=percent-1]").input_value() == "75"
    assert slow.get_by_role("slider").get_attribute("aria-valuenow") == "75"


def test_groups_nest_move_and_go(slow: FrameLocator) -> None:
    choose(slow, 1, "Final quiz (of 50)")
    slow.get_by_role("button", name="Add another condition").click()
    slow.locator("select[name=source-2]").wait_for()
    choose(slow, 2, "Midterm (of 50)")
    slow.get_by_role("button", name="Add a group").click()
    slow.locator("select[name=source-4]").wait_for()
    choose(slow, 4, "Course completed")
    slow.get_by_role("button", name="Add a condition to this group").click()
    slow.locator("select[name=source-5]").wait_for()
    choose(slow, 5, "Course grade")
    sentence = slow.locator("#rehearsal h3")
    slow.get_by_text("(Course completed or Course grade at least 80 %)").wait_for()

    slow.get_by_role("button", name="Move condition 2 up").first.click()
    slow.get_by_text("Midterm at least 80 %, Final quiz at least 80 % and").wait_for()
    assert sentence.inner_text().startswith("Midterm")
    slow.get_by_role("button", name="Remove group 3").click()
    slow.get_by_text("Midterm at least 80 % and Final quiz at least 80 %").wait_for()
