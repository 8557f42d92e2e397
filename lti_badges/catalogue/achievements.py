"""The badges a course can award: made here or at the backend, with an uploaded or made picture."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from lti_badges.backends import AchievementDraft, Backend
from lti_badges.catalogue.issuance import achievement_of, backend_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import BackendError, InvalidInput, NotFound, OutcomeUnknown
from lti_badges.core.links import web_address
from lti_badges.core.text import clean as cleaned
from lti_badges.core.text import line, optional_identifier, paragraph
from lti_badges.ledger.audit import record
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.picture import checked_image, generated_svg, png_from_svg
from lti_badges.store import Achievement, AwardRule, BackendRow, Course, ResourceLink
from lti_badges.values.badge import AchievementRef
from lti_badges.values.permission import Permission

MAX_NAME, MAX_TEXT, MAX_REF = 255, 5000, 500
LISTED_FOR = timedelta(minutes=10)
PNG, SVG = "image/png", "image/svg+xml"


def create_achievement(
    tool: ToolContext,
    backend_id: str,
    draft: AchievementDraft,
    *,
    course_id: str | None = None,
) -> str:
    """Create a badge at its backend and note it here. Returns our id.

    Raises InvalidInput for texts or a picture that can't be used, BackendError when the backend
    does not take it.
    """
    tool.require(Permission.EDIT_BADGES)
    draft = _checked(draft)
    with tool.sessions() as session:
        row = session.get(BackendRow, backend_id)
    if row is None:
        raise NotFound("There is no such badge backend.")
    backend = backend_of(tool, row)
    if not backend.traits.creates_achievements:
        raise InvalidInput(f"Badges of “{row.name}” are created there, not here.")
    sent = draft
    if not backend.traits.is_local and draft.image is None:
        picture = png_from_svg(generated_svg(draft.name))
        sent = AchievementDraft(draft.name, draft.description, draft.criteria, picture, PNG)
    made = _created(tool, row, backend, sent)
    with tool.sessions.begin() as session:
        achievement = Achievement(
            backend_id=backend_id,
            ref=made.ref,
            name=line(made.name, MAX_NAME) or draft.name,
            description=paragraph(made.description, MAX_TEXT) or "",
            criteria=paragraph(made.criteria, MAX_TEXT) or "",
            image=draft.image,
            image_type=draft.image_type,
            url=web_address(made.url),
            course_id=course_id,
        )
        session.add(achievement)
        session.flush()
        return achievement.id


def _created(
    tool: ToolContext, row: BackendRow, backend: Backend, draft: AchievementDraft
) -> AchievementRef:
    """A new badge there. One of this name that nobody knows here is the one whose answer was lost
    before, so it is taken in its place; after a lost answer the list is read once more."""
    if not backend.traits.lists or backend.traits.is_local:
        return backend.create(draft)
    if row.creating == draft.name and (found := _stranger(tool, row.id, backend, draft.name)):
        _note_creating(tool, row.id, None)
        return found
    try:
        made = backend.create(draft)
    except OutcomeUnknown as lost:
        with suppress(BackendError):
            if found := _stranger(tool, row.id, backend, draft.name):
                return found
        _note_creating(tool, row.id, draft.name)
        raise OutcomeUnknown(
            f"{lost.message} The badge may have been made all the same: try again in a minute, "
            "and it is looked for first.",
            code=lost.code,
        ) from lost
    _note_creating(tool, row.id, None)
    return made


def _stranger(
    tool: ToolContext, backend_id: str, backend: Backend, name: str
) -> AchievementRef | None:
    """A badge of this name at the backend that is not known here."""
    with tool.sessions() as session:
        known = set(
            session.scalars(select(Achievement.ref).where(Achievement.backend_id == backend_id))
        )
    found = (each for each in backend.achievements() if each.name == name)
    return next((each for each in found if each.ref not in known), None)


def _note_creating(tool: ToolContext, backend_id: str, name: str | None) -> None:
    with tool.sessions.begin() as session:
        session.get_one(BackendRow, backend_id).creating = name


def refresh_achievements(tool: ToolContext, backend_id: str) -> int:
    """Bring the list of a backend's own badges up to date; ones that vanished there are archived.
    Returns how many it has. Raises BackendError."""
    with tool.sessions() as session:
        row = session.get_one(BackendRow, backend_id)
    backend = backend_of(tool, row)
    if not backend.traits.lists:
        return 0
    try:
        found = list(backend.achievements())
        by_itself = list(backend.awards_itself())
    except BackendError as error:
        with tool.sessions.begin() as session:
            session.get_one(BackendRow, backend_id).listing_error = error.message
        raise
    listed = {each.ref: each for each in found if optional_identifier(each.ref, MAX_REF)}
    odd = [line(each.name, 60) or "no name" for each in found if each.ref not in listed]
    with tool.sessions.begin() as session:
        kept = session.get_one(BackendRow, backend_id)
        kept.listed_at, kept.listing_error = clock.now(), _left_out(odd)
        kept.awards_itself = by_itself
        known = {
            each.ref: each
            for each in session.scalars(
                select(Achievement).where(Achievement.backend_id == backend_id)
            )
        }
        for ref, one in listed.items():
            _note(session, backend_id, known.get(ref), one)
        for ref, each in known.items():
            each.archived = ref not in listed
    return len(listed)


@dataclass(frozen=True, slots=True)
class CourseCatalogue:
    """What a course can choose from: the backend it uses, the others it could use as (id, name),
    why the backend's own list may be old, and what it awards without us."""

    backend_id: str
    backend: str
    others: tuple[tuple[str, str], ...]
    can_create: bool
    error: str | None
    listed_at: datetime | None
    awards_itself: tuple[str, ...] = ()


