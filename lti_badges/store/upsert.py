"""Rows that several workers may make at the same moment: one makes each, and nobody fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from lti_badges.store.base import Base


def insert_missing(
    session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]], *unique: str
) -> None:
    """Insert the rows that are not there yet, told by their `unique` columns; one statement.

    A row that another transaction is just inserting is waited for: afterwards a query of this
    transaction finds it.
    """
    if not rows:
        return
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(
        dialect.insert(model.__table__).on_conflict_do_nothing(index_elements=list(unique)),
        [dict(row) for row in rows],
    )
