"""How many calls of an LMS's own API a course takes, and when it can afford its next reading.

A course may hold three tenths of its daily number for busy minutes; the rest comes back evenly
through the day. So no day of 24 hours takes more of background readings than the number, and
whoever opens the tool is read at once, on account of the readings that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lti_badges.core import clock
from lti_badges.lms.calls import Calls
from lti_badges.store import Course

API_CALLS = "api_calls"
HELD = 0.3
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class CallsToday:
    """For the page: `made` today (UTC) of about `a_day`, and what the site named of its quota."""

    made: int
    a_day: int | None
    left: int | None
    limit: int | None


def note_calls(course: Course, calls: Calls, a_day: int | None) -> None:
    """Count the calls of a reading."""
    if not calls.made:
        return
    kept, now = course.settings.get(API_CALLS) or {}, clock.now()
    today = now.date().isoformat()
    before = kept.get("count", 0) if kept.get("day") == today else 0
    course.settings = {
        **course.settings,
        API_CALLS: {
            "day": today,
            "count": before + calls.made,
            "free": _free(course, a_day, now) - calls.made if a_day else 0,
            "at": clock.iso(now),
            "left": kept.get("left") if calls.left is None else calls.left,
            "limit": calls.limit or kept.get("limit"),
        },
    }


def affordable_at(course: Course, cost: int, a_day: int | None) -> datetime:
    """When a reading of so many calls fits into the course's share."""
    now = clock.now()
    if not a_day or not cost:
        return now
    short = min(cost, a_day * HELD) - _free(course, a_day, now)
    return now + timedelta(seconds=max(0.0, short / _rate(a_day)))


def calls_today(course: Course, a_day: int | None) -> CallsToday | None:
    """None where no such API was called today."""
    kept = course.settings.get(API_CALLS) or {}
    if kept.get("day") != clock.now().date().isoformat():
        return None
    return CallsToday(kept["count"], a_day, kept.get("left"), kept.get("limit"))


def _rate(a_day: int) -> float:
    return a_day * (1 - HELD) / DAY_S


def _free(course: Course, a_day: int | None, now: datetime) -> float:
    most = (a_day or 0) * HELD
    kept = course.settings.get(API_CALLS)
    if not kept or not a_day:
        return most
    passed = (now - clock.parse_iso(kept["at"])).total_seconds()
    return float(min(most, kept["free"] + max(0.0, passed) * _rate(a_day)))
