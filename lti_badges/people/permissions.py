"""From LTI roles to permissions: sound defaults, and an institution's own table over them.

Roles are the course's (LIS membership): a principal role (`Instructor`), or one of its sub-roles
(`Instructor#TeachingAssistant`). An LMS sends the principal along with the sub-role (LTI 1.3 core
§A.2.3.1), so a principal that has a sub-role here says nothing by itself. Sub-roles and roles that
the table does not know count as their principal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput
from lti_badges.ledger.audit import record
from lti_badges.store import CourseMember, RolePermissions
from lti_badges.values.course import MEMBERSHIP
from lti_badges.values.permission import OF_A_COURSE, Permission

_P = Permission
MAX_ROLE = 100
ASSISTS = frozenset({_P.SEE_LEARNERS, _P.SEE_GRADES, _P.AWARD})
DEFAULTS: Mapping[str, frozenset[Permission]] = {
    "Instructor": OF_A_COURSE,
    "Administrator": OF_A_COURSE,
    "Manager": OF_A_COURSE,
    "Instructor#TeachingAssistant": ASSISTS,
    "Instructor#Grader": ASSISTS,
    "ContentDeveloper": frozenset({_P.EDIT_RULES, _P.EDIT_BADGES}),
    "Mentor": frozenset(),
    "Learner": frozenset(),
    "Member": frozenset(),
    "Officer": frozenset(),
}
"""By role. Learners and mentors see their own page, or that of whom they observe, in any case."""
_BY_PREFIX = {"TeachingAssistant": "Instructor#TeachingAssistant", "Grader": "Instructor#Grader"}


def role_names(roles: Collection[str]) -> frozenset[str]:
    """The course roles in the table's form, without principals that a sub-role here refines."""
    found = set()
    for role in roles:
        base, _, name = role.rpartition("#")
        if base.startswith(f"{MEMBERSHIP}/"):
            principal = base.removeprefix(f"{MEMBERSHIP}/")
            found.add(_known(principal, name))
        elif base == MEMBERSHIP or (not base and "/" not in role):
            # Some send the assistant as a principal role, or roles by their short names.
            found.add(_known("Instructor", name) if _kin(name) else name)
    refined = {name.partition("#")[0] for name in found if "#" in name}
    return frozenset(found - refined)


def _known(principal: str, sub_role: str) -> str:
    """`TeachingAssistantSection` and the like are kinds of `TeachingAssistant`."""
    return _kin(sub_role) or f"{principal}#{sub_role}"


def _kin(name: str) -> str | None:
    return next((full for prefix, full in _BY_PREFIX.items() if name.startswith(prefix)), None)


def permissions_of(session: Session, roles: Collection[str]) -> frozenset[Permission]:
    """What these roles may do in the institution that the session is bound to."""
    own = {row.role: row.permissions for row in session.scalars(select(RolePermissions))}
    granted: set[Permission] = set()
    for role in role_names(roles):
        for name in (role, role.partition("#")[0]):
            if name in own:
                granted |= {_P(each) for each in own[name] if each in set(_P)}
                break
            if name in DEFAULTS:
                granted |= DEFAULTS[name]
                break
    return frozenset(granted)


def table(tool: ToolContext) -> dict[str, frozenset[Permission]]:
    """The institution's whole table: its own rows over the defaults."""
    with tool.sessions() as session:
        rows = session.scalars(select(RolePermissions))
        own = {row.role: frozenset(_P(each) for each in row.permissions) for row in rows}
    return {**DEFAULTS, **own}


def set_permissions(tool: ToolContext, role: str, permissions: Collection[str], *, by: str) -> None:
    """What a role may do from the next launch on; the defaults again where they are the same.
    Raises InvalidInput."""
    set_table(tool, {role: permissions}, by=by)


def set_table(tool: ToolContext, wanted: Mapping[str, Collection[str]], *, by: str) -> None:
    """The same for several roles, all or none. Raises InvalidInput."""
    tool.require(Permission.MANAGE_INSTITUTION)
    checked = {role: _checked(role, permissions) for role, permissions in wanted.items()}
    with tool.sessions.begin() as session:
        own = {row.role: row for row in session.scalars(select(RolePermissions))}
        for role, permissions in checked.items():
            row, default = own.get(role), DEFAULTS.get(role)
            if permissions == (frozenset(map(_P, row.permissions)) if row else default):
                continue
            if permissions == default and row is not None:
                session.delete(row)
            else:
                row = row or RolePermissions(institution_id=tool.institution_id, role=role)
                row.permissions = sorted(permissions)
                session.add(row)
            record(session, "permissions_set", actor=by, role=role, permissions=sorted(permissions))


def _checked(role: str, permissions: Collection[str]) -> frozenset[Permission]:
    principal = role.partition("#")[0]
    if principal not in DEFAULTS or len(role) > MAX_ROLE or not role.isprintable():
        raise InvalidInput(f"“{role[:60]}” is not a course role; there are: {', '.join(DEFAULTS)}.")
    known = {each.value for each in OF_A_COURSE}
    if unknown := [each for each in permissions if each not in known]:
        raise InvalidInput(
            f"“{unknown[0][:60]}” is not a permission; there are: {', '.join(sorted(OF_A_COURSE))}."
        )
    return frozenset(_P(each) for each in permissions)


def note_permissions(member: CourseMember, permissions: Collection[Permission]) -> bool:
    """Keep what a launch allowed. Returns whether something was lost: then older tokens end."""
    before = set(member.permissions or ())
    member.permissions = sorted(each.value for each in permissions)
    return bool(before - set(member.permissions))
