"""Institutions as the operator keeps them: added, renamed, removed, and what two of them share."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lti_badges.backends import ensure_default
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.core.links import web_address
from lti_badges.core.text import email, paragraph
from lti_badges.ledger.audit import record
from lti_badges.store import (
    Achievement,
    Award,
    BackendRow,
    Course,
    Deployment,
    Institution,
    Person,
    Platform,
    Share,
)
from lti_badges.values.permission import Permission

MAX_NAME = 100
MAX_ADDRESS = 500
PROFILE = ("name", "url", "email", "address")
"""What the issuer's profile holds."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def institution_named(session: Session, name: str) -> Institution:
    """By name or id. Raises NotFound."""
    row = session.scalar(
        select(Institution).where((Institution.name == name) | (Institution.id == name))
    )
    if row is None:
        raise NotFound(f"There is no institution “{name[:100]}”; see: lti-badges institutions list")
    return row


def institution_names(session: Session) -> dict[str, str]:
    """Names by id, of those that the session sees."""
    rows = session.execute(select(Institution.id, Institution.name))
    return {row.id: row.name for row in rows}


def add_institution(installation: ToolContext, name: str, *, by: str) -> str:
    """A new institution, with the built-in issuer as its first backend. Returns its id. Raises
    InvalidInput."""
    with installation.sessions.begin() as session:
        row = Institution(name=_free_name(session, name))
        session.add(row)
        session.flush()
        record(session, "institution_added", actor=by, institution_id=row.id, name=row.name)
        institution_id = row.id
    ensure_default(installation.sessions)
    return institution_id


def rename_institution(installation: ToolContext, name: str, to: str, *, by: str) -> None:
    """Raises InvalidInput and NotFound."""
    with installation.sessions.begin() as session:
        row = institution_named(session, name)
        if to.strip() == row.name:
            return
        was, row.name = row.name, _free_name(session, to)
        record(
            session, "institution_renamed", actor=by, institution_id=row.id, was=was, now=row.name
        )


def remove_institution(installation: ToolContext, name: str, *, by: str) -> None:
    """Remove one that nothing belongs to any more. Raises InvalidInput and NotFound."""
    with installation.sessions.begin() as session:
        row = institution_named(session, name)
        if row.is_default:
            raise InvalidInput("The default institution can't be removed; rename it instead.")
        held = {what: count for what, count in belongings(session, row.id).items() if count}
        only_builtin = held.get("backends") == 1 and _drop_untouched(session, row.id)
        if only_builtin:
            del held["backends"]
        if held:
            said = ", ".join(f"{count} {what}" for what, count in held.items())
            raise InvalidInput(f"“{row.name}” still has {said}; remove or move them first.")
        record(session, "institution_removed", actor=by, name=row.name)
        session.delete(row)


def belongings(session: Session, institution_id: str) -> dict[str, int]:
    """How many of what an institution has."""
    counted: tuple[tuple[str, Any], ...] = (
        ("platforms", Platform),
        ("deployments", Deployment),
        ("courses", Course),
        ("people", Person),
        ("backends", BackendRow),
        ("badges", Achievement),
    )
    return {
        what: session.scalar(
            select(func.count()).select_from(model).where(model.institution_id == institution_id)
        )
        or 0
        for what, model in counted
    }


def save_profile(tool: ToolContext, values: dict[str, str], *, by: str) -> None:
    """What the institution's issuer says of itself, from the next credential on; empty values take
    an entry away. Raises InvalidInput."""
    assert tool.institution_id is not None  # noqa: S101 - a profile is one institution's
    tool.require(Permission.MANAGE_INSTITUTION)
    kept = _checked_profile(values)
    with tool.sessions.begin() as session:
        row = session.get_one(Institution, tool.institution_id)
        if kept != row.profile:
            row.profile = kept
            record(session, "profile_saved", actor=by, fields=sorted(kept))


def _checked_profile(values: dict[str, str]) -> dict[str, str]:
    said = {key: values.get(key, "").strip() for key in PROFILE}
    if len(said["name"]) > MAX_NAME or not said["name"].isprintable():
        raise InvalidInput(
            f"The issuer's name is one line of at most {MAX_NAME} characters.", field="name"
        )
    if said["url"] and web_address(said["url"]) is None:
        raise InvalidInput("The web site is an address like https://www.example.edu.", field="url")
    if said["email"] and (email(said["email"]) is None or not _EMAIL.fullmatch(said["email"])):
        raise InvalidInput("The e-mail is an address like badges@example.edu.", field="email")
    said["address"] = paragraph(said["address"], MAX_ADDRESS) or ""
    return {key: value for key, value in said.items() if value}


def share(
    installation: ToolContext, kind: str, item: str, institution: str, *, stop: bool, by: str
) -> None:
    """Let another institution use a backend or a badge (by id), or no longer. Raises InvalidInput
    and NotFound."""
    model: Any = {"backend": BackendRow, "achievement": Achievement}[kind]
    with installation.sessions.begin() as session:
        row, to = session.get(model, item), institution_named(session, institution)
        if row is None:
            raise NotFound(f"There is no {kind} with the id {item[:40]}.")
        if row.institution_id == to.id:
            raise InvalidInput(f"“{row.name}” belongs to “{to.name}” itself.")
        found = session.get(Share, (to.id, kind, row.id))
        if stop and found is not None:
            _must_be_unused(session, model, row.id, to)
            session.delete(found)
        elif not stop and found is None:
            session.add(Share(institution_id=to.id, kind=kind, item_id=row.id))
        record(
            session,
            "unshared" if stop else "shared",
            actor=by,
            institution_id=row.institution_id,
            what=row.name,
            institution=to.name,
        )


def _must_be_unused(session: Session, model: Any, item_id: str, to: Institution) -> None:
    column = Award.backend_id if model is BackendRow else Award.achievement_id
    used = session.scalar(
        select(Award.id)
        .join(Course, Course.id == Award.course_id)
        .where(column == item_id, Course.institution_id == to.id)
        .limit(1)
    )
    if used:
        raise InvalidInput(f"“{to.name}” has awards there; it needs it to revoke them.")


def _drop_untouched(session: Session, institution_id: str) -> bool:
    """The backend that it was made with, if nobody used it."""
    row = session.scalars(
        select(BackendRow).where(BackendRow.institution_id == institution_id)
    ).one()
    used = session.scalar(select(Achievement.id).where(Achievement.backend_id == row.id).limit(1))
    if row.kind != "builtin" or used:
        return False
    session.delete(row)
    session.flush()
    return True


def _free_name(session: Session, name: str) -> str:
    name = re.sub(r"\s+", " ", name).strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput(
            f"An institution needs a name of at most {MAX_NAME} characters.", field="name"
        )
    if session.scalar(select(Institution.id).where(Institution.name == name)):
        raise InvalidInput(f"There is an institution “{name}” already.", field="name")
    return name
