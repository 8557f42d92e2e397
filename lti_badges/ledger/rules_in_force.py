"""The rules that are in force in a course, and what they need of it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.store import (
    AwardRule,
    LineItem,
    RuleVersion,
)
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Gradable,
    Kind,
)


def current_versions(session: Session, course_id: str) -> list[tuple[AwardRule, RuleVersion]]:
    """The course's rules that are in force, with their current versions, oldest first."""
    rows = session.execute(
        select(AwardRule, RuleVersion)
        .join(
            RuleVersion,
            (RuleVersion.rule_id == AwardRule.id) & (RuleVersion.version == AwardRule.version),
        )
        .where(
            AwardRule.course_id == course_id,
            AwardRule.removed_at.is_(None),
            AwardRule.active.is_(True),
        )
        .order_by(AwardRule.created_at, AwardRule.id)
    )
    return [(rule, version) for rule, version in rows]


def wanted_gradables(
    session: Session, course_id: str, also: frozenset[tuple[str, str]] = frozenset()
) -> list[Gradable]:
    """What the rules in force (and `also`, by kind and key) need, as listed in the course."""
    needed = set(also)
    for _, version in current_versions(session, course_id):
        needed |= needed_keys(version.criteria)
    items = session.scalars(
        select(LineItem).where(LineItem.course_id == course_id, LineItem.present.is_(True))
    )
    return [gradable_of(item) for item in items if (item.kind, item.key) in needed]


def gradable_of(item: LineItem) -> Gradable:
    """The value a stored line item stands for."""
    return Gradable(
        kind=Kind(item.kind),
        key=item.key,
        label=item.label,
        maximum=item.maximum,
        source=item.source,
        is_own=item.is_own,
        resource_link_id=item.resource_link_id,
        resource_id=item.resource_id,
        tag=item.tag,
        in_words=item.in_words,
        is_rare=item.is_rare,
        is_hidden=item.is_hidden,
    )


def needed_keys(criteria: Mapping[str, object]) -> set[tuple[str, str]]:
    """(kind, key) of everything a stored criterion looks at."""
    kind = criteria.get("is")
    if kind == "mark" and criteria["key"] == COURSE_GRADE_KEY:
        return {(Kind.COURSE_GRADE.value, COURSE_GRADE_KEY)}
    if kind in {"score", "mark"}:
        return {(Kind.ITEM.value, str(criteria["key"]))}
    if kind == "course_grade":
        return {(Kind.COURSE_GRADE.value, COURSE_GRADE_KEY)}
    if kind == "course_completed":
        return {(Kind.COMPLETION.value, COURSE_COMPLETION)}
    if kind == "activity_completed":
        return {(Kind.ACTIVITY.value, str(criteria["key"]))}
    if kind == "member":
        return {(Kind.GROUP.value, str(criteria["key"]))}
    parts = criteria.get("of")
    found: set[tuple[str, str]] = set()
    for part in parts if isinstance(parts, list) else ():
        found |= needed_keys(part)
    return found
