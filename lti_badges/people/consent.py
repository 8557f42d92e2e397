"""Whether anything about a learner may leave for a badge service: asked, answered, and kept as a
receipt. Backends with `consent` = ask get nothing before the learner agreed."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.ledger.audit import record
from lti_badges.ledger.states import change_state
from lti_badges.store import Award, BackendRow, Consent, CourseMember, Institution, State

NONE, INFORM, ASK = MODES = ("none", "inform", "ask")
AGREED, DECLINED, WITHDRAWN = ANSWERS = ("agreed", "declined", "withdrawn")
ITEMS = ["e-mail address or learner id", "badge", "date", "result, if you show it"]
WORDING = (
    "Your badges of this course are kept by “{service}”. For that, your e-mail address or learner "
    "id, the badge and its date are sent there. You can take this back at any time: then nothing "
    "more is sent."
)


def wording(session: Session, backend: BackendRow) -> str:
    """The question in the institution's words, else in ours."""
    institution = session.get(Institution, backend.institution_id)
    own = str(institution.settings.get("consent_wording", "")) if institution else ""
    return (own or WORDING).replace("{service}", backend.name)


def must_wait(session: Session, award: Award, backend: BackendRow) -> bool:
    """Whether an award may not be sent yet; it is put aside then. What was sent once can be revoked
    without asking."""
    if backend.consent != ASK or award.state == State.REVOKING or award.sends:
        return False
    if latest(session, award.member_id, backend.id) == AGREED:
        return False
    award.next_attempt_at = None
    award.error = "It waits until the learner has agreed that it is sent to the badge service."
    change_state(session, award, State.NEEDS_CONSENT, why="The learner has not agreed yet.")
    return True


def latest(session: Session, member_id: str, backend_id: str) -> str | None:
    """The learner's last answer about a backend."""
    person = select(CourseMember.person_id).where(CourseMember.id == member_id).scalar_subquery()
    return session.scalar(
        select(Consent.state)
        .where(Consent.person_id == person, Consent.backend_id == backend_id)
        .order_by(Consent.at.desc())
        .limit(1)
    )


def answer_consent(
    tool: ToolContext, member_id: str, backend_id: str, answer: str, *, by: str
) -> list[str]:
    """Keep a learner's answer with the words they were shown; with “agreed” what waited goes on.
    Returns the ids of awards that are due. Raises InvalidInput and NotFound."""
    if answer not in ANSWERS:
        raise InvalidInput(f"An answer is one of: {', '.join(ANSWERS)}.")
    with tool.sessions.begin() as session:
        member = session.get(CourseMember, member_id)
        backend = session.get(BackendRow, backend_id)
        if member is None or member.person_id is None or backend is None:
            raise NotFound("There is no such badge service.")
        session.add(
            Consent(
                person_id=member.person_id,
                backend_id=backend.id,
                state=answer,
                recipient=backend.name,
                items=ITEMS,
                wording=wording(session, backend),
            )
        )
        record(
            session,
            f"consent_{answer}",
            actor=by,
            course_id=member.course_id,
            member_id=member.id,
            backend=backend.name,
        )
        if answer != AGREED:
            return []
        mine = select(CourseMember.id).where(CourseMember.person_id == member.person_id)
        waiting = list(
            session.scalars(
                select(Award).where(
                    Award.member_id.in_(mine),
                    Award.backend_id == backend.id,
                    Award.state == State.NEEDS_CONSENT.value,
                )
            )
        )
        for award in waiting:
            award.next_attempt_at, award.error = clock.now(), None
            change_state(session, award, State.PENDING, why="The learner agreed.", actor=by)
        due = [award.id for award in waiting]
    for award_id in due:
        tool.enqueue("deliver", award_id)
    return due


def set_consent(tool: ToolContext, backend: str, mode: str, *, by: str) -> None:
    """Whether learners are told, or asked, before anything goes to a backend (by id). Raises
    InvalidInput and NotFound."""
    if mode not in MODES:
        raise InvalidInput(f"Consent is one of: {', '.join(MODES)}.", field="consent")
    with tool.sessions.begin() as session:
        row = session.get(BackendRow, backend)
        if row is None:
            raise NotFound("There is no such badge backend.")
        row.consent = mode
        record(session, "consent_mode_set", actor=by, backend=row.name, mode=mode)


def asked(session: Session, member_id: str) -> list[tuple[str, str, str, str]]:
    """What a learner is told or asked: (backend id, mode, words, their last answer), for backends
    that have, or wait for, an award of theirs."""
    found = []
    rows = session.scalars(
        select(BackendRow).where(
            BackendRow.consent != NONE,
            BackendRow.id.in_(select(Award.backend_id).where(Award.member_id == member_id)),
        )
    )
    for row in rows:
        given = latest(session, member_id, row.id) or ""
        found.append((row.id, row.consent, wording(session, row), given))
    return found
