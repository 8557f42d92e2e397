"""The visible clock: what of a course was last read when, from where, and when it will be next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from lti_badges import lms
from lti_badges.catalogue.connections import lms_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import NotFound
from lti_badges.courses.calls import CallsToday, calls_today
from lti_badges.courses.push import PUSHED_AT
from lti_badges.courses.read import LIST_ERROR, ODD_ROWS
from lti_badges.ledger.rules_in_force import wanted_gradables
from lti_badges.store import Course, LineItem
from lti_badges.store.courses import item_read_at
from lti_badges.store.leases import is_free
from lti_badges.values.course import Kind


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that a rule may use. `used` when a rule in force does."""

    kind: Kind
    key: str
    label: str
    maximum: str | None
    source: str
    used: bool
    present: bool
    is_own: bool
    read_at: datetime | None
    error: str | None
    error_since: datetime | None
    in_words: bool = False
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class CourseSources:
    """When a course was and will be read, and what stands in the way. `pushed_at` is when the LMS
    last told of a change by itself; `list_error` why sections, groups and the like can't be listed;
    `odd_rows` which rows of the LMS were left out, in sentences. While a worker reads it,
    `reading_since` and `progress` (“200 members”) tell how far it is.
    """

    synced_at: datetime | None
    next_at: datetime | None
    error: str | None
    error_since: datetime | None
    roster_error: str | None
    concluded: bool
    sources: tuple[Source, ...]
    pushed_at: datetime | None = None
    list_error: str | None = None
    odd_rows: tuple[str, ...] = ()
    reading_since: datetime | None = None
    progress: str | None = None
    calls: CallsToday | None = None
    """How often the LMS's own API was called for this course today."""

    @property
    def is_awaited(self) -> bool:
        """Whether its first reading is still to come: what it has is not known yet."""
        return self.synced_at is None and self.error is None and not self.sources


def course_sources(tool: ToolContext, course_id: str) -> CourseSources:
    """The clock of a course. Raises NotFound."""
    with tool.sessions() as session:
        course = session.get(Course, course_id)
        if course is None:
            raise NotFound("There is no such course.")
        used = {(each.kind.value, each.key) for each in wanted_gradables(session, course_id)}
        items = session.scalars(
            select(LineItem).where(LineItem.course_id == course_id).order_by(LineItem.label)
        )
        sources = tuple(_source(course, item, (item.kind, item.key) in used) for item in items)
        a_day = lms.of(course.deployment.platform.lms).calls_a_day
    pushed = course.settings.get(PUSHED_AT)
    return CourseSources(
        synced_at=course.synced_at,
        next_at=course.next_sync_at,
        error=course.sync_error,
        error_since=course.sync_error_since,
        roster_error=course.roster_error,
        concluded=course.concluded,
        sources=sources,
        pushed_at=clock.parse_iso(pushed) if pushed else None,
        list_error=course.settings.get(LIST_ERROR),
        odd_rows=_odd_rows(course),
        reading_since=None if is_free(course.sync_lease_until) else course.sync_started_at,
        progress=None if is_free(course.sync_lease_until) else course.sync_progress,
        calls=calls_today(course, a_day),
    )


def _odd_rows(course: Course) -> tuple[str, ...]:
    kept = course.settings.get(ODD_ROWS) or {}
    return tuple(sentence for kind in sorted(kept) for sentence in kept[kind])


def capabilities(tool: ToolContext, course_id: str) -> tuple[lms.Capability, ...]:
    """What rules can use here, in sentences. Raises NotFound."""
    return lms_of(tool, course_id).capabilities()


def _source(course: Course, item: LineItem, used: bool) -> Source:
    return Source(
        kind=Kind(item.kind),
        key=item.key,
        label=item.label,
        maximum=None if item.maximum is None else f"{float(item.maximum):g}",
        source=item.source,
        used=used,
        present=item.present,
        is_own=item.is_own,
        read_at=item_read_at(course, item),
        error=item.error,
        error_since=item.error_since,
        in_words=item.in_words,
        is_rare=item.is_rare,
    )
