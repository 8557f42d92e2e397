"""Rules follow a copied course, switched off until the instructor agrees.

A launch's custom parameters tell which courses this one was copied from, where the LMS knows
(`$Context.id.history`). Grade items have new ids in the copy; they are found again by their names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from lti_badges import lms
from lti_badges.context import ToolContext
from lti_badges.ledger.audit import record
from lti_badges.ledger.course_lock import locked_course
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
    items are not all found here comes as a draft that still names them: it finds them once they
    appear, or the instructor chooses others. Returns how many came."""
    with locked_course(tool, course_id) as (session, course):
        if COPIED in course.settings or _has_rules(session, course_id):
            return 0
        origin = _origin(session, course)
        if origin is None:
            return 0
        listed = list(
            session.scalars(
                select(LineItem).where(LineItem.course_id == course_id, LineItem.present.is_(True))
            )
        )
        names = Counter((item.kind, item.label) for item in listed)
        # Of two items with one name nobody can tell which was meant: the instructor chooses.
        items = {
            (item.kind, item.label): item.key
            for item in listed
            if names[item.kind, item.label] == 1
        }
        if not listed:
            return 0  # the gradebook has not been read yet: the next launch tries again
        origins = current_versions(session, origin.id)
        for rule, version in origins:
            _copy(session, course, rule, version, items)
        course.settings = {**course.settings, COPIED: origin.id}
    return len(origins)


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
) -> None:
    unmatched: list[str] = []
    moved = _moved(load(version.criteria), items, unmatched)
    # The rule makes it a badge of this course, too; of no other.
    achievement = session.get_one(Achievement, rule.achievement_id)
    made = AwardRule(course_id=course.id, achievement_id=achievement.id, version=1, active=False)
    session.add(made)
    session.flush()
    kept = {name: getattr(version, name) for name in POLICY}
    session.add(
        RuleVersion(
            rule_id=made.id,
            version=1,
            criteria=dump(moved),
            description=moved.describe(),
            created_by="course copy",
            **kept,
        )
    )
    record(
        session,
        "rule_copied",
        course_id=course.id,
        rule_id=made.id,
        origin=rule.id,
        unmatched=unmatched,
    )


POLICY = (
    "on_fall",
    "grace_days",
    "pass_back",
    "valid_days",
    "valid_until",
    "not_before",
    "not_after",
    "delay_days",
    "counts_hidden",
    "settle_minutes",
    "counts_at",
    "builds_on",
    "may_show_result",
)
"""All that a version says besides its criteria: a copy loses nothing of it."""


def _moved(
    criterion: Criterion, items: dict[tuple[str, str], str], unmatched: list[str]
) -> Criterion:
    """The criterion with the keys that its items have here. One that has none here keeps what it
    looked at before, which this course never has, and is named in `unmatched`."""
    if isinstance(criterion, Named):
        key = items.get((kind_of(criterion).value, criterion.label))
        if key is None:
            unmatched.append(criterion.label)
            return criterion
        return replace(criterion, key=key)
    if isinstance(criterion, Joined):
        parts = tuple(_moved(part, items, unmatched) for part in criterion.criteria)
        return replace(criterion, criteria=parts)
    return criterion
