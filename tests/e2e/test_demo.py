"""The demo in a real Chromium: the tool in a frame of another site, third-party cookies blocked."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FrameLocator,
    Page,
    Route,
    sync_playwright,
)

from tests.support.serving import PATIENCE_S, free_pair

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
TEACHER, BEN = "3", "5"
BADGE = "Statistics with distinction"
# What htmx says when a page is left while it asks; a refused request is told by the browser itself.
CUT_SHORT = ("htmx:afterRequest", "htmx:sendError", "htmx:sendAbort")


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`lti-badges demo`, as a user starts it; the LMS's address."""
    with demo(tmp_path_factory.mktemp("demo")) as address:
        yield address


@contextmanager
def demo(folder: Path, lms: str = "moodle") -> Iterator[str]:
    """A demo of one LMS; its address."""
    port = free_pair()
    demo = subprocess.Popen(
        [sys.executable, "-m", "lti_badges", "demo", "--port", str(port), "--lms", lms],
        stdout=subprocess.PIPE,
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        text=True,
    )
    assert demo.stdout is not None
    found = None
    for line in demo.stdout:
        found = found or re.search(r"Open\s+(\S+?)/?$", line.strip())
        if "Nothing is kept" in line:
            break
    assert found, "the demo did not say what to open"
    yield found.group(1)
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(timeout=PATIENCE_S) == 0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser that blocks third-party cookies."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--test-third-party-cookie-phaseout",
                "--block-third-party-cookies",
                # Answers that a test stands in for count as from the internet; let them lead here.
                "--disable-features=LocalNetworkAccessChecks",
            ],
        )
        yield browser
        browser.close()


class Visitor:
    """A browser window whose complaints are collected."""

    def __init__(self, context: BrowserContext, lms: str) -> None:
        self.lms = lms
        context.set_default_timeout(PATIENCE_S * 1000)
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.expected = 0
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: (
                self.complaints.append(f"{said.text} {said.location}")
                if said.type == "error" and not said.text.startswith(CUT_SHORT)
                else None
            ),
        )

    def open_tool(self, sub: str) -> FrameLocator:
        self.page.goto(f"{self.lms}/courses/2/tool?as={sub}")
        return self.page.frame_locator("#tool")


@pytest.fixture
def visitor(chromium: Browser, campus: str) -> Iterator[Visitor]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    made = Visitor(context, campus)
    yield made
    context.close()
    assert len(made.complaints) == made.expected, made.complaints


def start_awarding(tool: FrameLocator) -> None:
    """The instructor's three clicks: a badge for the quiz, awarded from now on."""
    tool.get_by_role("button", name="Add a badge").click()
    tool.get_by_label("Name of the badge").fill(BADGE)
    tool.locator("select[name=source-1]").select_option(label="Final quiz (of 50)")
    tool.get_by_text("of 29 learners would get the badge now").wait_for()
    tool.locator("svg .threshold").wait_for(state="attached")
    tool.get_by_role("button", name="Start awarding").click()
    tool.locator("#main").get_by_text(f"“{BADGE}” is on.").wait_for()


@pytest.fixture
def awarding(visitor: Visitor) -> None:
    """The badge is awarded in the course: made here, unless an earlier test of this file did."""
    tool = visitor.open_tool(TEACHER)
    tool.get_by_role("heading", name="Badges of this course").wait_for()
    if not tool.get_by_text(BADGE).count():
        start_awarding(tool)
    tool.locator(".pill.issued", has_text="issued").first.wait_for()


