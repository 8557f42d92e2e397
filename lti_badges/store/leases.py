"""Leases: who works on a row, or under a name, and until when.

A claim starts with an id that its process made at start: host names and process ids don't tell two
containers apart. A lease ends by its time, or sooner when its process is known to be gone: each
background process writes a sign of life every few seconds. One that never wrote any is never
called gone; then the time of the lease alone decides.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from sqlalchemy import ColumnElement, String, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from lti_badges.core import clock
from lti_badges.store.awarding import Delivery
from lti_badges.store.base import Base, UtcDateTime
from lti_badges.store.session import Sessions

BEAT_S = 5.0
SILENT_FOR = timedelta(seconds=30)
"""A process that was silent for so long is gone: killed, or cut off from the database."""
FORGET = timedelta(days=1)
POLL_S = 0.2

log = structlog.get_logger("lti_badges.leases")


class Process(Base):
    """A background process, with its last sign of life plus `SILENT_FOR`."""

    __tablename__ = "processes"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    alive_until: Mapped[datetime] = mapped_column(UtcDateTime)


class LeaseTimeout(Exception):
    """Somebody else held the name for as long as the caller would wait."""


_own_id = uuid4().hex[:16]


def _new_process() -> None:
    global _own_id  # noqa: PLW0603 - a fork is another process from here on
    _own_id = uuid4().hex[:16]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_process)


def new_claim() -> str:
    """A token that nobody else has, with this process's own id in front (at most 80 characters)."""
    return f"{_own_id}|{uuid4().hex[:16]}"


def is_free(until: datetime | None) -> bool:
    """Whether a lease with this end holds nobody up any more."""
    return until is None or until < clock.now()


def free(until: InstrumentedAttribute[datetime | None]) -> ColumnElement[bool]:
    """The same, as a condition on a column."""
    return or_(until.is_(None), until < clock.now())


def is_gone(claim: str | None, gone: frozenset[str]) -> bool:
    """Whether a claim belongs to one of the processes that are gone (`Heartbeat.gone`)."""
    return (claim or "").partition("|")[0] in gone


def take(session: Session, key: str, claim: str, life: timedelta, *, award_id: str = "") -> bool:
    """Take a named lease: at most one claim holds `key` (up to 500 characters), across all workers.
    False while another holds it. A statement of its own: two at once never raise."""
    now = clock.now()
    table = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    values = {"award_id": award_id, "claim": claim, "lease_until": now + life}
    taken = session.scalar(
        table.insert(Delivery)
        .values(key=key, **values)
        .on_conflict_do_update(
            index_elements=[Delivery.key], set_=values, where=Delivery.lease_until < now
        )
        .returning(Delivery.key)
    )
    return taken is not None


def give_back(session: Session, claim: str | None) -> None:
    """Give back all named leases of a claim."""
    session.execute(delete(Delivery).where(Delivery.claim == claim))


@contextmanager
def alone(sessions: Sessions, key: str, life: timedelta, wait_s: float) -> Iterator[None]:
    """Nobody else, in any worker, runs a block under this name meanwhile (for `life` at most).
    Raises LeaseTimeout after `wait_s` seconds."""
    claim, give_up = new_claim(), time.monotonic() + wait_s
    while True:
        with sessions.begin() as session:
            taken = take(session, key, claim, life)
        if taken:
            break
        if time.monotonic() > give_up:
            raise LeaseTimeout(key)
        time.sleep(POLL_S)
    try:
        yield
    finally:
        with sessions.begin() as session:
            give_back(session, claim)


class Heartbeat:
    """Signs of life of this process, in a thread of its own.

    `gone` names others only after this process itself has reached the database for as long as it
    grants them: after a pause of the database everybody must first be able to write again.
    """

    def __init__(
        self, sessions: Sessions, *, beat_s: float = BEAT_S, silent_for: timedelta = SILENT_FOR
    ) -> None:
        self._sessions = sessions
        self._beat_s = beat_s
        self._silent_for = silent_for
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._steady_since: float | None = None
        self._last = 0.0

    def start(self) -> None:
        """Write the first sign of life, then one every few seconds."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """The last sign of life: what this process leaves undone may be taken over."""
        self._stop.set()
        self._thread.join(timeout=self._beat_s)
        try:
            self._write(clock.now())
        except SQLAlchemyError:
            log.warning("heartbeat_not_written")

    def gone(self) -> frozenset[str]:
        """Ids of processes that were silent for too long."""
        long, now = self._silent_for.total_seconds(), time.monotonic()
        steady = self._steady_since
        if steady is None or now - steady < long or now - self._last > long:
            return frozenset()
        silent = Process.alive_until < clock.now()
        with self._sessions() as session:
            return frozenset(
                session.scalars(select(Process.id).where(silent, Process.id != _own_id))
            )

    def _run(self) -> None:
        while not self._stop.wait(self._beat_s):
            self._beat()

    def _beat(self) -> None:
        try:
            self._write(clock.now() + self._silent_for)
        except SQLAlchemyError:
            log.warning("heartbeat_not_written")
            return
        now = time.monotonic()
        if self._steady_since is None or now - self._last > self._silent_for.total_seconds() / 2:
            self._steady_since = now
        self._last = now

    def _write(self, until: datetime) -> None:
        with self._sessions.begin() as session:
            session.merge(Process(id=_own_id, alive_until=until))
            session.execute(delete(Process).where(Process.alive_until < clock.now() - FORGET))
