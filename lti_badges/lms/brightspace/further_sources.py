"""What Brightspace knows besides grades: sections, groups, and which content was completed.

Source: Valence reference (groups, sections, content).
Quirks: user ids are numbers here and texts elsewhere; a topic's progress lists only learners who
have some; the content tree is nested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lti_badges.core import clock
from lti_badges.lms.reading import in_parts
from lti_badges.lms.rest import Rest, id_of, rows
from lti_badges.values.course import Completion, Gradable, Kind

SECTION, GROUP, TOPIC = "brightspace-section:", "brightspace-group:", "brightspace-topic:"
RARE = (SECTION, GROUP, TOPIC)
MEMBERSHIP, CONTENT = "Brightspace people", "Brightspace content"
LP = "/d2l/api/lp/1.31"


def next_objects(answer: Mapping[str, Any]) -> Any:
    """Where the next page of an `ObjectListPage` is."""
    return answer.get("Next")


class BrightspaceMore:
    """An org unit's further sources. `le` is its address in the le API."""

    def __init__(self, rest: Rest, unit: str, le: str) -> None:
        self._rest = rest
        self._lp = f"{LP}/{unit}"
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
        for user in (found.get("Enrollments") if isinstance(found, dict) else None) or ():
            if owner := who.get(str(user)):
                yield Completion(owner, key, True, None, clock.now(), is_group=True)

    def completed(self, key: str, who: Mapping[str, str]) -> Iterator[Completion]:
        """Who completed a topic. Whoever is not named has no progress in it yet."""
        asked = {"objectId": key.removeprefix(TOPIC), "pageSize": "200"}
        if len(who) == 1:
            asked["userId"] = next(iter(who))
        path = f"{self._le}/content/userprogress/"
        named: set[str] = set()
        for answer in self._rest.addressed(path, asked, next_objects):
            for row in rows(answer, "Objects"):
                if owner := who.get(str(row.get("UserId"))):
                    named.add(owner)
                    yield _progress(owner, key, row)
        for owner in set(who.values()) - named:
            yield Completion(owner, key, False, None, clock.now())

    def _sections(self) -> Iterator[Gradable]:
        for row in rows(self._rest.json(f"{self._lp}/sections/")):
            yield _membership(f"{SECTION}{id_of(row, 'SectionId')}", f"Section “{row.get('Name')}”")

    def _groups(self) -> Iterator[Gradable]:
        for category in rows(self._rest.json(f"{self._lp}/groupcategories/")):
            place = id_of(category, "GroupCategoryId")
            for row in rows(self._rest.json(f"{self._lp}/groupcategories/{place}/groups/")):
                key = f"{GROUP}{place}/{id_of(row, 'GroupId')}"
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
    yield from (topic for topic in module.get("Topics") or () if isinstance(topic, dict))
    for inner in module.get("Modules") or ():
        yield from _nested(inner)


def _progress(owner: str, key: str, row: Mapping[str, Any]) -> Completion:
    done = bool(row.get("Completed") or row.get("CompletedDate"))
    try:
        at = clock.parse_iso(str(row["CompletedDate"])) if row.get("CompletedDate") else None
    except ValueError:
        at = None
    return Completion(owner, key, done, at if done else None, clock.now())


def _membership(key: str, label: str) -> Gradable:
    return Gradable(Kind.GROUP, key, label, None, MEMBERSHIP, is_rare=True)