def test_the_main_job_from_the_first_click_to_a_verified_badge(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(visitor.lms)
    page.click(f"#be-{TEACHER}")
    page.click("#open-badges")
    tool = page.frame_locator("#tool")
    start_awarding(tool)
    told = f"“{BADGE}” is on. 7 of 29 learners have reached it"
    tool.locator("#main").get_by_text(told).wait_for()
    tool.locator(".pill.issued", has_text="issued").wait_for()

    tool.get_by_role("button", name="Learners").click()
    tool.get_by_role("button", name="Ben Carter").click()
    tool.get_by_text("Why not: the rule is not met yet.").wait_for()

    page.click("#open-gradebook")
    page.fill(f"#row-{BEN} input[name=score-13]", "46")
    page.click(f"#row-{BEN} button")
    page.get_by_text("Saved.").wait_for()

    # Nobody presses anything: the tool finds it by itself, and the open page shows it.
    mine = visitor.open_tool(BEN)
    link = mine.get_by_role("link", name="See it verified")
    link.wait_for()
    url = link.get_attribute("href")
    assert url
    page.goto(url)
    page.get_by_role("heading", name="This credential is valid").wait_for()
    page.get_by_label("E-mail address").fill("BEN.carter@example.org")
    page.get_by_role("button", name="Check").click()
    page.get_by_text("Yes, it was issued to this address.").wait_for()

    nearly = visitor.open_tool("8")
    nearly.get_by_text("What you can earn").wait_for()
    nearly.locator(".ring").first.wait_for()


@pytest.mark.usefixtures("awarding")
def test_a_badge_arrives_while_the_instructor_watches(visitor: Visitor) -> None:
    tool = visitor.open_tool(TEACHER)
    count = tool.locator(".pill.issued").first
    count.wait_for()
    before = int(count.inner_text().split()[0])
    visitor.page.request.post(
        f"{visitor.lms}/control/score",
        data={"course": "2", "item": "13", "sub": "7", "points": "50"},
    )
    tool.locator(".pill.issued", has_text=f"{before + 1} issued").wait_for()
    assert int(count.inner_text().split()[0]) == before + 1


@pytest.mark.usefixtures("awarding")
def test_badges_are_placed_from_the_content_picker(visitor: Visitor) -> None:
    graded = {"course": "2", "item": "13", "sub": BEN, "points": "50"}
    visitor.page.request.post(f"{visitor.lms}/control/score", data=graded)
    visitor.page.goto(f"{visitor.lms}/courses/2/tool?as={TEACHER}&deep=1")
    picker = visitor.page.frame_locator("#tool")
    picker.get_by_label(BADGE).check()
    picker.get_by_role("button", name="Place in the course").click()
    picker.get_by_text("The course has 1 badge link now").wait_for()
    visitor.page.goto(f"{visitor.lms}/courses/2?as={BEN}")
    visitor.page.get_by_role("link", name=BADGE).click()
    placed = visitor.page.frame_locator("#tool")
    placed.get_by_role("heading", name="Earned").wait_for()
    assert placed.get_by_text(BADGE).count() > 0


def test_everything_can_be_done_by_keyboard(visitor: Visitor) -> None:
    tool = visitor.open_tool(TEACHER)
    add = tool.get_by_role("button", name="Add a badge")
    add.wait_for()
    add.focus()
    visitor.page.keyboard.press("Enter")
    source = tool.locator("select[name=source-1]")
    source.wait_for()
    tool.locator("main:focus").wait_for()  # the page hands the keyboard to what it opened
    for _ in range(20):
        visitor.page.keyboard.press("Tab")
        if source.evaluate("e => e === document.activeElement"):
            break
    visitor.page.keyboard.type("Midterm")
    tool.get_by_text("learners would get the badge now").wait_for()
    visitor.page.keyboard.press("Tab")
    assert tool.locator("input[name=percent-1]").evaluate("e => e === document.activeElement")


def test_each_condition_asks_only_for_what_it_needs(visitor: Visitor) -> None:
    tool = visitor.open_tool(TEACHER)
    tool.get_by_role("button", name="Add a badge").click()
    source, percent = tool.locator("select[name=source-1]"), tool.locator("input[name=percent-1]")
    for item, asks in (
        ("Midterm (of 50)", True),
        ("Course completed", False),
        ("Group “Morning”", False),
        ("Course grade", True),
    ):
        source.select_option(label=item)
        assert percent.is_visible() is asks, item
        assert not tool.locator("input[name=marks-1]").is_visible(), item


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_screen(
    chromium: Browser, campus: str, width: int, scheme: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    guest = Visitor(context, campus)
    for sub in (TEACHER, BEN):
        tool = guest.open_tool(sub)
        tool.locator("#main section").first.wait_for()
        wide = tool.locator("html").evaluate("e => e.scrollWidth - e.clientWidth")
        assert wide <= 0, (sub, wide)
    tool = guest.open_tool(TEACHER)
    tool.get_by_role("button", name="Add a badge").click()
    tool.locator("details.more > summary").click()
    wide = tool.locator("html").evaluate("e => e.scrollWidth - e.clientWidth")
    assert wide <= 0, ("the rule, everything open", wide)
    folder = os.environ.get("PICTURES")
    if folder:
        guest.page.screenshot(path=str(Path(folder) / f"{width}-{scheme}.png"), full_page=True)
    assert guest.complaints == []
    context.close()


def without_cookies(visitor: Visitor) -> None:
    """A browser that keeps no cookie of the tool at all."""

    def strip(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        headers = {k: v for k, v in answer.headers.items() if k.lower() != "set-cookie"}
        route.fulfill(response=answer, headers=headers)

    def step(route: Route) -> None:
        # A route never sees what a redirect leads to; a page that goes there is a new request.
        target = json.dumps(route.fetch(max_redirects=0).headers["location"])
        page = f"<script>location.replace({target})</script>"
        route.fulfill(status=200, content_type="text/html", body=page)

    visitor.page.context.route("**/launch?*", step)
    visitor.page.context.route("**/lti/login*", strip)


@pytest.mark.parametrize("kind", ["canvas", "brightspace"])
def test_the_steps_on_the_first_page_lead_to_a_badge_in_each_demo(
    chromium: Browser, tmp_path: Path, kind: str
) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    with demo(tmp_path, kind) as lms:
        visitor = Visitor(context, lms)
        page = visitor.page
        page.goto(lms)
        steps = page.locator(".steps li")
        words = " ".join(steps.all_inner_texts())
        asked = re.search(r"(\w[\w ]+) at least (\d+) %", words)
        points = re.search(r"(\d+) points in the (\w[\w ]+)", words)
        assert asked
        assert points
        assert asked[2] == "80"
        page.click(f"#be-{TEACHER}")
        page.click("#open-badges")
        tool = page.frame_locator("#tool")
        tool.get_by_role("button", name="Add a badge").click()
        tool.get_by_label("Name of the badge").fill("Statistics")
        tool.locator("select[name=source-1]").select_option(label=f"{asked[1].strip()} (of 50)")
        tool.get_by_text("learners would get the badge now").wait_for()
        tool.get_by_role("button", name="Start awarding").click()
        tool.locator(".pill.issued", has_text="issued").wait_for()
        page.click("#open-gradebook")
        page.fill(f"#row-{BEN} input[name=score-13]", points[1])
        page.click(f"#row-{BEN} button")
        page.get_by_text("Saved.").wait_for()
        mine = visitor.open_tool(BEN)
        mine.get_by_role("link", name="See it verified").wait_for()
        context.close()  # before the demo ends: open pages go on asking
    assert not visitor.complaints


def test_platform_storage_opens_the_tool_where_no_cookie_is_kept(
    chromium: Browser, tmp_path: Path
) -> None:
    with demo(tmp_path, "canvas") as lms:
        context = chromium.new_context()
        guest = Visitor(context, lms)
        without_cookies(guest)
        tool = guest.open_tool(TEACHER)
        tool.get_by_text("Badges of this course").wait_for()
        assert guest.complaints == []
        context.close()

        # A full window, or an app's own view: nobody is there to ask, and cookies are our own.
        context = chromium.new_context(viewport={"width": 390, "height": 844})
        alone = Visitor(context, lms)
        alone.page.goto(f"{lms}/launch?course=2&person={TEACHER}&link=main")
        alone.page.get_by_text("Badges of this course").wait_for()
        assert alone.complaints == []
        context.close()


def test_one_click_opens_a_window_where_nothing_is_kept(chromium: Browser, campus: str) -> None:
    context = chromium.new_context()
    guest = Visitor(context, campus)
    without_cookies(guest)
    frame = guest.open_tool(TEACHER)
    with context.expect_page() as opened:
        frame.get_by_role("button", name="Open in a new window as Ada Lindqvist").click()
    opened.value.get_by_role("button", name="Continue as Ada Lindqvist").click()
    opened.value.get_by_text("Badges of this course").wait_for()
    opened.value.get_by_role("button", name="Learners").click()
    opened.value.get_by_role("button", name="Ben Carter").wait_for()
    assert len(context.pages) == 2
    context.close()


def test_a_page_that_frames_our_launch_logs_nobody_in(chromium: Browser, tmp_path: Path) -> None:
    """Login CSRF: another site begins a login of its own, answers for platform storage, and shows
    the launch in a frame."""
    with demo(tmp_path, "canvas") as lms, closing(httpx.Client()) as attacker:
        page = attacker.get(
            f"{lms}/launch",
            params={"course": "2", "person": TEACHER, "link": "main"},
            follow_redirects=True,
        ).text
        secret = html.unescape(re.findall(r'data-value="([^"]+)"', page)[0])
        posted = attacker.get(html.unescape(re.findall(r'data-next="([^"]+)"', page)[0])).text
        action = html.unescape(re.findall(r'action="([^"]+)"', posted)[0])
        fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', posted)
        answering = """onmessage = (e) => e.source.postMessage({
            subject: e.data.subject + ".response", message_id: e.data.message_id,
            key: e.data.key, value: SECRET}, "*")"""
        evil = f"""<script>{answering.replace("SECRET", json.dumps(secret))}</script>
            <iframe name="victim" id="tool"></iframe>
            <form method="post" action="{action}" target="victim">
            {"".join(f'<input name="{name}" value="{value}">' for name, value in fields)}</form>
            <script>document.forms[0].submit()</script>"""
        context = chromium.new_context()
        victim = context.new_page()
        victim.route(
            "https://evil.example/",
            lambda route: route.fulfill(content_type="text/html", body=evil),
        )
        with victim.expect_response(lambda answer: answer.url.endswith("/lti/launch")):
            victim.goto("https://evil.example/")
        victim.wait_for_timeout(2500)  # longer than the page waits for platform storage
        shown = [frame.content() for frame in victim.frames[1:]]
        assert all("Badges of this course" not in each for each in shown)
        assert all("Ada Lindqvist" not in each for each in shown)
        context.close()


def test_a_click_made_before_the_scripts_arrived_is_not_lost(
    chromium: Browser, campus: str
) -> None:
    context = chromium.new_context()
    guest = Visitor(context, campus)

    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    context.route("**/htmx.min.js*", hold)
    guest.page.goto(f"{campus}/courses/2/tool?as={TEACHER}", wait_until="commit")
    tool = guest.page.frame_locator("#tool")
    tool.get_by_text("Badges of this course").wait_for()
    tool.get_by_role("button", name="Learners").click()
    held[0].continue_()
    tool.get_by_role("button", name="Ben Carter").wait_for()
    assert guest.complaints == []
    context.close()
