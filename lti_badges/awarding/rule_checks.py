"""What a rule may use: badges and items that its course has."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.awarding.rule_views import rule_view
from lti_badges.catalogue.achievements import is_at_hand
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.rules import BadgeHeld, Criterion, Named, kind_of, leaves
from lti_badges.store import Achievement, Course, LineItem


def awardable(session: Session, course: Course, achievement_id: str) -> Achievement:
    """A badge that may be awarded in the course. Raises NotFound and InvalidInput."""
    achievement = session.get(Achievement, achievement_id)
    if achievement is None or not is_at_hand(session, course.id, achievement):
        raise NotFound("There is no such badge in this course.")
    if achievement.archived:
        raise InvalidInput(f"The badge “{achievement.name}” is archived and can't be awarded.")
    return achievement


def check_criterion(
    session: Session, course: Course, achievement: Achievement, criterion: Criterion
) -> None:
    """A rule can only use what the course has, and never its own badge. Raises InvalidInput."""
    items = {
        (row.kind, row.key): row
        for row in session.scalars(select(LineItem).where(LineItem.course_id == course.id))
    }
    for leaf in leaves(criterion):
        if isinstance(leaf, BadgeHeld):
            _check_badge(session, achievement, leaf)
        elif isinstance(leaf, Named):
            item = items.get((kind_of(leaf).value, leaf.key))
            if item is None or not item.present:
                raise InvalidInput(f"“{leaf.label}” is not in this course (any more).")
            if item.is_own:
                raise InvalidInput(
                    f"“{leaf.label}” is a column that this tool writes itself; no rule can use it."
                )


def missing_items(tool: ToolContext, rule_id: str) -> list[str]:
    """Items of a rule that its course does not list at all, by name. One that was there and went
    is told on the instructor's page, and stops nothing here."""
    view = rule_view(tool, rule_id)
    with tool.sessions() as session:
        known = {
            (row.kind, row.key)
            for row in session.execute(
                select(LineItem.kind, LineItem.key).where(LineItem.course_id == view.course_id)
            )
        }
    return [
        leaf.label
        for leaf in leaves(view.criterion)
        if isinstance(leaf, Named) and (kind_of(leaf).value, leaf.key) not in known
    ]


def _check_badge(session: Session, achievement: Achievement, leaf: BadgeHeld) -> None:
    if leaf.achievement_id == achievement.id:
        raise InvalidInput("A badge can't be asked for before it is awarded.")
    if session.get(Achievement, leaf.achievement_id) is None:
        raise InvalidInput(f"There is no badge “{leaf.name}”.")
