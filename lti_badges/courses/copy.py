"""Rules follow a copied course, switched off until the instructor agrees.

A launch's custom parameters tell which courses this one was copied from, where the LMS knows
(`$Context.id.history`). Grade items have new ids in the copy; they are found again by their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from lti_badges import lms
from lti_badges.context import ToolContext
from lti_badges.ledger.audit import record
from lti_badges.ledger.course_lock import writing
from lti_badges.ledger.rules_in_force import current_versions
from lti_badges.lti.launches import APPROVED
from lti_badges.rules import (
    Criterion,
    Joined,
    Named,
    dump,
    kind_of,
    load,
)
from lti_badges.store import (
    Achievement,
    AwardRule,
    Course,
    CourseMember,
    Deployment,
    LineItem,
    Platform,
    RuleVersion,
)
from lti_badges.values.course import Role, role_of

COPIED = "rules_copied_from"
TOLD_ORIGINS = "told_origins"
"""What the LMS itself told in a signed notice."""


def copy_rules(tool: ToolContext, course_id: str) -> int:
    """Bring the rules of the course that this one was copied from, once, switched off. A rule whose
    items are not all found here stays behind. Returns how many came."""
    with writing(tool, course_id) as (session, course):
        if COPIED in course.settings or _has_rules(session, course_id):
            return 0
        origin = _origin(session, course)
        if origin is None:
            return 0
        items = {
            (item.kind, item.label): item.key
            for item in session.scalars(
                select(LineItem).where(LineItem.course_id == course_id, LineItem.present.is_(True))
            )
        }
        if not items:
            return 0  # the gradebook has not been read yet: the next launch tries again
        copied = sum(
            _copy(session, course, rule, version, items)
            for rule, version in current_versions(session, origin.id)
        )
        course.settings = {**course.settings, COPIED: origin.id}
    return copied


def note_copy(
    tool: ToolContext, platform_id: str, deployment_id: str, context_id: str, origins: Sequence[str]
) -> None:
    """An LMS said that a course was copied from others, before anybody opened it. Platform
    Notification Service 1.0, LtiContextCopyNotice."""
    with tool.sessions.begin() as session:
        deployment = session.scalar(
            select(Deployment).where(
                Deployment.platform_id == platform_id, Deployment.deployment_id == deployment_id
            )
        )
        if deployment is None or deployment.state != APPROVED:
            return
        course = session.scalar(
            select(Course).where(
                Course.deployment_id == deployment.id, Course.context_id == context_id
            )
        )
        if course is None:
            course = Course(
                deployment_id=deployment.id,
                context_id=context_id,
                custom={},
                scopes=[],
                settings={},
            )
            session.add(course)
            session.flush()
        course.settings = {**course.settings, TOLD_ORIGINS: list(origins)}
        record(session, "course_copied", course_id=course.id, origins=list(origins))


def _has_rules(session: Session, course_id: str) -> bool:
    return bool(
        session.scalar(select(AwardRule.id).where(AwardRule.course_id == course_id).limit(1))
    )


def _origin(session: Session, course: Course) -> Course | None:
    """The nearest course in the history that has rules. The LMS's own signed notice counts within
    the platform. A custom parameter is only a hint, which teachers can write in several LMSes: it
    counts within the deployment, and where one teacher has both courses. Nothing comes from another
    institution."""
    told = course.settings.get(TOLD_ORIGINS)
    signed = [str(each) for each in told] if isinstance(told, list) else []
    platform = select(Deployment.platform_id).where(Deployment.id == course.deployment_id)
    found = _with_rules(
        session, course, signed, Deployment.platform_id == platform.scalar_subquery()
    )
    if found is not None:
        return found
    custom = course.custom or {}
    deployment = session.get_one(Deployment, course.deployment_id)
    kind = session.get_one(Platform, deployment.platform_id).lms
    parameters = lms.of(kind).history_parameters
    hinted = ",".join(str(custom.get(name, "")) for name in parameters).split(",")
    found = _with_rules(session, course, hinted, Deployment.id == course.deployment_id)
    return found if found is not None and _share_a_teacher(session, course, found) else None


def _with_rules(
    session: Session, course: Course, history: Sequence[str], where: ColumnElement[bool]
) -> Course | None:
    for context_id in (each.strip() for each in history if each.strip()):
        found = session.scalar(
            select(Course)
            .join(Deployment)
            .join(AwardRule, AwardRule.course_id == Course.id)
            .where(
                Course.context_id == context_id,
                Course.id != course.id,
                Course.institution_id == course.institution_id,
                where,
                AwardRule.removed_at.is_(None),
            )
            .limit(1)
        )
        if found is not None:
            return found
    return None


def _share_a_teacher(session: Session, course: Course, origin: Course) -> bool:
    def teachers(course_id: str) -> set[str]:
        rows = session.execute(
            select(CourseMember.sub, CourseMember.roles).where(
                CourseMember.course_id == course_id,
                CourseMember.present.is_(True),
                CourseMember.can_earn.is_(False),
            )
        )
        return {row.sub for row in rows if role_of(frozenset(row.roles)) is Role.INSTRUCTOR}

    return bool(teachers(course.id) & teachers(origin.id))


def _copy(
    session: Session,
    course: Course,
    rule: AwardRule,
    version: RuleVersion,
    items: dict[tuple[str, str], str],
) -> bool:
    criterion = _moved(load(version.criteria), items)
    if criterion is None:
        return False
    # The rule makes it a badge of this course, too; of no other.
    achievement = session.get_one(Achievement, rule.achievement_id)
    made = AwardRule(course_id=course.id, achievement_id=achievement.id, version=1, active=False)
    session.add(made)
    session.flush()
    session.add(
        RuleVersion(
            rule_id=made.id,
            version=1,
            criteria=dump(criterion),
            description=criterion.describe(),
            on_fall=version.on_fall,
            grace_days=version.grace_days,
            pass_back=version.pass_back,
            valid_days=version.valid_days,
            delay_days=version.delay_days,
            counts_hidden=version.counts_hidden,
            settle_minutes=version.settle_minutes,
            created_by="course copy",
        )
    )
    record(session, "rule_copied", course_id=course.id, rule_id=made.id, origin=rule.id)
    return True


def _moved(criterion: Criterion, items: dict[tuple[str, str], str]) -> Criterion | None:
    """The criterion with the keys that its items have here; None when one is missing."""
    if isinstance(criterion, Named):
        key = items.get((kind_of(criterion).value, criterion.label))
        return replace(criterion, key=key) if key else None
    if isinstance(criterion, Joined):
        parts = [_moved(part, items) for part in criterion.criteria]
        if any(part is None for part in parts):
            return None
        return replace(criterion, criteria=tuple(part for part in parts if part is not None))
    return criterion
