"""Whose LTI ids Blackboard's own user ids are, and from which merged course they come.

Both never change for a user, so the list is read once a day, and at once for somebody unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from lti_badges.core import clock

FOR = timedelta(days=1)
MOST_COURSES = 300
PARAMETERS = {"expand": "user", "fields": "userId,user.uuid,childCourseId"}


@dataclass(frozen=True, slots=True)
class Roster:
    """LTI ids by user id, and the child course by LTI id; `strangers` are user ids that the list
    does not name (preview users)."""

    read_at: datetime
    subs: Mapping[str, str]
    children: Mapping[str, str]
    strangers: set[str] = field(default_factory=set)

    def answers(self, user: str | None) -> bool:
        """Whether it can tell of this user id, if only that it is nobody's."""
        return user is None or user in self.subs or user in self.strangers


_KNOWN: OrderedDict[tuple[str, str, str], Roster] = OrderedDict()
_LOCK = Lock()
Read = Callable[[], Iterable[Mapping[str, Any]]]


def roster(course: tuple[str, str, str], read: Read, *, unknown: str | None = None) -> Roster:
    """That of a course (site, application, context), from `read` if it is a day old or lacks
    `unknown`. One that names nobody's LTI id is not kept. Raises what `read` raises."""
    with _LOCK:
        held = _KNOWN.get(course)
    is_fresh = held is not None and clock.now() - held.read_at < FOR
    if held and is_fresh and held.answers(unknown):
        return held
    strangers = set(held.strangers) if held else set()
    fresh = _parsed(read(), strangers)
    if unknown is not None and unknown not in fresh.subs:
        fresh.strangers.add(unknown)
    if fresh.subs:
        with _LOCK:
            _KNOWN[course] = fresh
            _KNOWN.move_to_end(course)
            while len(_KNOWN) > MOST_COURSES:
                _KNOWN.popitem(last=False)
    return fresh


def _parsed(rows: Iterable[Mapping[str, Any]], strangers: set[str]) -> Roster:
    subs: dict[str, str] = {}
    children: dict[str, str] = {}
    for row in rows:
        user = row.get("user")
        if not isinstance(user, dict) or not user.get("uuid"):
            continue
        sub = str(user["uuid"])
        subs[str(row.get("userId"))] = sub
        if child := row.get("childCourseId"):
            children[sub] = str(child)
    return Roster(clock.now(), subs, children, strangers - set(subs))
