"""What a badge backend is told and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lti_badges.values.score import Points


@dataclass(frozen=True, slots=True)
class Recipient:
    """The learner as a backend may know them; `lti_user_id` is the platform's `sub`."""

    email: str | None
    name: str | None
    lti_user_id: str
    sourcedid: str | None = None
    custom: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class AchievementRef:
    """A badge to be earned: our id, the backend's own id (`ref`) and what people read."""

    id: str
    ref: str
    name: str
    description: str
    criteria: str
    image: bytes | None = field(default=None, repr=False)
    image_type: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """One judged criterion for the credential's `result`: in words and, where it is one, points."""

    label: str
    value: str | None
    needed: str | None
    explanation: str
    points: Points | None = None


@dataclass(frozen=True, slots=True)
class Issuance:
    """The order to issue one award. `url` is the award's public address and our marker at
    the backend; `number` counts awards of the same badge to the same member, from 1.
    `shown_name` is the learner's, in clear, if they want it shown."""

    award_id: str
    url: str
    achievement: AchievementRef
    recipient: Recipient
    achieved_at: datetime
    explanation: str
    measures: tuple[Measure, ...] = ()
    course_title: str | None = None
    course_url: str | None = None
    expires_at: datetime | None = None
    supersedes: str | None = None
    number: int = 1
    shown_name: str | None = None


@dataclass(frozen=True, slots=True)
class ListedAward:
    """One award as a backend lists it: its own id, the markers of ours it carries, whether it
    stands."""

    ref: str
    markers: frozenset[str] = frozenset()
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the backend stored: its own id, public address, when, and whether it stands. `adopted`:
    it was there already, and nothing shows that it was issued for this award."""

    ref: str
    url: str | None
    issued_at: datetime
    revoked: bool = False
    adopted: bool = False
