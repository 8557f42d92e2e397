"""The daily comparison with a backend: by its list where it has one, else award by award."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.core import clock
from lti_badges.delivery import reconcile as module
from lti_badges.delivery.reconcile import MISSING, due_for_reconciliation, reconcile
from lti_badges.jobs.background import housekeeping
from lti_badges.store import BackendRow
from tests.backends.test_contract import REMOTE, add
from tests.support.campus import Campus


class There:
    """A backend with awards of ours: what its owner may do to them."""

    def __init__(self, kind: str, server: Any, campus: Campus, backend_id: str) -> None:
        self.kind, self.server, self.campus, self.backend_id = kind, server, campus, backend_id

    @property
    def awards(self) -> list[dict[str, Any]]:
        found = self.server.assertions if self.kind == "badgr" else self.server.events.values()
        return list(found)

    def revoke(self, award: dict[str, Any]) -> None:
        award["revoked"] = True

    def delete(self, award: dict[str, Any]) -> None:
        if self.kind == "badgr":
            self.server.assertions.remove(award)
        else:
            del self.server.events[award["id"]]

    def row(self) -> BackendRow:
        with self.campus.context.sessions() as session:
            return session.get_one(BackendRow, self.backend_id)


@pytest.fixture(params=["badgr", "obf"])
def there(request: pytest.FixtureRequest, lite: Campus) -> Iterator[There]:
    kind = REMOTE[request.param]
    with kind.server().running() as server:
        backend_id = add(lite.context, kind, server.base)
        badge = create_achievement(lite.context, backend_id, AchievementDraft("Stats", "d", "c"))
        lite.rule(badge=badge)
        lite.sync()
        lite.deliver()
        assert {award.state for award in lite.awards()} == {"issued"}
        yield There(kind.kind, server, lite, backend_id)


def states(campus: Campus) -> dict[str, str]:
    return {award.id: award.state for award in campus.awards()}


def test_nothing_changes_where_all_is_well(there: There) -> None:
    before = states(there.campus)
    found = reconcile(there.campus.context, there.backend_id)
    assert (found.checked, found.revoked, found.missing) == (len(before), 0, 0)
    assert found.error is None
    assert states(there.campus) == before


def test_what_was_revoked_there_is_revoked_here_and_not_awarded_again(there: There) -> None:
    there.revoke(there.awards[0])
    found = reconcile(there.campus.context, there.backend_id)
    assert found.revoked == 1
    revoked = [award for award in there.campus.awards() if award.state == "revoked"]
    assert [award.revocation_reason for award in revoked] == ["Revoked at the badge backend"]
    there.campus.sync()
    there.campus.deliver()
    assert len(there.campus.awards()) == len(there.awards)


def test_what_was_deleted_there_is_shown_and_never_sent_again(there: There) -> None:
    lost = there.awards[0]
    there.delete(lost)
    assert reconcile(there.campus.context, there.backend_id).missing == 1
    shown = [award for award in there.campus.awards() if award.error == MISSING]
    assert [award.state for award in shown] == ["issued"]
    there.campus.sync()
    there.campus.deliver()
    assert len(there.awards) == len(there.campus.awards()) - 1
    if there.kind == "badgr":
        there.server.assertions.append(lost)
        reconcile(there.campus.context, there.backend_id, force=True)
        assert not [award for award in there.campus.awards() if award.error]


def test_awards_there_that_are_none_of_ours_are_counted(there: There) -> None:
    if there.kind != "badgr":
        pytest.skip("this backend has no list for all recipients")
    there.server.assertions.append(there.awards[0] | {"entityId": "x1", "evidence": []})
    there.server.assertions.append(there.awards[0] | {"entityId": "x2", "revoked": True})
    assert reconcile(there.campus.context, there.backend_id).foreign == 1


def test_it_happens_once_a_day(there: There) -> None:
    context = there.campus.context
    assert there.backend_id in due_for_reconciliation(context)
    reconcile(context, there.backend_id)
    assert reconcile(context, there.backend_id).checked == 0
    assert there.backend_id not in due_for_reconciliation(context)
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=True):
        assert there.backend_id in due_for_reconciliation(context)
        while there.campus.queue.huey.dequeue() is not None:
            pass
        housekeeping(there.campus.queue)
        told = [there.campus.queue.huey.dequeue() for _ in range(2)]
        assert "reconcile" in {task.name for task in told if task is not None}


def test_a_backend_that_fails_changes_nothing_and_says_why(there: There) -> None:
    before = states(there.campus)
    there.server.faults = ["find-500"] * 20 if there.kind == "badgr" else ["find-500"]
    found = reconcile(there.campus.context, there.backend_id)
    assert found.error is not None
    assert states(there.campus) == before
    kept = there.row().reconciled
    assert kept is not None
    assert kept["error"] == found.error


def test_look_ups_go_on_where_they_ended(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    if there.kind == "badgr":
        pytest.skip("this backend has a list")
    monkeypatch.setattr(module, "LOOK_UPS", 3)
    there.revoke(max(there.awards, key=lambda e: str(e["log_entry"]["award_id"])))
    context = there.campus.context
    total = len(there.campus.awards())
    there.server.faults = ["find-500"] * 4
    assert reconcile(context, there.backend_id, force=True).error
    there.server.faults = []
    runs = [reconcile(context, there.backend_id, force=True) for _ in range(-(-total // 3))]
    assert sum(run.checked for run in runs) == total
    assert sum(run.revoked for run in runs) == 1
