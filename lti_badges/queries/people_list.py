"""People of an institution: found, and one of them with courses and badges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from lti_badges.context import ToolContext
from lti_badges.core.errors import NotFound
from lti_badges.people.persons import members_of
from lti_badges.queries.listing import Listing, Order, matches, page_of
from lti_badges.store import Achievement, Award, CourseMember, Person, Platform


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """One line; who was erased has no name."""

    id: str
    name: str
    email: str
    platform: str
    courses: int
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class InCourse:
    """A person in one course."""

    course: str
    course_id: str
    present: bool
    learns: bool


@dataclass(frozen=True, slots=True)
class HeldBadge:
    """One award of a person."""

    award_id: str
    badge: str
    course: str
    state: str
    achieved_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class PersonView:
    """Everything that the console shows of one."""

    person: ListedPerson
    sub: str
    courses: tuple[InCourse, ...]
    badges: tuple[HeldBadge, ...]


def people_list(tool: ToolContext, search: str = "", at: str = "") -> Listing[ListedPerson]:
    """A page of them by name; `search` looks into names, e-mail addresses and ids. Raises
    InvalidInput."""
    courses = (
        select(func.count())
        .where(CourseMember.person_id == Person.id)
        .correlate(Person)
        .scalar_subquery()
    )
    query = select(Person, Platform.name, Platform.issuer, courses).join(
        Platform, Platform.id == Person.platform_id
    )
    if search.strip():
        query = query.where(matches(search, Person.name, Person.email, Person.sub))
    order = Order(func.lower(func.coalesce(Person.name, "")), Person.id)
    with tool.sessions() as session:
        page = page_of(session, query, order, at)
    return Listing(
        tuple(
            _listed(person, name or issuer, count) for person, name, issuer, count, *_ in page.rows
        ),
        page.before,
        page.after,
    )


def person_view(tool: ToolContext, person_id: str) -> PersonView:
    """One of them. Raises NotFound."""
    with tool.sessions() as session:
        person = session.get(Person, person_id)
        if person is None:
            raise NotFound("There is no such person.")
        platform = session.get_one(Platform, person.platform_id)
        members = members_of(session, person.id)
        titles = {each.id: each.course.title or each.course.label for each in members}
        awards = session.execute(
            select(Award, Achievement.name)
            .join(Achievement, Achievement.id == Award.achievement_id)
            .where(Award.member_id.in_(titles))
            .order_by(Award.created_at.desc())
        )
        badges = tuple(
            HeldBadge(
                award.id,
                badge,
                titles[award.member_id],
                award.state,
                award.achieved_at,
                award.error or "",
            )
            for award, badge in awards
        )
        courses = tuple(
            InCourse(titles[each.id] or "A course", each.course_id, each.present, each.can_earn)
            for each in members
        )
    listed = _listed(person, platform.name or platform.issuer, len(members))
    return PersonView(listed, person.sub, courses, badges)


def _listed(person: Person, platform: str, courses: int) -> ListedPerson:
    return ListedPerson(
        id=person.id,
        name="Erased" if person.erased_at else person.name or person.email or person.sub,
        email=person.email or "",
        platform=platform,
        courses=courses,
        erased_at=person.erased_at,
    )
