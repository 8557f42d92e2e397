"""What is issued here is claimed, signed, stored and settled in one commit; batches share it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import event, select

from lti_badges.awarding.manual import revoke
from lti_badges.delivery.claims import due_awards
from lti_badges.delivery.deliver import deliver
from lti_badges.delivery.local import BATCH
from lti_badges.openbadges import status
from lti_badges.store import IssuedCredential, StatusList
from tests.support.campus import Campus


def credentials(campus: Campus) -> list[IssuedCredential]:
    with campus.context.sessions() as session:
        return list(session.scalars(select(IssuedCredential)))


def test_one_award_is_one_commit_and_a_batch_shares_it(campus: Campus) -> None:
    campus.rule(campus.quiz_at_least(1))
    campus.sync()
    count = len(campus.awards())
    assert count > 1
    commits: list[object] = []
    wrote: list[str] = []

    def executed(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO credentials"):
            wrote.append(statement)

    event.listen(campus.context.database, "commit", commits.append)
    event.listen(campus.context.database, "before_cursor_execute", executed)
    deliver(campus.context, campus.awards()[0].id)
    done = Counter(award.state for award in campus.awards())
    assert done["issued"] == min(BATCH, count)
    assert len(commits) == 1
    assert len(wrote) == 1
    campus.deliver()
    assert {award.state for award in campus.awards()} == {"issued"}
    assert len(commits) <= 1 + count // BATCH
    assert all(award.attempts == 1 and award.error is None for award in campus.awards())


def test_many_workers_at_once_issue_each_award_once_at_places_of_its_own(campus: Campus) -> None:
    for percent in (1, 2, 3):
        campus.rule(campus.quiz_at_least(percent), campus.badge(f"Badge {percent}"))
    campus.sync()
    due = due_awards(campus.context) * 3
    with ThreadPoolExecutor(6) as workers:
        list(workers.map(lambda award_id: deliver(campus.context, award_id), due))
    rows = credentials(campus)
    assert {row.award_id for row in rows} == {award.id for award in campus.awards()}
    assert {award.state for award in campus.awards()} == {"issued"}
    assert len({(row.status_list, row.status_index) for row in rows}) == len(rows)
    with campus.context.sessions() as session:
        assert sum(session.scalars(select(StatusList.taken))) == len(rows)


def test_a_full_list_is_followed_by_the_next(lite: Campus) -> None:
    lite.rule(lite.quiz_at_least(1))
    lite.sync()
    (first, *_) = lite.awards()
    with lite.context.sessions.begin() as session:
        session.add(StatusList(backend_id=first.backend_id, taken=status.LENGTH - 2))
    lite.deliver()
    lists = Counter(row.status_list for row in credentials(lite))
    assert len(lists) == 2
    assert min(lists.values()) == 2


def test_every_place_of_a_list_is_taken_once() -> None:
    row = StatusList(seed="any")
    places = [row.place(number, status.LENGTH) for number in range(status.LENGTH)]
    assert len(set(places)) == status.LENGTH
    assert all(0 <= place < status.LENGTH for place in places)
    assert places[:50] != sorted(places[:50])


def test_a_revocation_sets_the_bit_and_the_state_together(campus: Campus) -> None:
    campus.rule()
    campus.grade("5", 46)
    campus.sync()
    campus.deliver()
    award = campus.award_of("5")
    revoke(campus.context, award.id, reason="A mistake", by="Ada")
    assert campus.deliver() == 1
    after = campus.award_of("5")
    (row,) = [each for each in credentials(campus) if each.award_id == award.id]
    assert (after.state, row.revocation_reason) == ("revoked", "A mistake")
    assert after.revoked_at is not None
    assert row.revoked_at is not None
