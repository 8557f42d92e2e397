"""When a course counts as completed in Brightspace: by record, else by its content.

Source: Valence reference, grades (courseCompletion), content (topic completions), checklists.
Records exist only where somebody makes them; a topic's completions name only who completed it.
Checklists are listed by that API, but never who ticked what, so they can't be a condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import NoRight
from lti_badges.core.paging import pages
from lti_badges.lms.brightspace.further_sources import BrightspaceMore
from lti_badges.lms.rest import Rest, rows, unreadable
from lti_badges.values.course import COURSE_COMPLETION, Completion


def completions(
    rest: Rest, path: str, more: BrightspaceMore, who: Mapping[str, str], *, alone: bool
) -> Iterator[Completion]:
    """Records first. Whoever has none completed the course with its last visible topic; where
    content may not be read, they are not known."""
    recorded = dict(_records(rest, path, next(iter(who)) if alone else None))
    for user, at in recorded.items():
        if user in who:
            yield Completion(who[user], COURSE_COMPLETION, True, at, clock.now())
    rest_of = {user: sub for user, sub in who.items() if user not in recorded}
    try:
        topics = more.topics() if rest_of else []
        done = {topic: more.completed_by(topic, rest_of, alone=alone) for topic in topics}
    except NoRight:
        return
    if not topics:
        return
    for user, sub in rest_of.items():
        times = [found[user] for found in done.values() if user in found]
        complete = len(times) == len(topics)
        at = max((time for time in times if time), default=None) if complete else None
        yield Completion(sub, COURSE_COMPLETION, complete, at, clock.now())


def _records(rest: Rest, path: str, user: str | None) -> Iterator[tuple[str, datetime | None]]:
    query: dict[str, str] = {"userId": user} if user else {}

    def fetch(bookmark: str) -> tuple[Any, str | None]:
        marked = query | {"bookmark": bookmark} if bookmark else query
        answer = rest.json(f"{path}/grades/courseCompletion/", marked)
        paging = answer.get("PagingInfo") if isinstance(answer, dict) else None
        if not isinstance(paging, dict) or not paging.get("HasMoreItems"):
            return answer, None
        return answer, str(paging.get("Bookmark"))

    try:
        for answer in pages("", fetch, unreadable):
            for row in rows(answer, "Items"):
                if row.get("CompletedDate"):
                    yield str(row.get("UserId")), clock.told(row["CompletedDate"])
    except NoRight:
        return  # no such right: then the content alone tells
