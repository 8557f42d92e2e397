"""Reading many rows a batch at a time, by key: the table never stands in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, literal, tuple_

R = TypeVar("R")


def batches(
    query: Select[*tuple[Any, ...]],
    *by: Any,
    read: Callable[[Select[*tuple[Any, ...]]], Sequence[R]],
    key: Callable[[R], tuple[Any, ...]],
    size: int,
    after: tuple[Any, ...] | None = None,
) -> Iterator[Sequence[R]]:
    """All rows of `query` in the order of the columns `by`, at most `size` at once, none empty.

    `by` must be unique together and never NULL; `key` gives a row's values of them, and `after`
    those of the last row that is not wanted again. `read` asks each time, in a transaction of its
    own or of the caller's: what is added before the key meanwhile is not seen, nothing comes twice.
    """
    query = query.order_by(*by).limit(size)
    while True:
        rest = query if after is None else query.where(tuple_(*by) > tuple_(*map(literal, after)))
        rows = read(rest)
        if not rows:
            return
        after, found = key(rows[-1]), len(rows)  # before the caller changes anything
        yield rows
        if found < size:
            return
