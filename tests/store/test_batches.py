"""Reading rows a batch at a time, by key."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Select, func, select

from lti_badges.store import CourseMember, batches
from tests.support.campus import Campus


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_every_row_comes_once_in_order_whatever_the_size(campus: Campus, size: int) -> None:
    by_name = func.coalesce(func.lower(CourseMember.name), "")
    query = select(by_name, CourseMember.id)

    def read(batch: Select[*tuple[Any, ...]]) -> list[tuple[str, str]]:
        with campus.context.sessions() as session:
            return [(name, key) for name, key in session.execute(batch)]

    campus.sync()
    wanted = read(query.order_by(by_name, CourseMember.id))
    assert len(wanted) > 3

    def found(after: tuple[str, str] | None = None) -> list[tuple[str, str]]:
        found = batches(
            query,
            by_name,
            CourseMember.id,
            read=read,
            key=lambda row: row,
            size=size,
            after=after,
        )
        return [row for rows in found for row in rows if len(rows) <= size]

    assert found() == wanted
    assert found(wanted[1]) == wanted[2:]
    assert found(wanted[-1]) == []
