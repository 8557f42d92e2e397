"""The learner's badges: what they earned, and how far the rest is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.backends import KINDS
from lti_badges.catalogue.issuance import achievement_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.ledger.rules_in_force import current_versions
from lti_badges.people.consent import asked
from lti_badges.people.display import may_show_result
from lti_badges.rules import Judgement
from lti_badges.store import (
    Achievement,
    Award,
    BackendRow,
    Course,
    CourseMember,
    IssuedCredential,
    Standing,
    State,
)
from lti_badges.values.badge import AchievementRef

NEW = timedelta(minutes=15)
_SIGNED_BY = IssuedCredential.document["issuer"]["name"].as_string()
MOVING = frozenset({State.PENDING, State.SENDING, State.UNKNOWN, State.REVOKING})


@dataclass(frozen=True, slots=True)
class Earned:
    """A badge that was earned. `url` is its public page once it is issued; `is_ours` when this
    tool's own issuer signed it, so that it can be downloaded here."""

    award_id: str
    achievement: AchievementRef
    state: str
    achieved_at: datetime
    issued_at: datetime | None
    expires_at: datetime | None
    explanation: str
    url: str | None
    is_ours: bool
    issuer: str
    reason: str | None
    visibility: str = "link"
    shows_name: bool = False
    shows_result: bool = False
    may_show_result: bool = False
    is_local: bool = False
    course: str = ""
    declined: bool = False
    """Whether the learner gave it back."""

    @property
    def is_new(self) -> bool:
        """Issued within the last quarter of an hour: worth a small celebration."""
        return self.issued_at is not None and clock.now() - self.issued_at < NEW


@dataclass(frozen=True, slots=True)
class InProgress:
    """A badge still to be earned, by the rule's last judgement (None: not judged yet); `waits` says
    why a met rule has not led to it. `rule` is None when the badge was placed and has none yet."""

    achievement: AchievementRef
    rule: str | None
    judgement: Judgement | None
    judged_at: datetime | None
    waits: str | None = None


@dataclass(frozen=True, slots=True)
class LearnerBadges:
    """All of it, the badge whose placed link was opened first in its list."""

    earned: tuple[Earned, ...]
    toward: tuple[InProgress, ...]
    asked: tuple[tuple[str, str, str, str], ...] = ()
    opens_unearned: bool = False
    """Whether the link of a badge was opened that is still to be earned: it comes first."""

    @property
    def is_moving(self) -> bool:
        """Whether something is on its way, so that the page should be asked for again soon."""
        return any(each.state in MOVING for each in self.earned)


def learner_badges(
    tool: ToolContext, course_id: str, member_id: str, focus: str | None = None
) -> LearnerBadges:
    """What one learner has and what the course still offers them."""
    with tool.sessions() as session:
        rows = session.execute(
            select(
                Award, Achievement, BackendRow, IssuedCredential.award_id, _SIGNED_BY, Course.title
            )
            .join(Achievement, Achievement.id == Award.achievement_id)
            .join(BackendRow, BackendRow.id == Award.backend_id)
            .outerjoin(IssuedCredential, IssuedCredential.award_id == Award.id)
            .join(Course, Course.id == Award.course_id)
            .where(Award.member_id.in_(_same_person(session, member_id)))
            .order_by((Award.member_id == member_id).desc(), Award.created_at.desc())
        ).all()
        earned = [_earned(tool, *row, may_show=may_show_result(session, row[0])) for row in rows]
        held = {award.achievement_id for award, *_ in rows if award.stands_at(clock.now())}
        questions = tuple(asked(session, member_id))
        toward = []
        for rule, version in current_versions(session, course_id):
            if rule.achievement_id in held:
                continue
            achievement = session.get_one(Achievement, rule.achievement_id)
            standing = session.get(Standing, (rule.id, member_id))
            toward.append(
                InProgress(
                    achievement_of(tool, achievement),
                    version.description,
                    Judgement.from_json(standing.judgement) if standing else None,
                    standing.judged_at if standing else None,
                    standing.waits if standing else None,
                )
            )
        listed = {one.achievement.id for one in earned} | {one.achievement.id for one in toward}
        placed = session.get(Achievement, focus) if focus and focus not in listed else None
        if placed is not None:
            toward.append(InProgress(achievement_of(tool, placed), None, None, None))
    earned.sort(key=lambda each: (each.achievement.id != focus, each.state == State.REVOKED))
    toward.sort(key=lambda each: each.achievement.id != focus)
    first = bool(toward) and toward[0].achievement.id == focus
    return LearnerBadges(tuple(earned), tuple(toward), questions, first)


def _same_person(session: Session, member_id: str) -> list[str]:
    """The learner as a member of each of their courses, this one first."""
    person_id = session.scalar(select(CourseMember.person_id).where(CourseMember.id == member_id))
    if person_id is None:
        return [member_id]
    rows = session.scalars(select(CourseMember.id).where(CourseMember.person_id == person_id))
    return [member_id, *rows]


def observed_badges(
    tool: ToolContext, course_id: str, subs: Sequence[str]
) -> list[tuple[str, LearnerBadges]]:
    """What each of the named learners has in the course, with their name, by name."""
    with tool.sessions() as session:
        members = list(
            session.scalars(
                select(CourseMember).where(
                    CourseMember.course_id == course_id,
                    CourseMember.sub.in_(subs),
                    CourseMember.present.is_(True),
                )
            )
        )
    found = [
        (each.name or each.email or "A learner", learner_badges(tool, course_id, each.id))
        for each in members
    ]
    return sorted(found, key=lambda each: each[0].lower())


def _earned(
    tool: ToolContext,
    award: Award,
    achievement: Achievement,
    backend: BackendRow,
    signed: str | None,
    signed_by: str | None,
    course: str,
    *,
    may_show: bool,
) -> Earned:
    url = award.backend_url or tool.settings.url(f"/credentials/{award.id}")
    return Earned(
        award_id=award.id,
        achievement=achievement_of(tool, achievement),
        state=award.state,
        achieved_at=award.achieved_at,
        issued_at=award.issued_at,
        expires_at=award.expires_at,
        explanation=award.explanation,
        url=url if award.state in {State.ISSUED, State.REVOKING, State.REVOKED} else None,
        is_ours=signed is not None,
        issuer=signed_by or backend.name,
        reason=award.revocation_reason,
        visibility=award.visibility,
        shows_name=award.shows_name,
        shows_result=award.shows_result,
        may_show_result=may_show,
        is_local=KINDS[backend.kind].traits.is_local,
        declined=award.declined_at is not None,
        course=course,
    )
