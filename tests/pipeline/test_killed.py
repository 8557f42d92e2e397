"""kill -9 at any moment of a sync or delivery: after a restart each learner has exactly one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction

import pytest
from sqlalchemy import func, select

from lti_badges.sandbox import Person
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import Award, Delivery, IssuedCredential
from tests.support.campus import Campus

LEARNERS = 1000


@pytest.mark.slow
def test_a_thousand_awards_survive_being_killed_again_and_again(
    campus: Campus, settings: Settings
) -> None:
    _fill(campus, LEARNERS)
    campus.rule()
    chance = random.Random(1)
    for _ in range(6):
        worker = _worker(settings)
        time.sleep(chance.uniform(1.0, 2.2))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    worker = _worker(settings)
    try:
        _until_all_issued(campus, len(campus.expected()))
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    with campus.context.sessions() as session:
        states = Counter(session.scalars(select(Award.state)))
        signed = session.scalar(select(func.count()).select_from(IssuedCredential))
        members = list(session.scalars(select(Award.member_id)))
    assert states == {"issued": len(campus.expected())}
    assert signed == len(campus.expected())
    assert len(set(members)) == len(members)
    assert campus.winners() == campus.expected()


def _fill(campus: Campus, count: int) -> None:
    course = campus.world.courses[COURSE]
    for number in range(1000, 1000 + count):
        sub = str(number)
        campus.world.people[sub] = Person(sub, "Learner", str(number), f"l{number}@example.org")
        course.members.append(sub)
        course.items[QUIZ].scores[sub] = Fraction(45)
    campus.world.page_size = 200


def _worker(settings: Settings) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_QUEUE_URL": settings.queue_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "lti_badges", "worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _until_all_issued(campus: Campus, count: int) -> None:
    """Waits as long as there is progress: a slow machine is no failure, a standstill is."""
    done, moved = 0, time.monotonic()
    while time.monotonic() - moved < 120:
        with campus.context.sessions() as session:
            now = session.scalar(
                select(func.count()).select_from(Award).where(Award.state == "issued")
            )
        if now == count:
            return
        if now != done:
            done, moved = now or 0, time.monotonic()
        time.sleep(0.5)
    with campus.context.sessions() as session:
        stuck = [
            f"{a.state} {a.claim} lease {a.lease_until} next {a.next_attempt_at} {a.error}"
            for a in session.scalars(select(Award).where(Award.state != "issued").limit(5))
        ]
        locks = [f"{x.key} {x.claim} {x.lease_until}" for x in session.scalars(select(Delivery))]
    raise AssertionError(f"{done} of {count} were issued; left: {stuck}; locks: {locks[:5]}")
