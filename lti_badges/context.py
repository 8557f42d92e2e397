"""The collaborators of a running tool, built once per process and handed to whoever needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import Engine, select

from lti_badges.core.crypto import Cipher, KeyFolder
from lti_badges.core.errors import NotAllowed, NotFound
from lti_badges.core.http import Http
from lti_badges.core.links import is_loopback
from lti_badges.lti.keysets import KeySets
from lti_badges.lti.tokens import ServiceTokens
from lti_badges.settings import Settings
from lti_badges.store import (
    EVERY_INSTITUTION,
    Course,
    CourseMember,
    Sessions,
    WrongInstitution,
    open_engine,
    open_sessions,
)
from lti_badges.store.leases import Heartbeat
from lti_badges.store.signing_keys import SigningKeys
from lti_badges.values.permission import Permission

Enqueue = Callable[[str, str], None]
"""Tells the background that something is due: ("deliver", award id), ("sync", course id)."""


def no_queue(_task: str, _id: str) -> None:
    """The rows are the truth: without a queue the schedule or the next command finds them."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Settings, database, keys, and the clients that talk to platforms and backends.

    As built it is the whole installation's and sees all institutions: background work and the
    operator. `within` gives the one that pages and commands of an institution work with.
    """

    settings: Settings
    database: Engine
    sessions: Sessions
    keys: SigningKeys
    cipher: Cipher
    http: Http
    tokens: ServiceTokens
    key_sets: KeySets
    heartbeat: Heartbeat
    enqueue: Enqueue = no_queue
    institution_id: str | None = None
    permissions: frozenset[Permission] | None = None

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Open everything; makes the secret on first start. Touches no table."""
        folder = KeyFolder(settings.keys_dir)
        cipher = Cipher(settings.secret_key.get_secret_value() or folder.secret_key())
        http = Http(allow_loopback=is_loopback(settings.base_url), networks=settings.networks)
        database = open_engine(settings.database_url, settings.database_connections)
        sessions = open_sessions(database, EVERY_INSTITUTION)
        keys = SigningKeys(sessions, cipher, folder)
        return cls(
            settings=settings,
            database=database,
            sessions=sessions,
            keys=keys,
            cipher=cipher,
            http=http,
            tokens=ServiceTokens(http, keys),
            key_sets=KeySets(http),
            heartbeat=Heartbeat(sessions),
        )

    def within(self, institution_id: str) -> Self:
        """The same tool for one institution: no query sees another's rows."""
        if self.institution_id not in {None, institution_id}:
            raise WrongInstitution("This tool is bound to another institution.")
        sessions = open_sessions(self.database, institution_id)
        return replace(self, sessions=sessions, institution_id=institution_id)

    def acting(self, permissions: frozenset[Permission]) -> Self:
        """The same tool for somebody who may do these things only."""
        return replace(self, permissions=permissions)

    def may(self, permission: Permission) -> bool:
        """Whether whoever this tool acts for may do that; commands and background work may."""
        return self.permissions is None or permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Called where the thing is done. Raises NotAllowed."""
        if not self.may(permission):
            raise NotAllowed(
                f"Your role does not let you {permission.sentence}. Ask the instructor, or your "
                "LMS admin."
            )

    def with_queue(self, enqueue: Enqueue) -> Self:
        """The same tool with a queue behind it."""
        return replace(self, enqueue=enqueue)

    def close(self) -> None:
        """Give connections back."""
        self.http.close()
        self.database.dispose()


def bound_to_course(installation: ToolContext, course_id: str) -> ToolContext:
    """The tool of a course's institution, for background work that is told ids only. Raises
    NotFound."""
    with installation.sessions() as session:
        institution_id = session.scalar(select(Course.institution_id).where(Course.id == course_id))
    if institution_id is None:
        raise NotFound("There is no such course.")
    return installation.within(institution_id)


def bound_to_member(installation: ToolContext, member_id: str) -> ToolContext:
    """The same for a member of a course. Raises NotFound."""
    with installation.sessions() as session:
        course_id = session.scalar(
            select(CourseMember.course_id).where(CourseMember.id == member_id)
        )
    return bound_to_course(installation, course_id or "")
