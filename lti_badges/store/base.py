"""What all tables share: naming, ids, UTC times and exact numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import uuid4

from sqlalchemy import DateTime, Dialect, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

from lti_badges.core import clock


class Base(DeclarativeBase):
    """The declarative base; constraint names are fixed so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python; `timestamptz` on PostgreSQL, naive UTC on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses naive times: they are a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time can't be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """A time as it was stored, which says no zone, as aware UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Exact(TypeDecorator[Fraction]):
    """A Fraction as the text `n/d`: no rounding in any database."""

    impl = String(120)
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> str | None:
        """`2.4` is stored as `12/5`."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Fraction | None:
        """The Fraction again."""
        if value is None:
            return None
        numerator, _, denominator = str(value).partition("/")
        return Fraction(int(numerator), int(denominator or 1))


def new_id() -> str:
    """A random UUID as text."""
    return str(uuid4())


def now() -> datetime:
    """Column default: the present moment, UTC-aware."""
    return clock.now()
