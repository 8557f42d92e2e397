"""When a course is read next: often while it is active, rarely when it is dormant."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from lti_badges.core import clock
from lti_badges.core.backoff import wait_after
from lti_badges.store import Course

WATCHED, ACTIVE, RECENT = timedelta(minutes=20), timedelta(days=1), timedelta(days=14)
LEAST = timedelta(seconds=5)
# A sync that costs the LMS a second is repeated every twenty at most, while somebody watches.
WATCHED_FACTOR = 20
EVERY_ACTIVE, EVERY_RECENT, EVERY_DORMANT = (
    timedelta(minutes=5),
    timedelta(hours=1),
    timedelta(days=1),
)
FIRST_RETRY, LAST_RETRY = timedelta(seconds=20), timedelta(hours=1)


def interval(course: Course, now: datetime) -> timedelta:
    """How long until the next reading, by how recently anybody came or anything changed."""
    last = max(
        (moment for moment in (course.last_launch_at, course.last_change_at) if moment),
        default=None,
    )
    if course.concluded or last is None or now - last > RECENT:
        return EVERY_DORMANT
    if now - last > ACTIVE:
        return EVERY_RECENT
    if course.last_launch_at and now - course.last_launch_at <= WATCHED:
        cost = timedelta(seconds=WATCHED_FACTOR * (course.sync_seconds or 0.0))
        return min(max(LEAST, cost), EVERY_ACTIVE)
    return EVERY_ACTIVE


def plan_next(course: Course) -> datetime:
    """After a sync that worked; with jitter, so that courses do not march in step."""
    now = clock.now()
    return now + interval(course, now) * random.uniform(0.9, 1.1)  # noqa: S311


def plan_after_failure(course: Course, retry_after: float | None) -> datetime:
    """Exponential back-off with jitter, never before the time the LMS named."""
    if course.concluded:
        return clock.now() + EVERY_DORMANT
    failures = course.sync_failures
    return clock.now() + wait_after(failures, FIRST_RETRY, LAST_RETRY, retry_after=retry_after)


def or_as_asked(course: Course, planned: datetime, earliest: datetime) -> datetime | None:
    """When a course is read next, at the end of a reading: as planned, or sooner if that was asked
    for meanwhile, but never before the time that the LMS or its quota names. None if the course was
    taken out of service meanwhile."""
    asked = course.next_sync_at
    if asked is None:
        return None
    return max(planned if asked == course.sync_started_at else min(planned, asked), earliest)
