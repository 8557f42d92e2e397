"""People, grade items, results and completions of a course, as read from an LMS."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"
ACTIVE, CONCLUDED = "Active", "Concluded"
"""Statuses of those who may earn. Concluded is our own word, for enrolments that ended with the
term: their final grades count, and what is read of them takes no badge away."""
COURSE_COMPLETION = ""
COURSE_GRADE_KEY = "course-grade"


class Role(StrEnum):
    """What a person may do in a course, by course membership roles only (LTI 1.3 §A.2)."""

    INSTRUCTOR = "instructor"
    LEARNER = "learner"
    OBSERVER = "observer"
    NONE = "none"


_INSTRUCTORS = frozenset({"Instructor", "ContentDeveloper", "Administrator", "Manager"})
_KNOWN_CONTEXT_ROLES = _INSTRUCTORS | {"Learner", "Mentor", "Member", "Officer"}


def context_roles(roles: frozenset[str]) -> frozenset[str]:
    """The principal course roles in short form; institution and system roles say nothing here.

    Takes full URIs, sub-role URIs (`…/membership/Instructor#TeachingAssistant` counts as its
    principal role) and the deprecated short names, which NRPS of Moodle still sends.
    """
    found = set()
    for role in roles:
        base, _, name = role.rpartition("#")
        if base == MEMBERSHIP:
            found.add(name)
        elif base.startswith(f"{MEMBERSHIP}/"):
            found.add(base.removeprefix(f"{MEMBERSHIP}/"))
        elif role in _KNOWN_CONTEXT_ROLES:
            found.add(role)
    return frozenset(found & _KNOWN_CONTEXT_ROLES)


def role_of(roles: frozenset[str]) -> Role:
    """The strongest course role; none known, `[""]` or no role at all gives `Role.NONE`."""
    names = context_roles(roles)
    if names & _INSTRUCTORS:
        return Role.INSTRUCTOR
    if "Learner" in names:
        return Role.LEARNER
    if "Mentor" in names:
        return Role.OBSERVER
    return Role.NONE


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a course (NRPS 2.0 §2.2). `sub` is the platform's id, the launch's `sub`."""

    sub: str
    roles: frozenset[str]
    name: str | None = None
    email: str | None = None
    status: str = ACTIVE
    given_name: str | None = None
    family_name: str | None = None
    sourcedid: str | None = None
    custom: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_test(self) -> bool:
        """A preview or test student: shown, never awarded."""
        return TEST_USER in self.roles

    @property
    def can_earn(self) -> bool:
        """An active or concluded learner who is neither staff here, nor an observer, nor a test
        user."""
        if self.status not in {ACTIVE, CONCLUDED} or self.is_test:
            return False
        if "Mentor" in context_roles(self.roles):
            return False
        return role_of(self.roles) is Role.LEARNER


class Kind(StrEnum):
    """What a rule can use: a grade item, the course grade, an activity's or the course's
    completion, membership of a section or group. COURSE_GRADE has the key `COURSE_GRADE_KEY`,
    COMPLETION `COURSE_COMPLETION`."""

    ITEM = "item"
    COURSE_GRADE = "course_grade"
    ACTIVITY = "activity"
    COMPLETION = "completion"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Gradable:
    """Something of a course that a rule can use.

    `key` is stable in its source (AGS: the line item's id, an address). `maximum` may be unknown.
    `source` says in words where it is read from, for people. `is_own` marks columns that this
    tool made to pass badges back; no rule may use them. `in_words` ones are graded by letters or
    other marks; `is_rare` ones are listed once a day only,
    `is_hidden` ones are kept from learners.
    """

    kind: Kind
    key: str
    label: str
    maximum: Fraction | None
    source: str
    is_own: bool = False
    resource_link_id: str | None = None
    resource_id: str | None = None
    tag: str | None = None
    in_words: bool = False
    is_rare: bool = False
    is_hidden: bool = False


class ResultState(StrEnum):
    """What an LMS says of a result besides its points.

    GRADED: points count. MISSING: nothing recorded. EXCUSED: this learner is exempt.
    HIDDEN: the learner can't see it yet. PENDING: being graded or recalculated.
    """

    GRADED = "graded"
    MISSING = "missing"
    EXCUSED = "excused"
    HIDDEN = "hidden"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Result:
    """One learner's result (AGS 2.0 §3.3), exact points of maximum. `key` is the gradable's;
    the course grade has COURSE_GRADE_KEY. `mark` is the grade in words (“A-”, “complete”), where
    the LMS grades by words; `changed_at` since when the value has been what it is, as far as we
    read it; the other times are the LMS's own, where it tells them."""

    key: str
    sub: str
    state: ResultState
    score: Fraction | None
    maximum: Fraction | None
    read_at: datetime
    mark: str | None = None
    changed_at: datetime | None = None
    graded_at: datetime | None = None
    submitted_at: datetime | None = None
    posted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """Whether one learner completed the course (`activity` is empty) or an activity, or, with
    `is_group`, is in a section or group."""

    sub: str
    activity: str
    completed: bool
    completed_at: datetime | None
    read_at: datetime
    is_group: bool = False
    changed_at: datetime | None = None

    @property
    def kind(self) -> Kind:
        """Of the gradable whose value it is."""
        if self.is_group:
            return Kind.GROUP
        return Kind.ACTIVITY if self.activity else Kind.COMPLETION


@dataclass(frozen=True, slots=True)
class ReadInFull:
    """All there is of one gradable has now been read: whoever was not named has no result."""

    kind: Kind
    key: str


@dataclass(frozen=True, slots=True)
class Unread:
    """One gradable could not be read, and why: its values stay as they were, never zero."""

    kind: Kind
    key: str
    error: str
    code: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    """Whether the LMS itself treats somebody as a learner (Moodle's `istrackeduser`): its roster
    may call staff without editing rights learners."""

    sub: str
    tracked: bool


@dataclass(frozen=True, slots=True)
class UpToDate:
    """What changed in one gradable since it was last read has now been told; the rest stands."""

    kind: Kind
    key: str


Reading = Result | Completion | Tracking | ReadInFull | UpToDate | Unread
"""What a course answers, streamed: values, and after each gradable whether that was all."""
