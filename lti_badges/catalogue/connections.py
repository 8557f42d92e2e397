"""Credentials for the LMSes' own APIs: whose count for a course, whether they work, and how an
instructor signs in for one course."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from sqlalchemy import or_, select

from lti_badges import lms
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import NotFound, PlatformDown, PlatformError, Unsupported
from lti_badges.ledger.audit import record
from lti_badges.ledger.course_lock import ask_for_reading
from lti_badges.lti.service import Service
from lti_badges.lti.tokens import PlatformEndpoint
from lti_badges.store import Course, CourseMember, Deployment, Platform, ResourceLink
from lti_badges.store.courses import MEMORY
from lti_badges.store.leases import LeaseTimeout, alone
from lti_badges.values.permission import Permission

CHECK_EVERY = timedelta(days=1)
ACTIVE_FOR = timedelta(days=1)
ALONE_FOR, ALONE_WAIT_S = timedelta(seconds=90), 45.0
Holder = Platform | Deployment | Course
Change = Callable[[Mapping[str, str]], Mapping[str, str]]


def platform_endpoint(platform: Platform, deployment_id: str | None) -> PlatformEndpoint:
    """Where and as whom to call a platform's services."""
    audience = lms.of(platform.lms).audience(platform.auth_audience)
    return PlatformEndpoint(
        platform_id=platform.id,
        issuer=platform.issuer,
        client_id=platform.client_id,
        token_url=platform.auth_token_url,
        audience=audience,
        deployment_id=deployment_id,
    )


def lms_of(tool: ToolContext, course_id: str) -> lms.LMS:
    """The course, opened at its LMS. Raises NotFound."""
    with tool.sessions() as session:
        course = session.get(Course, course_id)
        if course is None:
            raise NotFound("There is no such course.")
        deployment = session.get_one(Deployment, course.deployment_id)
        platform = session.get_one(Platform, deployment.platform_id)
        placed = select(ResourceLink).where(ResourceLink.course_id == course_id)
        links = session.scalars(placed.order_by(ResourceLink.last_launch_at)).all()
    return _opened(tool, platform, deployment, course, links)


def check_connection(
    tool: ToolContext, platform_id: str, deployment: Deployment | None = None
) -> str:
    """Prove that a stored connection works; a sentence. What is wrong is noted, too. Raises
    PlatformError, and Unsupported where nothing is connected."""
    with tool.sessions() as session:
        platform = session.get(Platform, platform_id)
    if platform is None:
        raise NotFound("There is no such platform.")
    course = _opened(tool, platform, deployment, None, ())
    error: PlatformError | None = None
    try:
        return _proved(course)
    except PlatformError as problem:
        error = problem
        raise
    finally:
        if deployment is None:
            _note_check(tool, platform_id, error)


def _proved(course: lms.LMS) -> str:
    if course.asks_instructors:
        return ASKED
    if not course.is_connected:
        raise Unsupported("No account is connected besides LTI.")
    return course.check()


def _note_check(tool: ToolContext, platform_id: str, error: PlatformError | None) -> None:
    with tool.sessions.begin() as session:
        row = session.get_one(Platform, platform_id)
        row.connection_checked_at = clock.now()
        if isinstance(error, PlatformDown):
            return  # a server that is down proves nothing
        failed = error is not None and not isinstance(error, Unsupported)
        row.connection_error = error.message if error and failed else None


def due_connections(tool: ToolContext) -> list[str]:
    """Platforms whose credentials were last proved a day ago: they end, and nobody tells us."""
    due = Platform.connection_checked_at < clock.now() - CHECK_EVERY
    with tool.sessions() as session:
        query = select(Platform.id).where(
            Platform.connection.is_not(None),
            or_(Platform.connection_checked_at.is_(None), due),
        )
        return list(session.scalars(query))


@dataclass(frozen=True, slots=True)
class Connection:
    """How a course is read: whether an instructor signs in for it, and who did."""

    asks_instructors: bool
    connected_by: str | None


def connection_of(tool: ToolContext, course_id: str) -> Connection:
    """Of one course. Raises NotFound."""
    opened = lms_of(tool, course_id)
    with tool.sessions() as session:
        by = session.get_one(Course, course_id).connected_by
    return Connection(opened.asks_instructors, by if opened.course.is_signed_in else None)


