"""Persons behind course members: one `sub` of a platform, in all courses of an institution."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.store import Course, CourseMember, Deployment, Person, new_id


def link_persons(session: Session, course: Course, members: Sequence[CourseMember]) -> None:
    """Give members who have none their person, made if nobody has met them before; a name and an
    address that a course tells are the person's, too."""
    new = [row.sub for row in members if row.person_id is None]
    if new:
        _make(session, course, new)
    platform_id = _platform_of(session, course)
    subs = {row.sub for row in members}
    people = {
        each.sub: each
        for each in session.scalars(
            select(Person).where(
                Person.institution_id == course.institution_id,
                Person.platform_id == platform_id,
                Person.sub.in_(subs),
            )
        )
    }
    for row in members:
        person = people.get(row.sub)
        if person is None:
            continue
        row.person_id = person.id
        person.name, person.email = row.name or person.name, row.email or person.email


def person_named(session: Session, name: str) -> Person:
    """By id, `sub` or e-mail address. Raises NotFound, and InvalidInput when several are meant."""
    found = list(
        session.scalars(
            select(Person)
            .where(or_(Person.id == name, Person.sub == name, Person.email == name.lower()))
            .limit(2)
        )
    )
    if not found:
        raise NotFound(f"There is nobody called “{name[:100]}”; see: lti-badges people list")
    if len(found) > 1:
        raise InvalidInput(f"Several people are called “{name[:100]}”; name one by their id.")
    return found[0]


def members_of(session: Session, person_id: str) -> list[CourseMember]:
    """The person in each of their courses."""
    rows = session.scalars(select(CourseMember).where(CourseMember.person_id == person_id))
    return list(rows)


def _make(session: Session, course: Course, subs: Sequence[str]) -> None:
    """Two courses read at once may meet somebody at the same time: one of them makes the row."""
    insert = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    values = [
        {
            "id": new_id(),
            "institution_id": course.institution_id,
            "platform_id": _platform_of(session, course),
            "sub": sub,
            "created_at": clock.now(),
        }
        for sub in dict.fromkeys(subs)
    ]
    session.execute(insert.insert(Person).values(values).on_conflict_do_nothing())


def _platform_of(session: Session, course: Course) -> str:
    return session.get_one(Deployment, course.deployment_id).platform_id
