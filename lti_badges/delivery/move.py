"""Badges move from one backend to another: the same rules, and no second badge for anybody.

The badge keeps its identity here, so whoever holds it holds it; what was issued stays where it is,
with everything needed to revoke it there. Awards that surely never left go out at the new backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session, aliased

from lti_badges.backends import AchievementDraft, Backend
from lti_badges.catalogue.achievements import refresh_achievements
from lti_badges.catalogue.configuration import backend_named, make_default
from lti_badges.catalogue.issuance import achievement_of, backend_of
from lti_badges.catalogue.pictures import picture_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.core.links import web_address
from lti_badges.ledger.audit import record
from lti_badges.ledger.states import change_state
from lti_badges.store import Achievement, Award, AwardRule, BackendRow, Course, State
from lti_badges.values.badge import AchievementRef

NEVER_LEFT = (State.PENDING, State.REJECTED, State.NEEDS_RECIPIENT, State.NEEDS_CONSENT)
KEPT = (
    "course_id",
    "member_id",
    "achievement_id",
    "rule_id",
    "rule_version",
    "recipient_key",
    "recipient",
    "judgement",
    "explanation",
    "granted_by",
    "achieved_at",
    "expires_at",
)
"""What a second issue has in common with the first."""
PNG = "image/png"


@dataclass(slots=True)
class Moved:
    """How many badges moved, how many waiting awards went with them, how many stay behind, and how
    many of those are issued a second time at the new place."""

    badges: int = 0
    sent_anew: int = 0
    stayed: int = 0
    issued_again: int = 0


def move_badges(
    tool: ToolContext,
    origin: str,
    target: str,
    names: Sequence[str] = (),
    *,
    again: bool = False,
    by: str = "admin",
) -> Moved:
    """Move the named badges, or all, with everything that is default there. Each badge moves in one
    transaction; run it again after a failure. `again`: awards that stand at the old backend are
    issued a second time at the new one; the first stay, and are revoked with them. Raises
    InvalidInput, NotFound and BackendError."""
    with tool.sessions() as session:
        old, new = backend_named(session, origin), backend_named(session, target)
        rows = list(
            session.scalars(
                select(Achievement)
                .where(Achievement.backend_id == old.id, Achievement.archived.is_(False))
                .order_by(Achievement.name)
            )
        )
    if old.id == new.id:
        raise InvalidInput("A backend's badges can't move to itself.")
    unknown = set(names) - {row.name for row in rows} - {row.id for row in rows}
    if unknown:
        raise NotFound(f"“{old.name}” has no badge “{min(unknown)}”.")
    chosen = [row for row in rows if not names or row.name in names or row.id in names]
    backend = backend_of(tool, new)
    refresh_achievements(tool, new.id)
    moved = Moved()
    for row in chosen:
        there = _counterpart(tool, backend, new, row)
        _move(tool, row.id, new.id, there, moved, by)
    if not names:
        _follow(tool, old, new)
    if again:
        moved.issued_again = _issue_again(tool, old.id, new.id, by)
    return moved


def _counterpart(
    tool: ToolContext, backend: Backend, new: BackendRow, row: Achievement
) -> AchievementRef:
    """The badge of the same name there, if nobody uses it yet; else one made of this one."""
    with tool.sessions.begin() as session:
        same = session.scalar(
            select(Achievement).where(
                Achievement.backend_id == new.id,
                Achievement.name == row.name,
                Achievement.archived.is_(False),
            )
        )
        if same is not None:
            if _is_used(session, same):
                raise InvalidInput(
                    f"“{row.name}” exists at “{new.name}” and is awarded there already; rename one."
                )
            found = achievement_of(tool, same)
            session.delete(same)
            return found
    if not backend.traits.creates_achievements:
        raise InvalidInput(
            f"Make a badge “{row.name}” at “{new.name}” first; it can't be made here."
        )
    picture = None if backend.traits.is_local else picture_of(tool, row.id, PNG).content
    media_type = None if picture is None else PNG
    draft = AchievementDraft(row.name, row.description, row.criteria, picture, media_type)
    return backend.create(draft)


def _move(
    tool: ToolContext, achievement_id: str, new: str, there: AchievementRef, moved: Moved, by: str
) -> None:
    due = []
    with tool.sessions.begin() as session:
        row = session.get_one(Achievement, achievement_id, with_for_update=True)
        awards = session.scalars(
            select(Award)
            .where(Award.achievement_id == row.id, Award.backend_id == row.backend_id)
            .with_for_update()
        )
        for award in awards:
            if award.state in NEVER_LEFT:
                _send_anew(session, award, new)
                due.append(award.id)
            else:
                award.achievement_ref = award.achievement_ref or row.ref
                moved.stayed += 1
        record(session, "badge_moved", actor=by, badge=row.name, was=row.backend_id, now=new)
        row.backend_id, row.ref, row.url = new, there.ref, web_address(there.url)
    moved.badges += 1
    moved.sent_anew += len(due)
    for award_id in due:
        tool.enqueue("deliver", award_id)


def _send_anew(session: Session, award: Award, new: str) -> None:
    award.backend_id, award.achievement_ref = new, None
    award.error, award.attempts, award.next_attempt_at = None, 0, clock.now()
    award.sends, award.origin = 0, None
    why = "The badge moved to another backend."
    change_state(session, award, State.PENDING, why=why)


def _issue_again(tool: ToolContext, old: str, new: str, by: str) -> int:
    """Once for each award: one that has a later number was issued again already."""
    later = aliased(Award)
    has_later = exists().where(
        later.achievement_id == Award.achievement_id,
        later.member_id == Award.member_id,
        later.number > Award.number,
    )
    with tool.sessions.begin() as session:
        standing = session.scalars(
            select(Award)
            .join(Achievement, Achievement.id == Award.achievement_id)
            .where(
                Award.backend_id == old,
                Achievement.backend_id == new,
                Award.state == State.ISSUED.value,
                Award.standing_at(clock.now()),
                ~has_later,
            )
            .with_for_update(of=Award)
        )
        copies = [_copy(session, award, new, by) for award in standing]
    for award_id in copies:
        tool.enqueue("deliver", award_id)
    return len(copies)


def _copy(session: Session, award: Award, new: str, by: str) -> str:
    copy = Award(
        number=award.number + 1,
        backend_id=new,
        **{name: getattr(award, name) for name in KEPT},
    )
    session.add(copy)
    session.flush()
    record(
        session,
        "issued_again",
        actor=by,
        course_id=award.course_id,
        member_id=award.member_id,
        rule_id=award.rule_id,
        award_id=copy.id,
        of=award.id,
    )
    return copy.id


def _follow(tool: ToolContext, old: BackendRow, new: BackendRow) -> None:
    """Courses and the whole site choose their next badges at the new backend."""
    with tool.sessions.begin() as session:
        session.execute(update(Course).where(Course.backend_id == old.id).values(backend_id=new.id))
    if old.is_default:
        make_default(tool, new.id)


def _is_used(session: Session, row: Achievement) -> bool:
    return any(
        session.scalar(select(model.id).where(model.achievement_id == row.id).limit(1))
        for model in (Award, AwardRule)
    )
