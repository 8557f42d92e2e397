"""An LMS whose clock is some minutes off: launches are taken, and its services give tokens."""

from __future__ import annotations

import pytest

from lti_badges.lms import LMSES
from lti_badges.settings import Settings
from tests.support.campus import TEACHER, campus


@pytest.mark.parametrize("ahead_s", [-180, 180])
@pytest.mark.parametrize("lms", list(LMSES))
def test_three_minutes_are_no_hindrance(sqlite_settings: Settings, lms: str, ahead_s: int) -> None:
    with campus(sqlite_settings, lms) as here:
        here.world.vendor.skew_s = ahead_s
        here.world.vendor.token_life_s = 240
        opened = here.enter(TEACHER)
        assert opened.status_code == 200, opened.text
        report = here.sync()
        assert not report.errors
        assert report.members


def test_a_clock_that_is_far_off_is_told_as_such(sqlite_settings: Settings) -> None:
    with campus(sqlite_settings) as here:
        here.world.vendor.skew_s = 600
        opened = here.enter(TEACHER)
        assert opened.status_code >= 400
        assert "the clock of the LMS or of this tool is wrong" in opened.text
