"""Leases: one holder at a time, ended by time or by a process that is known to be gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.delivery.claims import recover
from lti_badges.jobs.background import due_courses
from lti_badges.settings import Settings
from lti_badges.store import AuditEvent, Award, Course, Process, State
from lti_badges.store.leases import Heartbeat, LeaseTimeout, alone, give_back, new_claim, take
from tests.support.campus import Campus
from tests.support.serving import until

MINUTE = timedelta(minutes=1)


def test_of_many_at_once_one_gets_the_name(context: ToolContext) -> None:
    def try_it(_: int) -> bool:
        with context.sessions.begin() as session:
            return take(session, "a name", new_claim(), MINUTE)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_it, range(24))) == 1


def test_a_name_is_free_again_when_given_back_or_after_its_time(context: ToolContext) -> None:
    def taken(claim: str) -> bool:
        with context.sessions.begin() as session:
            return take(session, "a name", claim, MINUTE)

    first, second = new_claim(), new_claim()
    assert taken(first)
    assert not taken(second)
    with context.sessions.begin() as session:
        give_back(session, first)
    assert taken(second)
    assert not taken(first)
    with time_machine.travel(clock.now() + 2 * MINUTE):
        assert taken(first)


def test_a_block_under_a_name_waits_for_the_other(lite: Campus) -> None:
    sessions = lite.context.sessions
    with (
        alone(sessions, "a name", MINUTE, 1),
        pytest.raises(LeaseTimeout),
        alone(sessions, "a name", MINUTE, 0.3),
    ):
        raise AssertionError("two were in")
    entered = False
    with alone(sessions, "a name", MINUTE, 1):
        entered = True
    assert entered


def test_two_machines_of_one_name_are_told_apart() -> None:
    code = "from lti_badges.store.leases import new_claim; print(new_claim())"
    claims = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        .stdout.strip()
        .partition("|")[0]
        for _ in range(2)
    }
    assert len(claims) == 2
    assert not any(str(os.getpid()) == claim for claim in claims)


def test_a_fork_is_a_process_of_its_own() -> None:
    mine = new_claim().partition("|")[0]
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, new_claim().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(readable, 200).decode().partition("|")[0]
    assert theirs != mine


def beating(context: ToolContext) -> Heartbeat:
    """A heartbeat that has been steady for long enough to judge others."""
    heart = Heartbeat(context.sessions, beat_s=0.1, silent_for=timedelta(seconds=0.5))
    heart.start()
    time.sleep(0.6)
    return heart


def test_a_course_whose_reader_went_silent_is_due(lite: Campus) -> None:
    course_id = lite.course_id()
    heart = beating(lite.context)
    tool = replace(lite.context, heartbeat=heart)
    with tool.sessions.begin() as session:
        course = session.get_one(Course, course_id)
        course.next_sync_at = clock.now()
        course.sync_lease_until = clock.now() + timedelta(minutes=3)
        course.sync_token = new_claim()
    assert due_courses(tool) == []  # this process lives
    with tool.sessions.begin() as session:
        session.get_one(Course, course_id).sync_token = "stranger|x"
    assert due_courses(tool) == []  # never gave a sign of life: its time decides
    with tool.sessions.begin() as session:
        session.add(Process(id="stranger", alive_until=clock.now() + timedelta(seconds=1)))
    assert due_courses(tool) == []  # lives, on another machine
    until(lambda: due_courses(tool) == [course_id])
    heart.stop()


def test_nobody_is_called_gone_by_one_who_was_away_itself(lite: Campus) -> None:
    heart = Heartbeat(lite.context.sessions, beat_s=0.1, silent_for=timedelta(seconds=1))
    with lite.context.sessions.begin() as session:
        session.add(Process(id="other", alive_until=clock.now() - timedelta(seconds=1)))
    assert heart.gone() == frozenset()
    heart.start()
    assert heart.gone() == frozenset()
    until(lambda: heart.gone() == {"other"})
    heart.stop()


def test_a_killed_workers_awards_are_taken_over_within_a_minute(
    campus: Campus, settings: Settings
) -> None:
    campus.rule()
    campus.sync()
    environment = os.environ | {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_QUEUE_URL": settings.queue_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }
    worker = subprocess.Popen([sys.executable, "-m", "lti_badges", "worker"], env=environment)
    sessions = campus.context.sessions
    try:
        until(lambda: _count(campus) == 1)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    with sessions.begin() as session:
        gone = session.scalars(select(Process)).one()
        award = session.scalars(select(Award)).first()
        assert award is not None
        award.state, award.claim = State.SENDING.value, f"{gone.id}|x"
        award.lease_until = clock.now() + timedelta(minutes=5)
        gone.alive_until = clock.now() + timedelta(seconds=1)
    heart = beating(campus.context)
    tool = replace(campus.context, heartbeat=heart)
    until(lambda: recover(tool) == 1)
    heart.stop()
    with sessions() as session:
        assert session.get_one(Award, award.id).state == State.UNKNOWN
        why = [event.detail.get("why") for event in session.scalars(select(AuditEvent))]
    assert "The worker that sent it is gone." in why


def _count(campus: Campus) -> int:
    with campus.context.sessions() as session:
        return len(session.scalars(select(Process)).all())
