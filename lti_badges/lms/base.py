"""The interface every LMS stands behind. The base class is a working plain LTI Advantage
platform; a vendor's file overrides what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from lti_badges.http import Http
from lti_badges.lti.service import Service
from lti_badges.values.course import Gradable, Member, Reading
from lti_badges.values.settings import Setting


@dataclass(frozen=True, slots=True)
class CourseHandle:
    """A course as its LMS knows it: LTI service addresses from launches, REST credentials."""

    issuer: str
    context_id: str
    lineitems_url: str | None
    memberships_url: str | None
    scopes: frozenset[str]
    custom: Mapping[str, str]
    service: Service
    http: Http
    connection: Mapping[str, str] = field(default_factory=dict)
    save_connection: Callable[[Mapping[str, str]], None] = field(default=lambda _: None)


class LMS:
    """Plain LTI Advantage. Methods raise only the PlatformError family and stream page by page."""

    key: ClassVar[str] = "other"
    label: ClassVar[str] = "Other LMS (LTI Advantage)"
    docs: ClassVar[str] = "docs/lms/other.md"
    connection_settings: ClassVar[tuple[Setting, ...]] = ()

    def __init__(self, course: CourseHandle) -> None:
        self.course = course

    def members(self) -> Iterator[Member]:
        """Everybody in the course, active or not, each once. NRPS 2.0 §2."""
        raise NotImplementedError

    def gradables(self) -> Iterator[Gradable]:
        """Every item a rule can use, with where it comes from."""
        raise NotImplementedError

    def readings(
        self,
        wanted: Sequence[Gradable],
        subs: Callable[[], Iterator[str]],
        *,
        since: datetime | None = None,
    ) -> Iterator[Reading]:
        """Values of the wanted gradables, in whatever order is cheapest for this LMS.

        `subs` lists the learners to ask for where the LMS answers per learner. Each gradable ends
        with `ReadInFull` or `Unread`; one that fails never stops the others.
        """
        raise NotImplementedError

    def readings_of(self, sub: str, wanted: Sequence[Gradable]) -> Iterator[Reading]:
        """The same for one learner, in as few calls as possible: they are waiting for a page.

        `ReadInFull` then means that all of this learner was read.
        """
        raise NotImplementedError
