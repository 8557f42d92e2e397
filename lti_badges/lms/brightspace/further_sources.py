"""What Brightspace knows besides grades: sections, groups, and which content was completed.

Source: Valence reference (groups, sections, content).
Quirks: user ids are numbers here and texts elsewhere; a topic's completions name only those who
completed it; the content tree is nested.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from lti_badges.core import clock
from lti_badges.core.errors import Gone
from lti_badges.core.text import as_list, as_text
from lti_badges.lms.reader_dispatch import in_parts
from lti_badges.lms.rest import Rest, key_of, listed, rows
from lti_badges.values.course import Completion, Gradable, Kind

SECTION, GROUP, TOPIC = "brightspace-section:", "brightspace-group:", "brightspace-topic:"
RARE = (SECTION, GROUP, TOPIC)
MEMBERSHIP, CONTENT = "Brightspace people", "Brightspace content"


def next_objects(answer: Mapping[str, Any]) -> Any:
    """Where the next page of an `ObjectListPage` is."""
    return answer.get("Next")


class BrightspaceMore:
    """An org unit's further sources. `lp` and `le` are its addresses in those APIs."""

    def __init__(self, rest: Rest, lp: str, le: str) -> None:
        self._rest = rest
        self._lp = lp
        self._le = le

    def gradables(self) -> Iterator[Gradable]:
        """All of them; one sort that may not be read never hides the others."""
        return in_parts(self._sections, self._groups, self._topics)

    def members(self, key: str, who: Mapping[str, str]) -> Iterator[Completion]:
        """Who is in a section or group; `who` are LTI ids by Valence ids."""
        ref = key.partition(":")[2]
        if key.startswith(SECTION):
            found = self._rest.json(f"{self._lp}/sections/{ref}")
        else:
            category, _, group = ref.partition("/")
            found = self._rest.json(f"{self._lp}/groupcategories/{category}/groups/{group}")
        for user in listed(found.get("Enrollments") if isinstance(found, dict) else None):
            if owner := who.get(str(user)):
                yield Completion(owner, key, True, None, clock.now(), is_group=True)

    def completed(self, key: str, who: Mapping[str, str], *, alone: bool) -> Iterator[Completion]:
        """Who completed a topic. Whoever is not named has not."""
        done = self.completed_by(key.removeprefix(TOPIC), who, alone=alone)
        for user, owner in who.items():
            yield Completion(owner, key, user in done, done.get(user), clock.now())

    def completed_by(
        self, topic: str, who: Container[str], *, alone: bool
    ) -> dict[str, datetime | None]:
        """Of these learners, by Valence id, those who completed a topic, and when."""
        path = f"{self._le}/content/topics/{topic}/completions/"
        if alone and isinstance(who, Mapping):
            found = {}
            for user in who:
                with suppress(Gone):  # not completed
                    found[user] = _moment(self._rest.json(f"{path}users/{user}"))
            return found
        pages = self._rest.addressed(path, {"pageSize": "200"}, next_objects)
        rows_of = (row for answer in pages for row in rows(answer, "Objects"))
        return {
            str(row.get("UserId")): _moment(row) for row in rows_of if str(row.get("UserId")) in who
        }

    def topics(self) -> list[str]:
        """The visible topics, by id."""
        return [topic.key.removeprefix(TOPIC) for topic in self._topics()]

    def _sections(self) -> Iterator[Gradable]:
        for row in rows(self._rest.json(f"{self._lp}/sections/")):
            yield _membership(key_of(SECTION, row, "SectionId"), f"Section “{row.get('Name')}”")

    def _groups(self) -> Iterator[Gradable]:
        for category in rows(self._rest.json(f"{self._lp}/groupcategories/")):
            place = as_text(category.get("GroupCategoryId"))
            if not place:
                key = key_of(GROUP, category, "GroupCategoryId")
                yield _membership(key, f"Groups of “{category.get('Name')}”")
                continue
            for row in rows(self._rest.json(f"{self._lp}/groupcategories/{place}/groups/")):
                key = key_of(f"{GROUP}{place}/", row, "GroupId")
                yield _membership(key, f"Group “{row.get('Name')}”")

    def _topics(self) -> Iterator[Gradable]:
        toc = self._rest.json(f"{self._le}/content/toc")
        for topic in _nested(toc):
            if not topic.get("IsHidden"):
                key = f"{TOPIC}{topic.get('TopicId')}"
                label = str(topic.get("Title") or "Untitled topic")
                yield Gradable(Kind.ACTIVITY, key, label, None, CONTENT, is_rare=True)


def _nested(module: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(module, dict):
        return
    yield from (topic for topic in as_list(module.get("Topics")) if isinstance(topic, dict))
    for inner in as_list(module.get("Modules")):
        yield from _nested(inner)


def _moment(row: Any) -> datetime | None:
    at = row.get("CompletionDate") if isinstance(row, dict) else None
    return clock.told(at)


def _membership(key: str, label: str) -> Gradable:
    return Gradable(Kind.GROUP, key, label, None, MEMBERSHIP, is_rare=True)
