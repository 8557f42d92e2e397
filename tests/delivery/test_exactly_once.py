"""Faults between us and a backend, at every step: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from lti_badges.awarding.manual import retry, revoke
from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.core import clock
from lti_badges.delivery.claims import claim, due_awards, recover
from lti_badges.delivery.deliver import deliver, deliver_due
from lti_badges.ledger.backend_pauses import UNTIL_A_PERSON_ACTS
from lti_badges.store import AuditEvent, Award, BackendRow, Delivery, State
from tests.support.badgr_server import TOKENS, BadgrServer
from tests.support.campus import Campus

BEN = "5"
FAULTS = [
    *(f"before-{kind}" for kind in ("drop", "500", "502", "429", "garbage", "empty", "401")),
    *(f"after-{kind}" for kind in ("drop", "500", "504", "garbage", "empty")),
    *(f"find-{kind}" for kind in ("drop", "500", "429", "garbage", "401")),
]
# A fresh token that is refused too is for a person to correct; all others pass by themselves.
PASSING = [fault for fault in FAULTS if not fault.endswith("-401")]


@pytest.fixture
def badgr() -> Iterator[BadgrServer]:
    """A running server."""
    with BadgrServer().running() as server:
        yield server


def use_badgr(campus: Campus, server: BadgrServer) -> str:
    """Make it the default backend, with one badge. Returns the badge's id."""
    with campus.context.sessions.begin() as session:
        for row in session.scalars(select(BackendRow)):
            row.is_default = False
        row = BackendRow(
            name="badgr",
            kind="badgr",
            is_default=True,
            settings={"url": server.base, "username": "a@b.example", "notify": "no"},
            secrets=campus.context.cipher.seal({"password": TOKENS["password"]}),
        )
        session.add(row)
        session.flush()
        backend_id = row.id
    return create_achievement(campus.context, backend_id, AchievementDraft("Stats", "d", "c"))


def settle(campus: Campus, rounds: int = 12) -> None:
    """Let time pass until nothing is due any more: retries, rests and pauses included."""
    for _ in range(rounds):
        recover(campus.context)
        deliver_due(campus.context)
        with campus.context.sessions() as session:
            waiting = list(
                session.scalars(select(Award.next_attempt_at).where(Award.state != "issued"))
            )
            paused = list(session.scalars(select(BackendRow.paused_until)))
        if not waiting:
            return
        moments = [each for each in (*waiting, *paused) if each]
        # What waits for a person waits for ever: only a test that acts for one may go on.
        assert UNTIL_A_PERSON_ACTS not in moments, "stopped until a person acts"
        traveller.move_to(max([clock.now(), *moments]) + timedelta(seconds=1))


traveller: time_machine.Traveller


@pytest.fixture(autouse=True)
def moving_time() -> Iterator[None]:
    """A clock that tests can move forward."""
    global traveller  # noqa: PLW0603
    with time_machine.travel(clock.now(), tick=True) as moved:
        traveller = moved
        yield


def begin(campus: Campus, server: BadgrServer) -> None:
    """A rule in force and its awards pending."""
    campus.rule(badge=use_badgr(campus, server))
    campus.grade("33", None)  # has no e-mail address, which Badgr needs
    campus.sync()


def assert_each_has_one(campus: Campus, server: BadgrServer) -> None:
    people = campus.world.people
    assert server.live() == {(people[sub].email or "").lower(): 1 for sub in campus.expected()}
    assert {award.state for award in campus.awards()} == {"issued"}
    refs = {each["entityId"] for each in server.assertions}
    assert {award.backend_ref for award in campus.awards()} == refs


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_of_each_kind(lite: Campus, badgr: BadgrServer, fault: str) -> None:
    begin(lite, badgr)
    # Nothing is looked up before something was sent.
    badgr.faults = ["after-500", fault] if fault.startswith("find-") else [fault]
    settle(lite)
    assert badgr.faults == []
    assert_each_has_one(lite, badgr)


def test_faults_on_postgresql_too(campus: Campus, badgr: BadgrServer) -> None:
    begin(campus, badgr)
    badgr.faults = ["after-500", "before-drop", "find-500", "after-drop", "before-429"]
    settle(campus, rounds=25)
    assert_each_has_one(campus, badgr)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(order=st.lists(st.sampled_from(PASSING), max_size=8))
def test_faults_in_any_order(lite: Campus, badgr: BadgrServer, order: list[str]) -> None:
    if not lite.awards():
        begin(lite, badgr)
    badgr.assertions.clear()
    with lite.context.sessions.begin() as session:
        for award in session.scalars(select(Award)):
            award.state, award.next_attempt_at = State.PENDING.value, clock.now()
            award.backend_ref, award.issued_at, award.attempts = None, None, 0
            award.sends = 1  # so that it is looked up first
        for row in session.scalars(select(BackendRow)):
            row.paused_until, row.failures = None, 0
    badgr.faults = list(order)
    settle(lite, rounds=60)
    badgr.faults = []
    settle(lite, rounds=60)
    assert_each_has_one(lite, badgr)


def test_two_workers_never_send_for_one_recipient_at_once(
    campus: Campus, badgr: BadgrServer
) -> None:
    begin(campus, badgr)
    badgr.delay = 0.05
    ids = due_awards(campus.context) * 3
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda award_id: deliver(campus.context, award_id), ids))
    settle(campus)
    assert badgr.most_at_once == 1
    assert badgr.logins == 1
    assert_each_has_one(campus, badgr)


