"""Pauses of a backend: as it asks, after failures in a row, or until a person renews its login."""

from __future__ import annotations

from datetime import timedelta

from lti_badges.core import clock
from lti_badges.core.backoff import later, wait_after
from lti_badges.core.errors import (
    LtiBadgesError,
    Refused,
    SettingsError,
    Unauthorized,
    Unavailable,
)
from lti_badges.delivery.claims import OPEN_CIRCUIT_AFTER
from lti_badges.ledger.backend_pauses import UNTIL_A_PERSON_ACTS
from lti_badges.store import BackendRow

FIRST_PAUSE, LAST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)


def note_outcome(backend: BackendRow, error: LtiBadgesError | None, *, probe: bool = False) -> None:
    """Note what a delivery learned about its backend. The row is locked by the caller.

    A backend that asks for time, or fails again and again, is left alone for a while, for all its
    awards together; then one award tries it out (`probe`). One that refuses our login waits for a
    person. A success never shortens a pause that another worker was asked for meanwhile.
    """
    now = clock.now()
    if error is None or (isinstance(error, Refused) and not isinstance(error, Unauthorized)):
        _note_success(backend, probe=probe)
        return
    if isinstance(error, (Unauthorized, SettingsError)):
        backend.paused_until = UNTIL_A_PERSON_ACTS
    elif isinstance(error, Unavailable) and error.retry_after:
        asked = now + timedelta(seconds=error.retry_after)
        backend.paused_until = asked if probe else later(backend.paused_until, asked)
    if not (isinstance(error, Unavailable) and error.code == "throttled"):
        backend.failures += 1
    backend.error, backend.error_since = error.message, backend.error_since or now
    times = backend.failures - OPEN_CIRCUIT_AFTER + 1
    if times > 0 and backend.paused_until != UNTIL_A_PERSON_ACTS:
        pause = now + wait_after(times, FIRST_PAUSE, LAST_PAUSE)
        backend.paused_until = pause if probe else later(backend.paused_until, pause)


def _note_success(backend: BackendRow, *, probe: bool) -> None:
    paused = backend.paused_until is not None and backend.paused_until > clock.now()
    if paused and not probe:
        return
    backend.failures, backend.paused_until = 0, None
    backend.error, backend.error_since = None, None
