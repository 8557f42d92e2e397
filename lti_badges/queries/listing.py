"""Long lists a page at a time, by key: the hundredth page costs what the first does.

A position is the key of the row beside the page, for whoever turns it; nothing is counted, and
what is added meanwhile shifts nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal, or_, true, tuple_
from sqlalchemy.orm import Session

from lti_badges.core.errors import InvalidInput

PAGE = 50
MAX_SEARCH, MAX_WORDS = 200, 5
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A page: its rows, and the positions of the pages beside it, None at an end."""

    rows: tuple[R, ...]
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """By a column that is never NULL, then by the id."""

    key: Any
    id: Any
    descending: bool = False


def page_of(
    session: Session, query: Select[*tuple[Any, ...]], order: Order, at: str, size: int = PAGE
) -> Listing[Row[*tuple[Any, ...]]]:
    """The page at a position, the first for an empty one. Each row ends with its key and id. Raises
    InvalidInput for what is no position."""
    back, edge = _read(at)
    descending = order.descending is not back
    pair = (order.key, order.id)
    query = query.add_columns(*pair).order_by(
        *(each.desc() if descending else each.asc() for each in pair)
    )
    if edge is not None:
        values = tuple_(*(literal(v, c.type) for v, c in zip(edge, pair, strict=True)))
        query = query.where(tuple_(*pair) < values if descending else tuple_(*pair) > values)
    found = session.execute(query.limit(size + 1)).all()
    more, rows = len(found) > size, list(found[:size])
    if back:
        rows.reverse()
    has_before, has_after = (more, True) if back else (edge is not None, more)
    return Listing(
        tuple(rows),
        _position("-", rows[0]) if rows and has_before else None,
        _position("+", rows[-1]) if rows and has_after else None,
    )


def words(search: str) -> list[str]:
    """What is searched for: each of them must be found."""
    return search[:MAX_SEARCH].lower().split()[:MAX_WORDS]


def holds(word: str, *columns: Any) -> ColumnElement[bool]:
    """Whether a word stands in one of the columns, whatever its case; `%` and `_` are letters like
    others."""
    return or_(*(func.lower(each).contains(word, autoescape=True) for each in columns))


def matches(search: str, *columns: Any) -> ColumnElement[bool]:
    """Whether each word of a search stands in one of the columns."""
    return and_(true(), *(holds(word, *columns) for word in words(search)))


def _position(direction: str, row: Sequence[Any]) -> str:
    key, row_id = row[-2], row[-1]
    told = ["t", key.isoformat()] if isinstance(key, datetime) else ["v", key]
    return direction + base64.urlsafe_b64encode(json.dumps([*told, row_id]).encode()).decode()


def _read(at: str) -> tuple[bool, tuple[Any, Any] | None]:
    if not at:
        return False, None
    try:
        kind, key, row_id = json.loads(base64.urlsafe_b64decode(at[1:].encode()))
        edge = (datetime.fromisoformat(key) if kind == "t" else key, row_id)
        if (
            at[0] not in "+-"
            or not isinstance(row_id, str | int)
            or not isinstance(key, str | int)
            or (isinstance(edge[0], datetime) and edge[0].tzinfo is None)
        ):
            raise ValueError("odd position")
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput("There is no such page; begin at the first one.") from error
    return at[0] == "-", edge