def sign_in_url(tool: ToolContext, course_id: str, redirect_uri: str, state: str) -> str:
    """Where an instructor lets us read their course. Raises Unsupported."""
    tool.require(Permission.MANAGE_COURSE)
    return lms_of(tool, course_id).sign_in_url(redirect_uri, state)


def take_sign_in(
    tool: ToolContext, course_id: str, code: str, redirect_uri: str, *, by: str
) -> str:
    """Keep what the instructor's sign-in brought, for this course alone, and read it anew. Returns
    a sentence. Raises PlatformError and NotFound."""
    course = lms_of(tool, course_id)
    gained = course.take_code(code, redirect_uri)
    with tool.sessions.begin() as session:
        row = session.get_one(Course, course_id, with_for_update=True)
        row.connection, row.connected_by = tool.cipher.seal(dict(gained)), by
        ask_for_reading(row)
        record(session, "course_connected", actor=by, course_id=course_id)
    return lms_of(tool, course_id).check()


ASKED = "The application is known; in each course an instructor signs in for it."


def _opened(
    tool: ToolContext,
    platform: Platform,
    deployment: Deployment | None,
    course: Course | None,
    links: Sequence[ResourceLink],
) -> lms.LMS:
    layers: list[Holder] = [each for each in (platform, deployment, course) if each is not None]
    deployment_id = deployment.deployment_id if deployment else None
    endpoint = platform_endpoint(platform, deployment_id)
    handle = lms.CourseHandle(
        issuer=platform.issuer,
        context_id=course.context_id if course else "",
        lineitems_url=course.lineitems_url if course else None,
        memberships_url=course.memberships_url if course else None,
        scopes=frozenset(course.scopes if course else ()),
        custom=course.custom if course else {},
        links={link.resource_link_id: link.title for link in links},
        coupled={link.lineitem_url: link.title for link in links if link.lineitem_url},
        service=Service(tool.http, tool.tokens, endpoint),
        http=tool.http,
        known_members=lambda: _known(tool, course.id if course else ""),
        connection=_merged(tool, layers),
        is_signed_in=bool(course and course.connection),
        memory=dict(course.settings.get(MEMORY) or {}) if course else {},
        is_active=course is None or is_active(course),
        update_connection=lambda change: _update(tool, layers, change),
    )
    return lms.of(platform.lms)(handle)


def is_active(course: Course) -> bool:
    """Whether somebody entered it in the last day."""
    last = course.last_launch_at
    return last is not None and clock.now() - last < ACTIVE_FOR


def _known(tool: ToolContext, course_id: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    with tool.sessions() as session:
        rows = session.execute(
            select(CourseMember.sub, CourseMember.custom).where(CourseMember.course_id == course_id)
        )
        yield from ((row.sub, row.custom or {}) for row in rows.yield_per(500))


def _merged(tool: ToolContext, layers: list[Holder]) -> dict[str, str]:
    """Those given for the course, over its institution's, over the whole registration's."""
    found: dict[str, str] = {}
    for each in layers:
        found |= tool.cipher.unseal(each.connection)
    return found


def _update(tool: ToolContext, layers: list[Holder], change: Change) -> Mapping[str, str]:
    """Change what the innermost holder keeps, as its only writer. `change` may call the LMS, so no
    transaction is open meanwhile: a named lease keeps the others away. Raises PlatformDown."""
    holder = next((each for each in reversed(layers) if each.connection), layers[0])
    name = f"connection:{type(holder).__tablename__}:{holder.id}"
    try:
        with alone(tool.sessions, name, ALONE_FOR, ALONE_WAIT_S):
            with tool.sessions() as session:
                row = cast("Holder", session.get_one(type(holder), holder.id))
            own = tool.cipher.unseal(row.connection)
            shared = _merged(tool, layers[: layers.index(holder)])
            changed = change({**shared, **own})
            kept = {key: v for key, v in changed.items() if key in own or shared.get(key) != v}
            with tool.sessions.begin() as session:
                row = cast("Holder", session.get_one(type(holder), holder.id))
                row.connection = tool.cipher.seal(kept)
    except LeaseTimeout:
        raise PlatformDown(
            "Another worker has been logging in to the LMS for too long.", code="login_busy"
        ) from None
    return changed
