"""The one source of the present moment: always UTC, always aware."""

from __future__ import annotations

from datetime import UTC, datetime

# At the ends of the calendar a change of time zone leaves it.
FIRST_YEAR, LAST_YEAR = 1000, 9998


def now() -> datetime:
    """The present moment, UTC-aware."""
    return datetime.now(UTC)


def from_epoch(seconds: float) -> datetime:
    """The moment `seconds` after 1970-01-01T00:00Z, UTC-aware."""
    return datetime.fromtimestamp(seconds, UTC)


def told(value: object) -> datetime | None:
    """A moment as a server tells it, RFC 3339 text or seconds since 1970; None for anything that is
    none, or is not of this age of the world: the one parser of times from outside."""
    try:
        if isinstance(value, str):
            moment = parse_iso(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            moment = from_epoch(value)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None


def iso(moment: datetime) -> str:
    """RFC 3339 with a `Z`, whole seconds: `2026-05-03T10:02:00Z`."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """The moment an RFC 3339 text names; a text without zone counts as UTC. Raises ValueError, also
    for moments that a database can't keep in every time zone."""
    moment = datetime.fromisoformat(text)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"the year must be from {FIRST_YEAR} to {LAST_YEAR}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
