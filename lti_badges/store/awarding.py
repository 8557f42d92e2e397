"""Award rules, their versions, each member's standing, awards and the audit trail."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    ColumnElement,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    and_,
    false,
    or_,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lti_badges.store.badges import Achievement, BackendRow
from lti_badges.store.base import Base, UtcDateTime, new_id, now
from lti_badges.store.courses import Course, CourseMember


class State(StrEnum):
    """The states of an award (design: pending → sending → issued → revoking → revoked; aside:
    unknown, needs_recipient, needs_consent, rejected)."""

    PENDING = "pending"
    SENDING = "sending"
    ISSUED = "issued"
    REVOKING = "revoking"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    NEEDS_RECIPIENT = "needs_recipient"
    NEEDS_CONSENT = "needs_consent"
    REJECTED = "rejected"


class Origin(StrEnum):
    """Whose credential an award points to: issued by us for it, adopted (it was there before), or
    shared by several awards of ours."""

    ISSUED = "issued"
    ADOPTED = "adopted"
    SHARED = "shared"


STANDING_STATES = frozenset(State) - {State.REVOKED}
"""An award in one of these counts as held or on its way: no second one is made."""


class AwardRule(Base):
    """In a course: achievement + criteria + policy. `version` is the current one.

    `suspicion` is why the next awards are counted before they are made; `stopped` what the count
    showed, once the rule waits for the instructor: why, grants, revocations, learners.
    `pass_back_item` is the gradebook column that its scores go to, `column_drop` that it is to be
    removed, `column_error` why that failed.
    """

    __tablename__ = "award_rules"
    __table_args__ = (Index(None, "course_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    course_id: Mapped[str] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    achievement_id: Mapped[str] = mapped_column(ForeignKey("achievements.id", ondelete="RESTRICT"))
    version: Mapped[int] = mapped_column(Integer, default=1)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    pass_back_item: Mapped[str | None] = mapped_column(Text)
    column_drop: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    column_error: Mapped[str | None] = mapped_column(Text)
    suspicion: Mapped[str | None] = mapped_column(Text)
    stopped: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)

    course: Mapped[Course] = relationship()
    achievement: Mapped[Achievement] = relationship()
    versions: Mapped[list[RuleVersion]] = relationship(
        back_populates="rule", cascade="all, delete-orphan", order_by="RuleVersion.version"
    )


class RuleVersion(Base):
    """A rule as it stood: never changed once written. `criteria` is `rules.dump`'s form;
    `builds_on` tells that it asks for other badges."""

    __tablename__ = "rule_versions"

    rule_id: Mapped[str] = mapped_column(
        ForeignKey("award_rules.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    criteria: Mapped[dict[str, Any]] = mapped_column(JSON)
    description: Mapped[str] = mapped_column(Text)
    on_fall: Mapped[str] = mapped_column(String(10), default="keep")
    grace_days: Mapped[int] = mapped_column(Integer, default=7)
    pass_back: Mapped[bool] = mapped_column(Boolean, default=False)
    valid_days: Mapped[int | None] = mapped_column(Integer)
    valid_until: Mapped[date | None] = mapped_column(Date)
    not_before: Mapped[date | None] = mapped_column(Date)
    not_after: Mapped[date | None] = mapped_column(Date)
    delay_days: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    counts_hidden: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    settle_minutes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    counts_at: Mapped[str] = mapped_column(String(12), default="graded", server_default="graded")
    builds_on: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    may_show_result: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_by: Mapped[str] = mapped_column(String(255), default="")

    rule: Mapped[AwardRule] = relationship(back_populates="versions")


class Standing(Base):
    """How a member stands under a rule now: the last judgement in words, and since when.

    `fallen_at` is when a member who holds the badge was first seen below the threshold again;
    `flagged` asks the instructor for a decision; `kept` is the decision to let the badge stand.
    `waits` says why a met rule has not led to its badge. `met_by` is whose time `met_since` is;
    `takes_version` the version whose writer saw that this member loses the badge, and wanted it.
    """

    __tablename__ = "standings"

    rule_id: Mapped[str] = mapped_column(
        ForeignKey("award_rules.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    version: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(String(10))
    judgement: Mapped[dict[str, Any]] = mapped_column(JSON)
    judged_at: Mapped[datetime] = mapped_column(UtcDateTime)
    met_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    met_by: Mapped[str | None] = mapped_column(String(12))
    fallen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    takes_version: Mapped[int | None] = mapped_column(Integer)
    flagged: Mapped[bool] = mapped_column(Boolean, default=False)
    kept: Mapped[bool] = mapped_column(Boolean, default=False)
    waits: Mapped[str | None] = mapped_column(Text)


class Award(Base):
    """One member × one achievement in one course, through its states.

    `number` counts from 1 and rises only when the award before it was revoked. What it was
    granted for is kept for ever: rule version, judgement, recipient. Delivery uses `attempts`,
    `next_attempt_at`, `lease_until` and `claim` (the token of whoever is sending it now).
    `achievement_ref` is the badge's id at this award's backend once the badge moved to another.
    `origin` says whose the credential there is (an `Origin`; none for awards of older versions),
    `revoke_adopted` that a person wants even an adopted one revoked; `sends` counts sends that may
    have arrived. `achieved_by` says whose time `achieved_at` is. A send whose answer was lost is
    not looked up before `rest_until`. `passed_back` is how its score in the gradebook stands:
    none, due, done, refused, withdraw, withdrawn.
    What its learner chose: `visibility` hidden, link or public; whether name and result are shown.
    """

    __tablename__ = "awards"
    __table_args__ = (
        UniqueConstraint("achievement_id", "member_id", "number"),
        Index(None, "state", "next_attempt_at"),
        Index(None, "course_id", "state"),
        Index(None, "created_at", "id"),
        Index(None, "member_id"),
        Index(None, "backend_id", "achievement_id", "recipient_key"),
        Index("ix_awards_passed_back", "passed_back", "pass_back_at"),
        # The schedule looks every two seconds for the few that are on their way, among millions.
        Index(
            "ix_awards_leased",
            "lease_until",
            postgresql_where=text("lease_until IS NOT NULL"),
            sqlite_where=text("lease_until IS NOT NULL"),
        ),
        Index(
            "ix_awards_to_pass_back",
            "created_at",
            "id",
            postgresql_where=text("passed_back IN ('due', 'withdraw')"),
            sqlite_where=text("passed_back IN ('due', 'withdraw')"),
        ),
        CheckConstraint("number >= 1", name="number_from_one"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    course_id: Mapped[str] = mapped_column(ForeignKey("courses.id", ondelete="RESTRICT"))
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id", ondelete="RESTRICT"))
    achievement_id: Mapped[str] = mapped_column(ForeignKey("achievements.id", ondelete="RESTRICT"))
    backend_id: Mapped[str] = mapped_column(ForeignKey("backends.id", ondelete="RESTRICT"))
    rule_id: Mapped[str | None] = mapped_column(ForeignKey("award_rules.id", ondelete="SET NULL"))
    rule_version: Mapped[int | None] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(Integer, default=1)
    state: Mapped[str] = mapped_column(String(20), default=State.PENDING.value)
    recipient_key: Mapped[str] = mapped_column(String(320))
    recipient: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    judgement: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    explanation: Mapped[str] = mapped_column(Text)
    granted_by: Mapped[str] = mapped_column(String(255), default="rule")
    achieved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    achieved_by: Mapped[str | None] = mapped_column(String(12))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    issued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revocation_reason: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    achievement_ref: Mapped[str | None] = mapped_column(String(500))
    backend_ref: Mapped[str | None] = mapped_column(String(500))
    backend_url: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=now)
    origin: Mapped[str | None] = mapped_column(String(10))
    revoke_adopted: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    sends: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    rest_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claim: Mapped[str | None] = mapped_column(String(80))
    passed_back: Mapped[str] = mapped_column(String(10), default="none")
    pass_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    pass_back_attempts: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    passed_back_error: Mapped[str | None] = mapped_column(Text)
    visibility: Mapped[str] = mapped_column(String(10), default="link", server_default="link")
    shows_name: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    shows_result: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    declined_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def stands_at(self, moment: datetime) -> bool:
        """Whether it counts as held or on its way: neither revoked nor expired."""
        fresh = self.expires_at is None or self.expires_at > moment
        return self.state in STANDING_STATES and fresh

    @classmethod
    def standing_at(cls, moment: datetime) -> ColumnElement[bool]:
        """The same, as a condition."""
        fresh = or_(cls.expires_at.is_(None), cls.expires_at > moment)
        return and_(cls.state.in_([state.value for state in STANDING_STATES]), fresh)

    course: Mapped[Course] = relationship()
    member: Mapped[CourseMember] = relationship()
    achievement: Mapped[Achievement] = relationship()
    backend: Mapped[BackendRow] = relationship()


class Delivery(Base):
    """One at a time per (backend, achievement, recipient): who holds this row may send."""

    __tablename__ = "delivery_locks"

    key: Mapped[str] = mapped_column(String(500), primary_key=True)
    award_id: Mapped[str] = mapped_column(String(36))
    claim: Mapped[str] = mapped_column(String(80))
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)


class AuditEvent(Base):
    """What happened, when, by whom, from which address; written in the same transaction as what it
    tells of."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "award_id"),
        Index(None, "course_id", "at"),
        Index(None, "institution_id", "id"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    kind: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(255), default="lti-badges")
    address: Mapped[str | None] = mapped_column(String(80))
    institution_id: Mapped[str | None] = mapped_column(String(36))
    course_id: Mapped[str | None] = mapped_column(String(36))
    member_id: Mapped[str | None] = mapped_column(String(36))
    rule_id: Mapped[str | None] = mapped_column(String(36))
    award_id: Mapped[str | None] = mapped_column(String(36))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
