"""What Canvas knows besides assignments, grades and the course's completion: modules, assignment
groups, sections, groups, learning outcomes and grading periods.

Source: Canvas API (sections, groups, outcome results, grading periods).
Quirks: a course always has one section; an outcome counts as completed from its own mastery points
on; the rollups name each learner once per section.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from fractions import Fraction

from lti_badges.core import clock
from lti_badges.lms.canvas.gradebook import CURRENT, GRADES, PERIOD, assignment_groups
from lti_badges.lms.reader_dispatch import in_parts
from lti_badges.lms.rest import Rest, key_of, number, rows
from lti_badges.values.course import Completion, Gradable, Kind

SECTION, GROUP = "canvas-section:", "canvas-group:"
OUTCOME, MODULE = "canvas-outcome:", "canvas-module:"
RARE = (SECTION, GROUP, OUTCOME)
MEMBERSHIP, OUTCOMES, PROGRESS = "Canvas people", "Canvas outcomes", "Canvas modules"
PAGE = {"per_page": "100"}


class CanvasMore:
    """A course's further sources. `path` is the course's own address in the API."""

    def __init__(self, rest: Rest, path: str) -> None:
        self._rest = rest
        self._path = path
        self._mastery: dict[str, Fraction] | None = None

    def gradables(self) -> Iterator[Gradable]:
        """All of them; one sort that may not be read never hides the others."""
        return in_parts(
            self._modules,
            lambda: assignment_groups(self._rest, self._path),
            self._sections,
            self._groups,
            self._outcomes,
            self._periods,
        )

    def modules(
        self, keys: Container[str], learners: Iterable[tuple[str, str]]
    ) -> Iterator[Completion]:
        """Whether learners (LTI id and Canvas id) completed these modules, one call each: Canvas
        tells the state of modules for one student only."""
        for sub, user in learners:
            query = {"student_id": user, **PAGE}
            for page in self._rest.linked(f"{self._path}/modules", query):
                for row in rows(page):
                    key = f"{MODULE}{row.get('id')}"
                    if key in keys:
                        done = row.get("state") == "completed"
                        at = clock.told(row.get("completed_at")) if done else None
                        yield Completion(sub, key, done, at, clock.now())

    def _modules(self) -> Iterator[Gradable]:
        for page in self._rest.linked(f"{self._path}/modules", PAGE):
            for row in rows(page):
                if row.get("published") is not False:
                    key, label = key_of(MODULE, row), f"Module “{row.get('name')}”"
                    yield Gradable(Kind.ACTIVITY, key, label, None, PROGRESS, is_rare=True)

    def read(
        self, gradable: Gradable, sub: str | None, who: Mapping[str, str]
    ) -> Iterator[Completion]:
        """Memberships and outcomes, of everybody in `who` (Canvas id to LTI id)."""
        ref = gradable.key.partition(":")[2]
        if gradable.key.startswith(OUTCOME):
            yield from self._mastered(gradable.key, ref, sub, who)
            return
        found = (
            self._in_section(ref, sub, who)
            if gradable.key.startswith(SECTION)
            else self._in_group(ref)
        )
        for user in found:
            if owner := who.get(user):
                yield Completion(owner, gradable.key, True, None, clock.now(), is_group=True)

    def _sections(self) -> Iterator[Gradable]:
        pages = self._rest.linked(f"{self._path}/sections", PAGE)
        found = [row for page in pages for row in rows(page)]
        if len(found) > 1:
            for row in found:
                yield _membership(key_of(SECTION, row), f"Section “{row.get('name')}”")

    def _groups(self) -> Iterator[Gradable]:
        for page in self._rest.linked(f"{self._path}/groups", PAGE):
            for row in rows(page):
                yield _membership(key_of(GROUP, row), f"Group “{row.get('name')}”")

    def _outcomes(self) -> Iterator[Gradable]:
        self._mastery = {}
        query = {"outcome_style": "full", **PAGE}
        for page in self._rest.linked(f"{self._path}/outcome_group_links", query):
            for row in rows(page):
                outcome = row.get("outcome")
                if not isinstance(outcome, dict):
                    continue
                mastery = number(outcome.get("mastery_points"))
                if mastery is None:
                    continue
                ref, label = str(outcome.get("id")), f"Outcome “{outcome.get('title')}”"
                if ref not in self._mastery:
                    self._mastery[ref] = mastery
                    key = f"{OUTCOME}{ref}"
                    yield Gradable(Kind.ACTIVITY, key, label, None, OUTCOMES, is_rare=True)

    def _periods(self) -> Iterator[Gradable]:
        for page in self._rest.linked(f"{self._path}/grading_periods", PAGE):
            for row in rows(page, "grading_periods"):
                key, label = key_of(PERIOD, row), f"Course grade of “{row.get('title')}”"
                for ref, said in ((key, label), (f"{key}:{CURRENT}", f"{label} so far")):
                    yield Gradable(Kind.ITEM, ref, said, Fraction(100), GRADES, is_rare=True)

    def _in_section(self, ref: str, sub: str | None, who: Mapping[str, str]) -> Iterator[str]:
        query = {"type[]": "StudentEnrollment", **PAGE}
        if sub:
            query["user_id"] = next(iter(who), "0")
        for page in self._rest.linked(f"{self._path}/enrollments", query):
            for row in rows(page):
                if str(row.get("course_section_id")) == ref:
                    yield str(row.get("user_id"))

    def _in_group(self, ref: str) -> Iterator[str]:
        for page in self._rest.linked(f"/api/v1/groups/{ref}/users", PAGE):
            yield from (str(row.get("id")) for row in rows(page))

    def _mastered(
        self, key: str, ref: str, sub: str | None, who: Mapping[str, str]
    ) -> Iterator[Completion]:
        if self._mastery is None:
            for _ in self._outcomes():
                pass
        needed = (self._mastery or {}).get(ref)
        query = {"outcome_ids[]": ref, **PAGE}
        if sub:
            query["user_ids[]"] = next(iter(who), "0")
        seen: set[str] = set()
        for page in self._rest.linked(f"{self._path}/outcome_rollups", query):
            for row in rows(page, "rollups"):
                links = row.get("links")
                owner = who.get(str(links.get("user"))) if isinstance(links, dict) else None
                if owner is None or owner in seen or needed is None:
                    continue
                seen.add(owner)
                score = max((_score(each, ref) for each in rows(row, "scores")), default=None)
                done = score is not None and score >= needed
                yield Completion(owner, key, done, None, clock.now())


def _membership(key: str, label: str) -> Gradable:
    return Gradable(Kind.GROUP, key, label, None, MEMBERSHIP, is_rare=True)


def _score(each: Mapping[str, object], ref: str) -> Fraction:
    links = each.get("links")
    ours = isinstance(links, dict) and str(links.get("outcome")) == ref
    found = number(each.get("score")) if ours else None
    return Fraction(-1) if found is None else found
