"""A backend that was refused, paused or cut off: all that waits is sent once it works again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from lti_badges.awarding.manual import retry, revoke
from lti_badges.catalogue.configuration import save_backend
from lti_badges.core import clock
from lti_badges.delivery.claims import LEASE, REST, claim, due_awards, recover, renew
from lti_badges.delivery.deliver import deliver, deliver_due
from lti_badges.ledger.backend_pauses import resume_backend
from lti_badges.queries.admin import overview, retry_backend
from lti_badges.store import Award, BackendRow, State
from tests.delivery.test_exactly_once import assert_each_has_one, begin
from tests.support.badgr_server import PAGE, TOKENS, BadgrServer
from tests.support.campus import Campus

LONGEST_WAIT = timedelta(minutes=4)


@pytest.fixture
def badgr() -> Iterator[BadgrServer]:
    """A running server."""
    with BadgrServer().running() as server:
        yield server


@pytest.fixture
def traveller() -> Iterator[time_machine.Traveller]:
    """A clock that tests can move forward."""
    with time_machine.travel(clock.now(), tick=True) as moved:
        yield moved


def row(campus: Campus) -> BackendRow:
    with campus.context.sessions() as session:
        return session.scalars(select(BackendRow).where(BackendRow.kind == "badgr")).one()


def by_resuming(campus: Campus) -> None:
    with campus.context.sessions.begin() as session:
        resume_backend(session, session.get_one(BackendRow, row(campus).id))


def by_retrying_one(campus: Campus) -> None:
    waiting = next(a for a in campus.awards() if a.state == "pending")
    retry(campus.context, [waiting.id], by="Ada")


def by_saving_settings(campus: Campus) -> None:
    kept = row(campus)
    save_backend(campus.context, kept.name, "badgr", kept.settings, TOKENS_GIVEN)


def by_retrying_the_backend(campus: Campus) -> None:
    retry_backend(campus.context, row(campus).id, by="Ada")


TOKENS_GIVEN = {"password": TOKENS["password"]}


def refuse(campus: Campus, badgr: BadgrServer) -> None:
    """One award issued and now revoking, one unknown, the others pending; the login is refused."""
    begin(campus, badgr)
    first, second = due_awards(campus.context)[:2]
    deliver(campus.context, first)
    badgr.faults = ["after-drop"]
    deliver(campus.context, second)
    badgr.faults = []
    revoke(campus.context, first, reason="A mistake", by="Ada")
    badgr.refuse_login = True
    badgr.tokens.clear()
    with campus.context.sessions.begin() as session:
        session.get_one(BackendRow, row(campus).id).secrets = campus.context.cipher.seal(
            TOKENS_GIVEN
        )
    deliver_due(campus.context)
    assert row(campus).paused_until is not None


@pytest.mark.parametrize(
    "mend", [by_resuming, by_retrying_one, by_saving_settings, by_retrying_the_backend]
)
def test_every_way_of_mending_a_backend_releases_all_its_awards(
    campus: Campus,
    badgr: BadgrServer,
    traveller: time_machine.Traveller,
    mend: Callable[[Campus], None],
) -> None:
    refuse(campus, badgr)
    states = {award.state for award in campus.awards()}
    assert states == {"pending", "unknown", "revoking"}
    told = {(each.state, each.count) for each in overview(campus.context).troubles}
    assert {state for state, _ in told} == states
    assert sum(count for _, count in told) == len(campus.awards())
    badgr.refuse_login = False
    mend(campus)
    traveller.shift(REST + timedelta(seconds=1))
    deliver_due(campus.context)
    assert {award.state for award in campus.awards()} == {"issued", "revoked"}
    assert overview(campus.context).troubles == ()


def test_a_retry_never_skips_the_rest_of_a_lost_answer(
    campus: Campus, badgr: BadgrServer, traveller: time_machine.Traveller
) -> None:
    begin(campus, badgr)
    award_id = due_awards(campus.context)[0]
    badgr.faults = ["before-drop"]
    assert deliver(campus.context, award_id) is State.UNKNOWN
    calls = badgr.calls["GET assertions"]
    retry(campus.context, [award_id], by="Ada")
    retry(campus.context, by="Ada")
    assert deliver(campus.context, award_id) is None
    assert badgr.calls["GET assertions"] == calls
    traveller.shift(REST + timedelta(seconds=1))
    assert deliver(campus.context, award_id) is State.ISSUED


def test_a_look_up_that_outlives_its_lease_sends_nothing(
    campus: Campus, badgr: BadgrServer, traveller: time_machine.Traveller
) -> None:
    begin(campus, badgr)
    award_id = due_awards(campus.context)[0]
    badgr.faults = ["before-drop"]
    assert deliver(campus.context, award_id) is State.UNKNOWN
    traveller.shift(REST + timedelta(seconds=1))
    badgr.on_find = lambda: traveller.shift(LEASE + timedelta(seconds=1))
    sent = badgr.calls["POST assertions"]
    assert deliver(campus.context, award_id) is None
    badgr.on_find = None
    assert badgr.calls["POST assertions"] == sent
    recover(campus.context)
    traveller.shift(REST + timedelta(seconds=1))
    while deliver_due(campus.context):
        pass
    assert_each_has_one(campus, badgr)


def test_a_look_up_that_pages_past_its_lease_gives_up(
    campus: Campus, badgr: BadgrServer, traveller: time_machine.Traveller
) -> None:
    begin(campus, badgr)
    award_id = due_awards(campus.context)[0]
    badgr.faults = ["after-drop"]
    assert deliver(campus.context, award_id) is State.UNKNOWN
    (ours,) = badgr.assertions
    others = [{**ours, "entityId": f"E{n}", "evidence": []} for n in range(30 * PAGE)]
    badgr.assertions[:0] = others
    traveller.shift(REST + timedelta(seconds=1))
    badgr.on_find = lambda: traveller.shift(timedelta(seconds=25))
    asked, sent = badgr.calls["GET assertions"], badgr.calls["POST assertions"]
    assert deliver(campus.context, award_id) is State.UNKNOWN
    assert badgr.calls["GET assertions"] - asked <= LEASE.total_seconds() / 25
    assert badgr.calls["POST assertions"] == sent
    told = next(award.error for award in campus.awards() if award.id == award_id)
    assert "no end in time" in (told or "")
    badgr.on_find = None
    traveller.shift(timedelta(minutes=10))
    assert deliver(campus.context, award_id) is State.ISSUED
    assert badgr.calls["POST assertions"] == sent


def test_a_claim_that_another_took_is_not_renewed(campus: Campus, badgr: BadgrServer) -> None:
    begin(campus, badgr)
    taken = claim(campus.context, due_awards(campus.context)[0])
    assert taken is not None
    assert renew(campus.context, taken)
    with campus.context.sessions.begin() as session:
        session.get_one(Award, taken.award_id).claim = "another"
    assert not renew(campus.context, taken)


def test_the_longest_wait_after_a_kill_is_minutes(
    campus: Campus, badgr: BadgrServer, traveller: time_machine.Traveller
) -> None:
    begin(campus, badgr)
    award_id = due_awards(campus.context)[0]
    for _ in range(8):  # killed again and again
        began = clock.now()
        assert claim(campus.context, award_id) is not None
        traveller.shift(LEASE + timedelta(seconds=1))
        recover(campus.context)
        with campus.context.sessions() as session:
            due = session.get_one(Award, award_id).next_attempt_at
        assert due is not None
        assert due - began < LONGEST_WAIT
        traveller.move_to(due + timedelta(seconds=1))
    assert deliver(campus.context, award_id) is State.ISSUED


def test_a_mistake_of_ours_leaves_the_award_to_be_looked_up(
    lite: Campus, badgr: BadgrServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(lite, badgr)
    award_id = due_awards(lite.context)[0]

    def odd(*_: object) -> None:
        raise TypeError("unhashable type: 'list'")

    with monkeypatch.context() as patched:
        patched.setattr("lti_badges.backends.badgr.Badgr.issue", odd)
        assert deliver(lite.context, award_id) is State.UNKNOWN
    with lite.context.sessions() as session:
        award = session.get_one(Award, award_id)
    assert award.lease_until is None
    assert "looked up" in (award.error or "")
