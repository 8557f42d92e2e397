"""What a learner sees: what they earned, what is missing, and how to show it."""

from __future__ import annotations

import re
from fractions import Fraction
from urllib.parse import parse_qs, urlsplit

from lti_badges.rules.judging import _points
from tests.support.campus import Campus

BEST, BEN = "16", "5"


def test_what_is_missing_is_said_exactly_and_drawn(lite: Campus) -> None:
    lite.rule()
    page = lite.enter(BEN).text

    assert "What you can earn" in page
    assert re.search(r"\d+ more points? in Final quiz\.", page)
    assert re.search(r'class="ring"[^>]*aria-label="Final quiz: \d+ % of the way"', page)


def test_an_earned_badge_can_be_shared(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    lite.deliver()
    page = lite.enter(BEST).text

    linkedin = re.search(r'href="(https://www\.linkedin\.com/[^"]+)"', page)
    assert linkedin
    asked = parse_qs(urlsplit(linkedin.group(1).replace("&amp;", "&")).query)
    assert asked["certUrl"][0].startswith(f"{lite.tool}/credentials/")
    assert asked["startTask"] == ["CERTIFICATION_NAME"]
    assert "<svg" in page.split('class="qr"')[1][:200]
    assert "&lt;a href=" in page  # the code for a web page, as text to copy


def test_one_point_is_not_points() -> None:

    assert _points(Fraction(1)) == "1 more point"
    assert _points(Fraction(3, 2)) == "1.5 more points"
