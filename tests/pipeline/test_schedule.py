"""The schedule with several processes: each due course is read once."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from lti_badges.core import clock
from lti_badges.courses.read import CourseReading
from lti_badges.jobs.background import tick
from lti_badges.pipeline import sync_course
from lti_badges.store import Course
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
