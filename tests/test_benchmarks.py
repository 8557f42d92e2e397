"""`make bench` works: each row is measured, small, so that no change breaks it unseen."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from benchmarks import awards, launches, readings
from benchmarks.rows import HEAD, Row
from lti_badges.settings import Settings
from tests.support.campus import Campus


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (awards, launches, readings):
        monkeypatch.setattr(module, "ROUNDS", 2)
    monkeypatch.setattr(readings, "LEARNERS", 5)
    monkeypatch.setattr(awards, "BADGES", 1)
    monkeypatch.setattr(awards, "DELIVERED", 3)


def complete(rows: Iterable[Row]) -> list[str]:
    """Their names; each is measured on both sides and fits the table."""
    found = list(rows)
    for row in found:
        assert min(row.ours) > 0
        assert min(row.floor) > 0
        assert row.ratio > 0
        assert row.markdown().count("|") == HEAD.splitlines()[0].count("|")
    return [row.what.partition(",")[0] for row in found]


def test_launches(sqlite_settings: Settings) -> None:
    assert complete(launches.rows(sqlite_settings)) == ["launch", "launch"]


def test_readings(lite: Campus) -> None:
    assert complete(readings.rows(lite)) == ["reading", "reading and judging"]


def test_issuing(lite: Campus) -> None:
    assert complete([awards.issuing(lite)]) == ["issuing here"]


def test_delivery(lite: Campus) -> None:
    assert complete([awards.delivery(lite)]) == ["delivery to a Badgr server"]
