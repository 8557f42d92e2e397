"""The schedule with several processes: each due course is read once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from lti_badges.catalogue.platforms import remove_platform
from lti_badges.core import clock
from lti_badges.courses.read import CourseReading
from lti_badges.jobs.background import tick
from lti_badges.pipeline import sync_course
from lti_badges.store import Course, Platform
from tests.support.campus import Campus


def clones(campus: Campus, count: int) -> None:
    """Courses that the schedule reads once a day, all due now, in place of the demo's."""
    campus.world.page_size = 500  # a list of members is one call
    campus.course_id()
    with campus.context.sessions.begin() as session:
        course = session.scalars(select(Course)).one()
        course.next_sync_at = None
        for number in range(count):
            session.add(
                Course(
                    deployment_id=course.deployment_id,
                    institution_id=course.institution_id,
                    context_id=f"clone-{number}",
                    title="A clone",
                    memberships_url=course.memberships_url,
                    scopes=list(course.scopes),
                    custom={},
                    settings={},
                    next_sync_at=clock.now() - timedelta(minutes=1),
                )
            )


def still_due(campus: Campus) -> int:
    with campus.context.sessions() as session:
        due = Course.next_sync_at <= clock.now()
        return len(session.scalars(select(Course.id).where(due)).all())


def test_a_course_waits_in_the_queue_once(lite: Campus) -> None:
    clones(lite, 3)
    before = lite.queue.waiting()
    for _ in range(3):
        tick(lite.queue)
    assert lite.queue.waiting() == before + 3


def test_work_that_began_may_be_queued_again(lite: Campus) -> None:
    clones(lite, 1)
    tick(lite.queue)
    tasks = []
    while (task := lite.queue.huey.dequeue()) is not None:
        tasks.append(task)
    (due,) = [task for task in tasks if task.name == "due"]
    lite.queue.huey.execute(due)
    assert still_due(lite) == 0
    with lite.context.sessions.begin() as session:
        for course in session.scalars(select(Course).where(Course.context_id == "clone-0")):
            course.next_sync_at = clock.now()
    before = lite.queue.waiting()
    tick(lite.queue)
    assert lite.queue.waiting() == before + 1


def test_the_schedule_takes_a_course_only_while_it_is_due(campus: Campus) -> None:
    course_id = campus.course_id()
    with campus.context.sessions.begin() as session:
        session.get_one(Course, course_id).next_sync_at = clock.now() + timedelta(hours=1)
    assert sync_course(campus.context, course_id, only_due=True).skipped
    assert not sync_course(campus.context, course_id).skipped  # a person asked
    with campus.context.sessions.begin() as session:
        session.get_one(Course, course_id).next_sync_at = clock.now()
    assert CourseReading.start(campus.context, course_id, only_due=True) is not None


def read_while(campus: Campus, during: Callable[[], object]) -> datetime | None:
    """Reads the course; `during` happens once, while it is being read. Returns when the course is
    read next."""
    course_id = campus.course_id()
    did: list[object] = []

    def progress(_what: str, _count: int) -> None:
        if not did:
            did.append(during())

    sync_course(campus.context, course_id, progress)
    assert did
    with campus.context.sessions() as session:
        return session.get_one(Course, course_id).next_sync_at


def rest(campus: Campus, at: datetime | None) -> None:
    """Nobody watches the course, which is due at that time."""
    with campus.context.sessions.begin() as session:
        course = session.get_one(Course, campus.course_id())
        course.last_launch_at, course.next_sync_at = None, at


@pytest.mark.parametrize("due", [timedelta(0), timedelta(hours=1), None])
def test_a_rule_saved_during_a_reading_has_the_course_read_again_at_once(
    campus: Campus, due: timedelta | None
) -> None:
    quiz, badge = campus.quiz_at_least(80), campus.badge()
    rest(campus, None if due is None else clock.now() + due)
    following = read_while(campus, lambda: campus.rule(quiz, badge))
    assert following is not None
    assert following <= clock.now()


def test_nothing_asked_for_during_a_reading_leaves_its_plan_as_it_was(campus: Campus) -> None:
    for at in (clock.now(), clock.now() + timedelta(seconds=30)):
        rest(campus, at)
        following = read_while(campus, lambda: None)
        assert following is not None
        assert following > clock.now() + timedelta(minutes=2)


def test_a_reading_asked_for_during_one_that_fails_waits_as_long_as_the_lms_said(
    campus: Campus,
) -> None:
    quiz, badge = campus.quiz_at_least(80), campus.badge()
    campus.rule(quiz, badge)
    campus.world.faults.next("/", "429:600", times=1)
    rest(campus, clock.now())

    def after_the_members() -> None:
        campus.world.faults.next("/", "429:600", times=20)
        campus.rule(quiz, campus.badge("Another"))

    campus.world.faults.clear()
    following = read_while(campus, after_the_members)
    assert following is not None
    assert following > clock.now() + timedelta(seconds=500)


def test_a_course_taken_out_of_service_during_its_reading_is_not_read_again(lite: Campus) -> None:
    with lite.context.sessions() as session:
        platform_id = session.scalars(select(Platform.id)).one()
    lite.course_id()
    rest(lite, clock.now())
    following = read_while(
        lite,
        lambda: remove_platform(lite.context, platform_id, with_data=False, by="a test"),
    )
    assert following is None
