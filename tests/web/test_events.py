"""Canvas Live Events: signed or refused, a hint to read the person they name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, jsonify

from lti_badges.core import clock
from lti_badges.courses.push import SOON
from lti_badges.pipeline import sync_course, sync_pushed_member
from lti_badges.settings import Settings
from lti_badges.store import Course, CourseMember, Deployment, Platform
from tests.support.campus import Campus, campus
from tests.support.serving import served

BEN, GUID, SHARD = "5", "Vic.canvas-lms", 21070000000000000


@pytest.fixture(scope="module")
def signer() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def canvas(sqlite_settings: Settings, signer: rsa.RSAPrivateKey) -> Iterator[Campus]:
    """A campus that shows all its columns, taken for a Canvas; `signer` signs its Live Events."""
    app = Flask("keys")
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signer.public_key()))
    published = public | {"kid": "k1", "alg": "RS256"}
    app.get("/jwks", endpoint="jwks")(lambda: jsonify(keys=[published]))
    with campus(sqlite_settings, "other", shows_all_columns=True) as made, served(app) as keys:
        made.rule()
        made.sync()
        with made.context.sessions.begin() as session:
            platform = session.query(Platform).one()
            platform.lms = "canvas"
            platform.connection = made.context.cipher.seal({"events_key_set": f"{keys}/jwks"})
            session.query(Deployment).one().guid = GUID
            session.query(Course).one().custom = {"canvas_course_id": "565"}
            ben = session.query(CourseMember).filter_by(sub=made.world.user_id(BEN)).one()
            ben.custom = {"canvas_user_id": "45"}
        yield made


def event(name: str = "grade_change", **body: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "event_name": name,
            "root_account_lti_guid": GUID,
            "context_type": "Course",
            "context_id": str(SHARD + 565),
        },
        "body": {"student_id": str(SHARD + 45), "score": 46} | body,
    }


def send(at: Campus, key: rsa.RSAPrivateKey, what: dict[str, Any], **header: str) -> int:
    token = jwt.encode(what, key, "RS256", headers={"kid": "k1"} | header)
    return at.client.post(
        f"{at.tool}/events/canvas", content=token, headers={"Content-Type": "application/jwt"}
    ).status_code


def due(at: Campus) -> Any:
    with at.context.sessions() as session:
        return session.query(Course.next_sync_at).scalar()


def queued(at: Campus) -> list[str]:
    """What the queue was told, taken as a worker would."""
    names = []
    while (task := at.queue.huey.dequeue()) is not None:
        names.append(task.name)
        if task.name == "member":
            sync_pushed_member(at.context, task.args[0])
    return names


def test_a_pushed_grade_is_read_and_awarded_without_a_sync(
    canvas: Campus, signer: rsa.RSAPrivateKey
) -> None:
    before = due(canvas)
    queued(canvas)
    canvas.grade(BEN, 46)
    assert send(canvas, signer, event()) == 200
    assert "member" in queued(canvas)
    assert canvas.world.user_id(BEN) in canvas.winners()
    assert due(canvas) <= before


@pytest.mark.parametrize("was_due", [True, False])
def test_an_event_during_a_reading_has_the_course_read_again_soon(
    canvas: Campus, signer: rsa.RSAPrivateKey, was_due: bool
) -> None:
    with canvas.context.sessions.begin() as session:
        course = session.query(Course).one()
        course.last_launch_at = None
        course.next_sync_at = clock.now() + timedelta(hours=0 if was_due else 1)
        course_id = course.id
    sent: list[int] = []

    def progress(_what: str, _count: int) -> None:
        if not sent:
            sent.append(send(canvas, signer, event()))

    sync_course(canvas.context, course_id, progress)
    assert sent == [200]
    assert clock.now() < due(canvas) <= clock.now() + SOON


def test_repeated_events_award_once(canvas: Campus, signer: rsa.RSAPrivateKey) -> None:
    canvas.grade(BEN, 46)
    for _ in range(3):
        assert send(canvas, signer, event()) == 200
    queued(canvas)
    mine = [a for a in canvas.awards() if a.recipient["lti_user_id"] == canvas.world.user_id(BEN)]
    assert len(mine) == 1


def test_what_the_event_says_is_never_taken_for_a_grade(
    canvas: Campus, signer: rsa.RSAPrivateKey
) -> None:
    canvas.grade(BEN, 3)
    assert send(canvas, signer, event(score=50)) == 200
    queued(canvas)
    assert canvas.world.user_id(BEN) not in canvas.winners()


@pytest.mark.parametrize("name", ["course_completed", "course_grade_change", "submission_updated"])
def test_each_telling_event_names_its_person(
    canvas: Campus, signer: rsa.RSAPrivateKey, name: str
) -> None:
    body = {
        "student_id": None,
        "user_id": str(SHARD + 45),
        "user": {"id": str(SHARD + 45)},
        "course": {"id": str(SHARD + 565)},
    }
    queued(canvas)
    assert send(canvas, signer, event(name, **body)) == 200
    assert queued(canvas) == ["member"]


def test_other_events_change_nothing(canvas: Campus, signer: rsa.RSAPrivateKey) -> None:
    queued(canvas)
    elsewhere = event()
    elsewhere["metadata"]["context_id"] = str(SHARD + 566)
    assert send(canvas, signer, elsewhere) == 200
    assert queued(canvas) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps(event()), 401),
        ("", 401),
        ("not.a.token", 400),
        ("a" * 200_000, 413),
    ],
)
def test_unsigned_and_malformed_events_are_refused(canvas: Campus, body: str, status: int) -> None:
    queued(canvas)
    answer = canvas.client.post(f"{canvas.tool}/events/canvas", content=body)
    assert answer.status_code == status
    assert queued(canvas) == []


def test_foreign_signatures_and_institutions_are_refused(
    canvas: Campus, signer: rsa.RSAPrivateKey
) -> None:
    queued(canvas)
    assert send(canvas, rsa.generate_private_key(65537, 2048), event()) == 400
    assert send(canvas, signer, event(), kid="k2") == 400
    foreign = event()
    foreign["metadata"]["root_account_lti_guid"] = "somebody-else"
    assert send(canvas, signer, foreign) == 400
    assert queued(canvas) == []
    assert canvas.client.post(f"{canvas.tool}/events/moodle", content="x").status_code == 404
