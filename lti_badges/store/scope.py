"""Which institution a session works for: its queries see that one's rows and no other's.

The filter is applied by the mapper to every query, get, update and delete, so that it can't be
forgotten. A session without an institution is asked for by name (`EVERY_INSTITUTION`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Table, and_, event, exists, or_, select
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.orm.interfaces import CriteriaOption
from sqlalchemy.sql import visitors

from lti_badges.store.awarding import AuditEvent, Award, AwardRule, RuleVersion, Standing
from lti_badges.store.badges import Achievement, BackendRow, IssuedCredential
from lti_badges.store.base import Base
from lti_badges.store.courses import Course, CourseMember, LineItem, MemberResult, ResourceLink
from lti_badges.store.holding import HoldingChange
from lti_badges.store.institutions import Admin, Institution, RolePermissions, Share
from lti_badges.store.issuing import StatusList
from lti_badges.store.people import Consent, Person
from lti_badges.store.platforms import Deployment, Invitation, Platform, PlatformChange

EVERY_INSTITUTION = "*"
"""For what serves all: accepting launches, background work, the operator, public pages."""
_KEY = "institution"


class WrongInstitution(RuntimeError):
    """Our own mistake: a row of another institution was about to be written."""


def institution_of(session: Session) -> str | None:
    """The institution that a session is bound to; None when it serves all."""
    bound = session.info.get(_KEY)
    return None if bound == EVERY_INSTITUTION else bound


def bind(institution_id: str) -> dict[str, str]:
    """What a session factory's `info` holds for one institution, or for `EVERY_INSTITUTION`."""
    return {_KEY: institution_id}


@event.listens_for(Session, "do_orm_execute")
def _filter(state: ORMExecuteState) -> None:
    bound = state.session.info.get(_KEY)
    if bound == EVERY_INSTITUTION or state.is_column_load:
        return
    if bound is None:
        raise WrongInstitution("A session needs an institution; see store.scope.")
    if state.is_select or state.is_update or state.is_delete:
        state.statement = state.statement.options(_own_rows(bound))


@event.listens_for(Session, "before_flush")
def _stamp(session: Session, _context: Any, _instances: Any) -> None:
    bound = institution_of(session)
    for row in session.new:
        if not hasattr(type(row), "institution_id"):
            continue
        if row.institution_id is None and bound is not None:
            row.institution_id = bound
        elif bound is not None and row.institution_id != bound:
            raise WrongInstitution(f"A {type(row).__name__} of another institution.")
        if isinstance(row, AuditEvent) and row.institution_id is None and row.course_id:
            course = session.get(Course, row.course_id)
            row.institution_id = course.institution_id if course else None


class OwnRows(CriteriaOption):
    """One condition for each table that belongs to an institution, itself or by its course.

    They differ between institutions by their bound values alone, so all of them have the same place
    in the cache of compiled statements: walking two dozen conditions again for each query was a
    fifth of a launch.
    """

    propagate_to_loaders = True

    def __init__(self, institution_id: str) -> None:
        conditions = _conditions(institution_id)
        self._criteria = [
            with_loader_criteria(model, condition, include_aliases=True)
            for model, condition in conditions
        ]
        self._bound = [
            part
            for _, condition in conditions
            for part in visitors.iterate(condition)
            if isinstance(part, BindParameter)
        ]

    def _gen_cache_key(self, _anon_map: Any, bindparams: list[BindParameter[Any]]) -> Any:
        bindparams.extend(self._bound)
        return (OwnRows,)

    def get_global_criteria(self, attributes: dict[Any, Any]) -> None:
        """Hand the conditions to a statement that is being compiled."""
        for each in self._criteria:
            each.get_global_criteria(attributes)

    def process_compile_state(self, compile_state: Any) -> None:
        """The same, as the mapper asks."""
        self.get_global_criteria(compile_state.global_attributes)

    def process_compile_state_replaced_entities(
        self, compile_state: Any, mapper_entities: Any
    ) -> None:
        """The same, for a query that was rewritten."""
        self.process_compile_state(compile_state)