def test_a_worker_that_vanished_while_sending_is_looked_up_first(
    campus: Campus, badgr: BadgrServer
) -> None:
    begin(campus, badgr)
    award_id = due_awards(campus.context)[0]
    taken = claim(campus.context, award_id)
    assert taken is not None
    from lti_badges.catalogue.issuance import backend_of

    backend_of(campus.context, taken.backend).issue(taken.issuance)  # stored, then killed
    assert deliver(campus.context, award_id) is None  # the lease holds
    traveller.shift(timedelta(minutes=6))
    assert recover(campus.context) == 1
    with campus.context.sessions() as session:
        assert session.get_one(Award, award_id).state == "unknown"
        assert session.scalars(select(Delivery)).all() == []
    settle(campus)
    assert_each_has_one(campus, badgr)


def test_a_late_worker_does_not_overwrite_what_recovery_found(
    campus: Campus, badgr: BadgrServer
) -> None:
    begin(campus, badgr)
    from lti_badges.delivery.claims import held

    award_id = due_awards(campus.context)[0]
    taken = claim(campus.context, award_id)
    assert taken is not None
    traveller.shift(timedelta(minutes=6))
    recover(campus.context)
    with campus.context.sessions.begin() as session:
        assert held(session, taken) is None


def test_a_refusal_waits_for_a_person_and_goes_on_by_one_click(
    lite: Campus, badgr: BadgrServer
) -> None:
    begin(lite, badgr)
    badgr.faults = ["before-refused"]
    settle(lite, rounds=3)
    rejected = [award for award in lite.awards() if award.state == "rejected"]
    assert len(rejected) == 1
    assert "Issuer is not verified." in (rejected[0].error or "")
    retry(lite.context, by="Ada")
    settle(lite)
    assert_each_has_one(lite, badgr)


def test_wrong_credentials_stop_all_awards_at_once_until_a_person_acts(
    lite: Campus, badgr: BadgrServer
) -> None:
    begin(lite, badgr)
    deliver_due(lite.context)  # those whose address is known are issued; now the password changes
    lite.grade("5", 50)
    lite.grade("8", 50)
    lite.sync()
    badgr.refuse_login = True
    badgr.tokens.clear()
    logins, sent = badgr.logins, badgr.calls["POST assertions"]
    waiting = len(due_awards(lite.context))
    assert waiting == 2
    for _ in range(3):
        deliver_due(lite.context)
    assert badgr.logins - logins == 1
    assert badgr.calls["POST assertions"] == sent
    with lite.context.sessions() as session:
        row = session.scalars(select(BackendRow).where(BackendRow.kind == "badgr")).one()
    assert "Invalid login" in (row.error or "")
    assert row.paused_until == UNTIL_A_PERSON_ACTS
    # Time alone changes nothing, and nothing is tried meanwhile.
    for _ in range(3):
        traveller.shift(timedelta(days=1))
        recover(lite.context)
        assert due_awards(lite.context) == []
        deliver_due(lite.context)
    assert badgr.logins - logins == 1
    assert sum(award.state != "issued" for award in lite.awards()) == waiting
    badgr.refuse_login = False
    retry(lite.context, by="Ada")
    settle(lite)
    assert_each_has_one(lite, badgr)


def test_retry_after_holds_all_awards_of_the_backend_back(lite: Campus, badgr: BadgrServer) -> None:
    begin(lite, badgr)
    badgr.faults = ["before-429"]
    deliver_due(lite.context)
    sent = badgr.calls["POST assertions"]
    assert sent == 1
    deliver_due(lite.context)
    assert badgr.calls["POST assertions"] == sent
    traveller.shift(timedelta(seconds=8))
    settle(lite)
    assert_each_has_one(lite, badgr)


def test_a_dead_backend_opens_the_circuit(lite: Campus, badgr: BadgrServer) -> None:
    begin(lite, badgr)
    badgr.faults = ["before-500"] * 50
    deliver_due(lite.context)
    assert badgr.calls["POST assertions"] == 5
    badgr.faults = []
    settle(lite)
    assert_each_has_one(lite, badgr)


def test_a_learner_without_an_address_waits_and_goes_on_when_it_is_known(
    lite: Campus, badgr: BadgrServer
) -> None:
    lite.rule(badge=use_badgr(lite, badgr))
    lite.grade("33", 50)
    lite.sync()
    deliver_due(lite.context)
    assert lite.award_of("33").state == "needs_recipient"
    import dataclasses

    person = lite.world.people["33"]
    lite.world.people["33"] = dataclasses.replace(person, email="Dara@Example.org")
    lite.sync()
    settle(lite)
    assert lite.award_of("33").state == "issued"
    assert len(badgr.of("dara@example.org")) == 1


def test_revocation_travels_and_is_repeated_safely(lite: Campus, badgr: BadgrServer) -> None:
    begin(lite, badgr)
    settle(lite)
    award = lite.awards()[0]
    revoke(lite.context, award.id, reason="A mistake", by="Ada")
    badgr.faults = []
    deliver_due(lite.context)
    with lite.context.sessions() as session:
        assert session.get_one(Award, award.id).state == "revoked"
        kinds = [
            event.detail["now"]
            for event in session.scalars(
                select(AuditEvent).where(
                    AuditEvent.award_id == award.id, AuditEvent.kind == "award_state"
                )
            )
        ]
    assert kinds == ["sending", "issued", "revoking", "revoked"]
    assert badgr.live()[award.recipient["email"].lower()] == 0
