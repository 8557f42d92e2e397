"""Courses and what was read of them: members, grade items, results, completions."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lti_badges.store.base import Base, Exact, UtcDateTime, new_id, now
from lti_badges.store.institutions import DEFAULT_INSTITUTION
from lti_badges.store.platforms import Deployment


def _owner_of_deployment(context: Any) -> str:
    """Column default: a course belongs to its deployment's institution."""
    deployment_id = context.get_current_parameters()["deployment_id"]
    table = Deployment.__table__
    owner = context.connection.scalar(
        select(table.c.institution_id).where(table.c.id == deployment_id)
    )
    return str(owner or DEFAULT_INSTITUTION)


class Course(Base):
    """An LTI context within a deployment, with the service addresses its launches named.

    `next_sync_at` is when the schedule reads it again, or, while it is being read, the beginning of
    that reading unless another one was asked for since; `sync_error` is the last failure as a
    sentence, standing since `sync_error_since`; `concluded` courses are no longer read.
    `sync_progress` tells how far a reading under way is, `sync_crashes` counts readings that ended
    by a mistake of ours. A roster that names too few to be true is refused since
    `roster_short_since`.
    `connection` holds, sealed, what `connected_by` gave for the LMS's own API in this course.
    """

    __tablename__ = "courses"
    __table_args__ = (UniqueConstraint("deployment_id", "context_id"), Index(None, "next_sync_at"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id", ondelete="CASCADE"))
    institution_id: Mapped[str] = mapped_column(
        ForeignKey("institutions.id", ondelete="RESTRICT"), default=_owner_of_deployment, index=True
    )
    context_id: Mapped[str] = mapped_column(String(255), index=True)
    title: Mapped[str] = mapped_column(String(500), default="")
    label: Mapped[str] = mapped_column(String(255), default="")
    lineitems_url: Mapped[str | None] = mapped_column(Text)
    memberships_url: Mapped[str | None] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)
    custom: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    backend_id: Mapped[str | None] = mapped_column(ForeignKey("backends.id", ondelete="SET NULL"))
    connection: Mapped[str | None] = mapped_column(Text)
    connected_by: Mapped[str | None] = mapped_column(String(255))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_launch_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_change_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sync_started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    synced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_sync_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sync_error: Mapped[str | None] = mapped_column(Text)
    sync_error_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sync_failures: Mapped[int] = mapped_column(Integer, default=0)
    sync_seconds: Mapped[float | None] = mapped_column(Float)
    sync_progress: Mapped[str | None] = mapped_column(String(80))
    sync_crashes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    roster_error: Mapped[str | None] = mapped_column(Text)
    roster_short_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sync_token: Mapped[str | None] = mapped_column(String(80))
    sync_lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    concluded: Mapped[bool] = mapped_column(Boolean, default=False)

    deployment: Mapped[Deployment] = relationship()


class ResourceLink(Base):
    """A placed link of a course; `achievement_id` when deep linking placed one badge there."""

    __tablename__ = "resource_links"
    __table_args__ = (UniqueConstraint("course_id", "resource_link_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    course_id: Mapped[str] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    resource_link_id: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(500), default="")
    achievement_id: Mapped[str | None] = mapped_column(
        ForeignKey("achievements.id", ondelete="SET NULL")
    )
    lineitem_url: Mapped[str | None] = mapped_column(Text)
    last_launch_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class CourseMember(Base):
    """A member of a course. `present` is false once the roster no longer lists them; awards stay.

    `seen_in` is the token of the reading since which every roster has named them; null once one
    that was read to its end did not. `dirty` members have facts that no rule has judged yet: set
    with each change, cleared by the evaluation, so that a crash between the two forgets nobody.
    `roster_says` is learner, staff or other, by the last roster that named them; `is_tracked`
    false says that the LMS does not treat them as a learner. `permissions` is what the last launch
    allowed; page tokens made before `tokens_from` are void.
    """

    __tablename__ = "members"
    __table_args__ = (UniqueConstraint("course_id", "sub"), Index(None, "course_id", "dirty"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    course_id: Mapped[str] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    person_id: Mapped[str | None] = mapped_column(
        ForeignKey("people.id", ondelete="SET NULL"), index=True
    )
    sub: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(500))
    email: Mapped[str | None] = mapped_column(String(320))
    sourcedid: Mapped[str | None] = mapped_column(String(255))
    roles: Mapped[list[str]] = mapped_column(JSON, default=list)
    status: Mapped[str] = mapped_column(String(20), default="Active")
    can_earn: Mapped[bool] = mapped_column(Boolean, default=False)
    present: Mapped[bool] = mapped_column(Boolean, default=True)
    dirty: Mapped[bool] = mapped_column(Boolean, default=True)
    custom: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    roster_says: Mapped[str | None] = mapped_column(String(10))
    is_tracked: Mapped[bool | None] = mapped_column(Boolean)
    seen_in: Mapped[str | None] = mapped_column(String(80))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_launch_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    permissions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    tokens_from: Mapped[datetime | None] = mapped_column(UtcDateTime)

    course: Mapped[Course] = relationship()


class LineItem(Base):
    """Something of a course that a rule can use. `kind`: item, course_grade, activity, completion,
    group.

    `read_at` is when its results were first read in full, see `item_read_at` for the last time;
    `error` why they can't be read now.
    """

    __tablename__ = "line_items"
    __table_args__ = (UniqueConstraint("course_id", "kind", "key"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    course_id: Mapped[str] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20), default="item")
    key: Mapped[str] = mapped_column(String(1000))
    label: Mapped[str] = mapped_column(String(500))
    maximum: Mapped[Fraction | None] = mapped_column(Exact)
    source: Mapped[str] = mapped_column(String(255))
    resource_link_id: Mapped[str | None] = mapped_column(String(255))
    resource_id: Mapped[str | None] = mapped_column(String(255))
    tag: Mapped[str | None] = mapped_column(String(255))
    is_own: Mapped[bool] = mapped_column(Boolean, default=False)
    in_words: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    is_rare: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    is_hidden: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    present: Mapped[bool] = mapped_column(Boolean, default=True)
    seen_in: Mapped[str | None] = mapped_column(String(80))
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    error_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


LEARNER, STAFF, OTHER = "learner", "staff", "other"
"""What a roster says of somebody."""
VALUES_READ = "values_readings"
"""The setting of a course that tells when its last readings of all values began and ended."""
ITEMS_READ = "items_read_at"
"""The setting that tells when each item, by its id, was last read in full."""
NO_ROSTER = "no_roster"
"""The course's setting that its LMS tells this tool no roster."""
MEMORY = "lms_memory"
"""What an LMS's adapter remembers of the course, in its settings."""
COMPLETED, NOT_COMPLETED = "completed", "not_completed"
"""The states of a completion or membership; a result's are those of ResultState."""


class MemberResult(Base):
    """A member's result in a line item, or completion of an activity or membership of a group
    (`state` completed/not). `mark` is a grade in words.

    `changed_at` moves only when the value does, `read_at` also with its times: a reading that finds
    them as they are writes nothing here. The LMS's own times
    are `completed_at`, `graded_at`, `submitted_at` and `posted_at`, where it tells them.
    """

    __tablename__ = "results"
    __table_args__ = (
        UniqueConstraint("line_item_id", "member_id"),
        Index(None, "member_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    line_item_id: Mapped[str] = mapped_column(ForeignKey("line_items.id", ondelete="CASCADE"))
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(20))
    score: Mapped[Fraction | None] = mapped_column(Exact)
    maximum: Mapped[Fraction | None] = mapped_column(Exact)
    mark: Mapped[str | None] = mapped_column(String(100))
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    graded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    submitted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    posted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    seen_in: Mapped[str | None] = mapped_column(String(80))

    line_item: Mapped[LineItem] = relationship()


def note_item_read(course: Course, item: LineItem, at: datetime) -> None:
    """An item was read in full. Kept with the course, whose row each reading writes anyway."""
    kept = dict(course.settings.get(ITEMS_READ) or {})
    course.settings = {**course.settings, ITEMS_READ: {**kept, item.id: at.isoformat()}}


def item_read_at(course: Course, item: LineItem) -> datetime | None:
    """When an item was last read in full; None when it never was."""
    told = (course.settings.get(ITEMS_READ) or {}).get(item.id)
    at = None if told is None else datetime.fromisoformat(told)
    return max((each for each in (at, item.read_at) if each is not None), default=None)