_own_rows = lru_cache(maxsize=1024)(OwnRows)


def _conditions(own: str) -> list[tuple[type[Base], ColumnElement[bool]]]:
    courses, items, rules = _table(Course), _table(LineItem), _table(AwardRule)
    deployments, people = _table(Deployment), _table(Person)

    def in_course(column: Any) -> ColumnElement[bool]:
        course = courses.alias("scope_course")
        return _some(course, and_(course.c.id == column, course.c.institution_id == own))

    def through(table: Table, column: Any) -> ColumnElement[bool]:
        between, course = table.alias("scope_between"), courses.alias("scope_course")
        return exists(
            select(1)
            .select_from(between.join(course, course.c.id == between.c.course_id))
            .where(between.c.id == column, course.c.institution_id == own)
            .correlate_except(between, course)
        )

    def shared(kind: str, column: Any) -> ColumnElement[bool]:
        share = _table(Share).alias(f"scope_{kind}")
        return _some(
            share,
            and_(share.c.institution_id == own, share.c.kind == kind, share.c.item_id == column),
        )

    deployment = deployments.alias("scope_deployment")
    person = people.alias("scope_person")
    return [
        (Institution, Institution.id == own),
        (RolePermissions, RolePermissions.institution_id == own),
        (Admin, Admin.institution_id == own),
        (Share, Share.institution_id == own),
        (
            Platform,
            or_(
                Platform.institution_id == own,
                _some(
                    deployment,
                    and_(
                        deployment.c.platform_id == Platform.id,
                        deployment.c.institution_id == own,
                    ),
                ),
            ),
        ),
        (Deployment, Deployment.institution_id == own),
        (PlatformChange, PlatformChange.institution_id == own),
        (Invitation, Invitation.institution_id == own),
        (Course, Course.institution_id == own),
        (Person, Person.institution_id == own),
        (
            Consent,
            _some(person, and_(person.c.id == Consent.person_id, person.c.institution_id == own)),
        ),
        (BackendRow, or_(BackendRow.institution_id == own, shared("backend", BackendRow.id))),
        (
            Achievement,
            or_(
                Achievement.institution_id == own,
                shared("achievement", Achievement.id),
                and_(Achievement.course_id.is_(None), shared("backend", Achievement.backend_id)),
            ),
        ),
        (ResourceLink, in_course(ResourceLink.course_id)),
        (CourseMember, in_course(CourseMember.course_id)),
        (LineItem, in_course(LineItem.course_id)),
        (MemberResult, through(items, MemberResult.line_item_id)),
        (AwardRule, in_course(AwardRule.course_id)),
        (RuleVersion, through(rules, RuleVersion.rule_id)),
        (Standing, through(rules, Standing.rule_id)),
        (Award, in_course(Award.course_id)),
        (AuditEvent, or_(AuditEvent.institution_id == own, in_course(AuditEvent.course_id))),
        (IssuedCredential, _of_award(IssuedCredential.award_id, own)),
        (HoldingChange, _of_award(HoldingChange.award_id, own)),
        (StatusList, _of_backend(own, shared("backend", StatusList.backend_id))),
    ]


def _of_award(award_id: Any, own: str) -> ColumnElement[bool]:
    """By the award's course: a shared backend signs for several institutions."""
    award = _table(Award).alias("scope_award")
    course = _table(Course).alias("scope_course")
    return exists(
        select(1)
        .select_from(award.join(course, course.c.id == award.c.course_id))
        .where(award.c.id == award_id, course.c.institution_id == own)
        .correlate_except(award, course)
    )


def _of_backend(own: str, shared: ColumnElement[bool]) -> ColumnElement[bool]:
    backend = _table(BackendRow).alias("scope_backend")
    owned = and_(backend.c.id == StatusList.backend_id, backend.c.institution_id == own)
    return or_(_some(backend, owned), shared)


def _some(table: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(select(1).select_from(table).where(condition).correlate_except(table))


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - declared so
    return table