def catalogue_of(tool: ToolContext, course_id: str) -> CourseCatalogue:
    """The badges a course can choose from, the backend's own listed anew when that was a while ago.
    A backend that can't be reached only leaves the list as it was."""
    with tool.sessions() as session:
        row = backend_of_course(session, course_id)
    backend = backend_of(tool, row)
    old = row.listed_at is None or clock.now() - row.listed_at > LISTED_FOR
    if old and backend.traits.lists:
        with suppress(BackendError):
            refresh_achievements(tool, row.id)
    with tool.sessions() as session:
        row = session.get_one(BackendRow, row.id)
        all_rows = session.execute(select(BackendRow.id, BackendRow.name).order_by(BackendRow.name))
        others = tuple((each.id, each.name) for each in all_rows if each.id != row.id)
    return CourseCatalogue(
        backend_id=row.id,
        backend=row.name,
        others=others,
        can_create=backend.traits.creates_achievements,
        error=row.listing_error,
        listed_at=row.listed_at,
        awards_itself=tuple(row.awards_itself or ()),
    )


def use_backend(tool: ToolContext, course_id: str, backend_id: str, *, by: str) -> None:
    """From now on the course chooses its badges from another backend; rules and awards that it has
    stay where they are. Raises NotFound."""
    tool.require(Permission.CHOOSE_BACKEND)
    with tool.sessions.begin() as session:
        course, row = session.get(Course, course_id), session.get(BackendRow, backend_id)
        if course is None or row is None:
            raise NotFound("There is no such badge backend any more.")
        course.backend_id = row.id
        record(session, "backend_chosen", actor=by, course_id=course.id, backend=row.name)


def achievements_for(tool: ToolContext, course_id: str) -> list[AchievementRef]:
    """The badges that rules of this course can award, by name: the site's and the course's own, of
    the backend that this course uses."""
    with tool.sessions() as session:
        backend = backend_of_course(session, course_id)
        rows = session.scalars(
            select(Achievement)
            .where(
                Achievement.archived.is_(False),
                Achievement.backend_id == backend.id,
                at_hand(course_id),
            )
            .order_by(Achievement.name)
        )
        return [achievement_of(tool, row) for row in rows]


def at_hand(course_id: str) -> ColumnElement[bool]:
    """Which badges a course can award: those of no single course, its own, and those that came with
    a copy of the course that made them: by a rule, or by a placed link that we had signed."""
    ruled = select(AwardRule.achievement_id).where(AwardRule.course_id == course_id)
    placed = select(ResourceLink.achievement_id).where(ResourceLink.course_id == course_id)
    return or_(
        Achievement.course_id.is_(None),
        Achievement.course_id == course_id,
        Achievement.id.in_(ruled),
        Achievement.id.in_(placed),
    )


def is_at_hand(session: Session, course_id: str, achievement: Achievement) -> bool:
    """Whether a course can award this badge; see `at_hand`."""
    found = session.scalar(
        select(Achievement.id).where(Achievement.id == achievement.id, at_hand(course_id))
    )
    return found is not None


def backend_of_course(session: Session, course_id: str) -> BackendRow:
    """The course's own backend, or the default. Raises NotFound when none is configured."""
    course = session.get(Course, course_id)
    row = session.get(BackendRow, course.backend_id) if course and course.backend_id else None
    if row is None and course is not None:
        row = session.scalar(
            select(BackendRow).where(
                BackendRow.is_default.is_(True),
                BackendRow.institution_id == course.institution_id,
            )
        )
    if row is None:
        raise NotFound("No badge backend is configured; an admin must add one.")
    return row


def _left_out(odd: list[str]) -> str | None:
    """One odd badge never stops the others."""
    named = ", ".join(f"“{name}”" for name in odd[:5])
    return f"Badges whose ids can't be kept are left out: {named}." if odd else None


def _note(
    session: Session, backend_id: str, row: Achievement | None, found: AchievementRef
) -> None:
    if row is None:
        row = Achievement(backend_id=backend_id, ref=found.ref)
        session.add(row)
    row.name = line(found.name, MAX_NAME) or "Untitled badge"
    row.description = paragraph(found.description, MAX_TEXT) or ""
    row.criteria, row.url = paragraph(found.criteria, MAX_TEXT) or "", web_address(found.url)
    if found.image is not None:
        row.image, row.image_type = found.image, found.image_type


def _checked(draft: AchievementDraft) -> AchievementDraft:
    texts = {
        "name": (draft.name, MAX_NAME),
        "description": (draft.description, MAX_TEXT),
        "criteria": (draft.criteria, MAX_TEXT),
    }
    clean = {}
    for field, (text, longest) in texts.items():
        clean[field] = cleaned(text).strip()
        if not clean[field]:
            raise InvalidInput(f"Give the badge a {field}.", field=field)
        if len(clean[field]) > longest:
            raise InvalidInput(f"The {field} may have at most {longest} characters.", field=field)
    name, description, criteria = clean["name"], clean["description"], clean["criteria"]
    if draft.image is None:
        return AchievementDraft(name, description, criteria)
    try:
        image_type, image = checked_image(draft.image)
    except CredentialError as error:
        raise InvalidInput(str(error), field="image") from error
    return AchievementDraft(name, description, criteria, image, image_type)
