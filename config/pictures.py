"""New pictures for README and docs: drives the demo in Chromium and photographs it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import FrameLocator, Page, sync_playwright

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PORT = 5600


def main() -> None:
    """Write docs/images/*.png."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    demo = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "lti_badges", "demo", "--port", str(PORT)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in demo.stdout or ():
            if "Nothing is kept" in line:
                break
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            context = browser.new_context(
                viewport={"width": 1180, "height": 900}, device_scale_factor=1.5
            )
            photograph(context.new_page(), f"http://localhost:{PORT + 1}")
            browser.close()
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait()


def photograph(page: Page, lms: str) -> None:
    """The instructor's rule with its preview, the learner's page, the public page."""
    tool = open_tool(page, lms, "3")
    tool.get_by_role("button", name="Add a badge").click()
    tool.get_by_label("Name of the badge").fill("Statistics with distinction")
    tool.locator("select[name=source-1]").select_option(label="Final quiz (of 50)")
    tool.get_by_text("of 29 learners would get the badge now").wait_for()
    page.set_viewport_size({"width": 1180, "height": 1400})  # what is below is not painted
    page.wait_for_timeout(600)
    page.screenshot(path=str(IMAGES / "instructor.png"), full_page=True)
    page.set_viewport_size({"width": 1180, "height": 900})
    tool.get_by_role("button", name="Start awarding").click()
    tool.locator(".pill.issued").wait_for(timeout=30_000)
    tool.get_by_role("button", name="Learners").click()
    tool.get_by_role("button", name=re.compile("Mei Lin")).wait_for()
    mine = open_tool(page, lms, "16")
    link = mine.get_by_role("link", name="See it verified")
    link.wait_for()
    page.wait_for_timeout(400)
    page.screenshot(path=str(IMAGES / "learner.png"))
    page.goto(link.get_attribute("href") or "")
    page.get_by_role("heading", name="This credential is valid").wait_for()
    page.screenshot(path=str(IMAGES / "credential.png"))


def open_tool(page: Page, lms: str, sub: str) -> FrameLocator:
    """The tool in the LMS's frame, as one person."""
    page.goto(f"{lms}/courses/2/tool?as={sub}")
    return page.frame_locator("#tool")


if __name__ == "__main__":
    main()
