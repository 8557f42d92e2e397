"""Many at the same moment, and what nobody foresaw."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from lti_badges.courses.launch_intake import note_launch
from lti_badges.lti.claims import Context, Launch, Link, MessageType
from lti_badges.lti.launches import LaunchServices
from lti_badges.lti.launches import _deployment as noted_deployment
from lti_badges.pipeline import sync_course
from lti_badges.store import Course, CourseMember, Deployment, Platform, ResourceLink
from lti_badges.values.course import MEMBERSHIP
from tests.support.campus import TEACHER, Campus

FIRST_LAUNCHES = 80


def launch(deployment: str, sub: str) -> Launch:
    return Launch(
        message=MessageType.RESOURCE_LINK,
        deployment_id=deployment,
        sub=sub,
        roles=frozenset({f"{MEMBERSHIP}#Learner"}),
        target_link_uri="https://tool.example/lti/launch",
        context=Context("new"),
        link=Link("link"),
    )


def test_first_launches_of_many_deployments_at_once_all_arrive(campus: Campus) -> None:
    tool = campus.context
    campus.course_id()
    with tool.sessions.begin() as session:
        platform = session.scalars(select(Platform)).one()
        platform.trust_all_deployments = True
    services = LaunchServices(tool.sessions, tool.cipher, tool.key_sets, tool.settings.base_url)

    def arrive(number: int) -> str | None:
        came = launch(f"d{number % 4}", f"s{number % 8}")
        return note_launch(tool, came, noted_deployment(services, platform, came)[0]).member_id

    with ThreadPoolExecutor(16) as pool:
        arrived = list(pool.map(arrive, range(FIRST_LAUNCHES)))
    assert all(arrived)
    with tool.sessions() as session:
        new = select(Course.id).where(Course.context_id == "new")

        def count(model: type, *where: object) -> int:
            return session.scalar(select(func.count()).select_from(model).where(*where)) or 0  # type: ignore[arg-type]

        assert count(Deployment, Deployment.deployment_id.like("d%")) == 4
        assert count(Course, Course.context_id == "new") == 4
        assert count(CourseMember, CourseMember.course_id.in_(new)) == 8
        assert count(ResourceLink, ResourceLink.course_id.in_(new)) == 4


def test_a_mistake_of_ours_in_a_reading_is_seen(
    campus: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    course_id = campus.course_id()
    campus.sync()

    def odd(*_: object, **__: object) -> None:
        raise TypeError("an odd value")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr("lti_badges.courses.read.store_gradables", odd)
        report = sync_course(campus.context, course_id)
    assert any("unforeseen" in error for error in report.errors)
    with campus.context.sessions() as session:
        course = session.get_one(Course, course_id)
    assert "TypeError" in (course.sync_error or "")
    assert (course.sync_failures, course.sync_crashes) == (1, 1)
    assert course.sync_lease_until is None
    assert [each["event"] for each in logs if each["log_level"] == "error"] == [
        "reading_unforeseen"
    ]
    metrics = campus.client.get(f"{campus.tool}/metrics").text
    assert "lti_badges_readings_crashed 1.0" in metrics
    assert campus.sync().errors == []


def test_read_now_says_when_another_worker_reads_already(campus: Campus) -> None:
    from lti_badges.courses.read import CourseReading

    course_id = campus.course_id()
    reading = CourseReading.start(campus.context, course_id)
    assert reading is not None
    reading._members()
    reading._gradables()
    page = campus.enter(TEACHER).text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    if not token:
        token = page.partition("Bearer ")[2].partition('"')[0].partition("&")[0]
    headers = {"Authorization": f"Bearer {token}"}
    answer = campus.client.post(f"{campus.tool}/course/sync", headers=headers).text
    assert "is being read already" in answer
    assert "30 members so far" in answer
    reading.finish(None)
    answer = campus.client.post(f"{campus.tool}/course/sync", headers=headers).text
    assert "The course was read: 30 members" in answer
    assert "so far" not in answer


def test_an_award_that_waits_for_a_name_goes_on_with_it(campus: Campus) -> None:
    campus.rule()
    campus.grade("5", 50)
    campus.sync()
    with campus.context.sessions.begin() as session:
        row = session.scalars(select(CourseMember).where(CourseMember.sub == "5")).one()
        row.name = None
        from lti_badges.store import Award

        award = session.scalars(select(Award).where(Award.member_id == row.id)).one()
        award.state = "needs_recipient"
    campus.world.people["5"] = replace(campus.world.people["5"], given="Benjamin")
    campus.sync()
    assert campus.award_of("5").state == "pending"
    assert campus.award_of("5").recipient["name"] == "Benjamin Carter"
