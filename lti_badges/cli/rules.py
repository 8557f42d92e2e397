"""Rules: which badge is awarded for what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.awarding.guard import resume_stopped_rule
from lti_badges.awarding.rule_views import rule_view, rules_of
from lti_badges.awarding.rulebook import UNSEEN, edit_rule, remove_rule, save_rule
from lti_badges.cli.common import institution_option, json_option, open_context, show
from lti_badges.cli.rule_files import RULE_FILE_COMMANDS
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.delivery.grade_passback import settle_column
from lti_badges.pipeline import rehearse
from lti_badges.rules import (
    AllOf,
    AnyOf,
    CourseCompleted,
    CourseGradeAtLeast,
    Criterion,
    Policy,
    ScoreAtLeast,
)
from lti_badges.rules.policy import MAX_VALID_DAYS
from lti_badges.store import (
    Achievement,
    Course,
    LineItem,
)
from lti_badges.values.course import Kind
from lti_badges.values.score import parse_percent

BY = "command line"


@click.group()
def rules() -> None:
    """Which badge is awarded for what."""


for _command in RULE_FILE_COMMANDS:
    rules.add_command(_command)


@rules.command("add")
@click.option("--course", "context_id", required=True, metavar="CONTEXT_ID")
@click.option("--achievement", required=True, metavar="NAME_OR_ID")
@click.option("--any", "any_of", is_flag=True, help="Any criterion is enough; else all are needed.")
@click.option("--line-item", "items", multiple=True, metavar="ID_OR_LABEL")
@click.option("--at-least", "percents", multiple=True, metavar="PERCENT")
@click.option("--course-grade-at-least", "course_grade", metavar="PERCENT")
@click.option("--course-completed", is_flag=True)
@click.option("--valid-days", type=click.IntRange(1, MAX_VALID_DAYS), help="From when achieved.")
@click.option("--valid-until", type=click.DateTime(["%Y-%m-%d"]), help="Its last day, in UTC.")
@click.option("--award-at-once", is_flag=True, help="However many it awards; else many wait.")
@institution_option
def add_rule(
    context_id: str,
    achievement: str,
    any_of: bool,
    items: tuple[str, ...],
    percents: tuple[str, ...],
    course_grade: str | None,
    course_completed: bool,
    valid_days: int | None,
    valid_until: datetime | None,
    award_at_once: bool,
    institution: str | None,
) -> None:
    """Put a rule in force. Each --line-item is followed by its --at-least."""
    tool = open_context(institution)
    with tool.sessions() as session:
        course = course_named(session, context_id)
        badge = _achievement(session, achievement, course)
        joined = _joined(
            session, course, items, percents, course_grade, course_completed, any_of=any_of
        )
    policy = Policy(valid_days=valid_days, valid_until=valid_until.date() if valid_until else None)
    click.echo(save_rule(tool, course.id, badge.id, joined, policy, by=BY, rehearsed=award_at_once))


@rules.command("list")
@click.option("--course", "context_id", metavar="CONTEXT_ID")
@institution_option
@json_option
def list_rules(context_id: str | None, institution: str | None, as_json: bool) -> None:
    """All rules."""
    tool = open_context(institution)
    with tool.sessions() as session:
        query = select(Course).order_by(Course.created_at)
        if context_id:
            query = query.where(Course.id == course_named(session, context_id).id)
        found = list(session.scalars(query))
    rows = [
        {
            "id": rule.id,
            "course": course.context_id,
            "achievement": rule.achievement.name,
            "rule": rule.description,
            "version": rule.version,
            "active": rule.active,
            "stopped": rule.stop.sentence if rule.stop else None,
            "on_fall": rule.policy.on_fall.value,
            "awards": dict(rule.counts),
        }
        for course in found
        for rule in rules_of(tool, course.id)
    ]
    show(
        rows,
        ["id", "course", "achievement", "rule", "version", "active", "stopped"],
        as_json=as_json,
    )


@rules.command("remove")
@click.argument("rule_id", metavar="ID")
@click.option("--drop-column", is_flag=True, help="Remove its gradebook column, with its scores.")
@institution_option
def remove(rule_id: str, drop_column: bool, institution: str | None) -> None:
    """Take a rule out; what it granted stays."""
    tool = open_context(institution)
    remove_rule(tool, rule_id, by=BY, drop_column=drop_column)
    if drop_column:
        settle_column(tool, rule_id)
    click.echo("Removed.")


@rules.command("edit")
@click.argument("rule_id", metavar="ID")
@click.option("--line-item", "items", multiple=True, metavar="ID_OR_LABEL")
@click.option("--at-least", "percents", multiple=True, metavar="PERCENT")
@click.option("--course-grade-at-least", "course_grade", metavar="PERCENT")
@click.option("--course-completed", is_flag=True)
@click.option("--any", "any_of", is_flag=True)
@click.option("--take-back", is_flag=True, help="Take the badge from those who no longer meet it.")
@institution_option
def edit(
    rule_id: str,
    items: tuple[str, ...],
    percents: tuple[str, ...],
    course_grade: str | None,
    course_completed: bool,
    any_of: bool,
    take_back: bool,
    institution: str | None,
) -> None:
    """Give a rule other conditions. Says who would lose the badge; they keep it unless told so."""
    tool = open_context(institution)
    view = rule_view(tool, rule_id)
    with tool.sessions() as session:
        course = session.get_one(Course, view.course_id)
        joined = _joined(
            session, course, items, percents, course_grade, course_completed, any_of=any_of
        )
    losing = rehearse(tool, course.id, joined, view.achievement.id, view.policy, rule_id).losing
    for person in losing:
        verb = "loses" if take_back else "would lose"
        click.echo(f"{person.name} {verb} the badge: {person.text}")
    if losing and not take_back:
        click.echo("They keep it; to take it from them: --take-back")
    chosen = frozenset(person.member_id for person in losing) if take_back else frozenset()
    edit_rule(tool, rule_id, joined, view.policy, by=BY, take_from=chosen, suspicion=UNSEEN)
    click.echo("Saved.")


@rules.command("release")
@click.argument("rule_id", metavar="ID")
@institution_option
def release(rule_id: str, institution: str | None) -> None:
    """Let a rule go on that waits because it would award or revoke many at once."""
    tool = open_context(institution)
    view = rule_view(tool, rule_id)
    due = resume_stopped_rule(tool, view.course_id, rule_id, by=BY)
    click.echo(f"{len(due)} awards follow.")


def course_named(session: Session, context_id: str) -> Course:
    found = list(
        session.scalars(
            select(Course).where((Course.context_id == context_id) | (Course.id == context_id))
        )
    )
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no course “{context_id}”; see: lti-badges courses list")
    raise InvalidInput(f"Several courses are called “{context_id}”; name one by its id.")


def _achievement(session: Session, name: str, course: Course) -> Achievement:
    found = list(
        session.scalars(
            select(Achievement).where(
                (Achievement.name == name) | (Achievement.id == name) | (Achievement.ref == name),
                Achievement.archived.is_(False),
                (Achievement.course_id.is_(None)) | (Achievement.course_id == course.id),
            )
        )
    )
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no badge “{name}”; see: lti-badges achievements list")
    raise InvalidInput(f"Several badges are called “{name}”; name one by its id.")


def _joined(
    session: Session,
    course: Course,
    items: tuple[str, ...],
    percents: tuple[str, ...],
    course_grade: str | None,
    course_completed: bool,
    *,
    any_of: bool,
) -> Criterion:
    if len(items) != len(percents):
        raise click.UsageError("Give one --at-least for each --line-item.")
    parts = [
        _score(session, course, item, percent)
        for item, percent in zip(items, percents, strict=True)
    ]
    if course_grade is not None:
        parts.append(CourseGradeAtLeast(_share(course_grade)))
    if course_completed:
        parts.append(CourseCompleted())
    if not parts:
        raise click.UsageError("Name at least one criterion.")
    return parts[0] if len(parts) == 1 else (AnyOf if any_of else AllOf)(tuple(parts))


def _score(session: Session, course: Course, named: str, percent: str) -> Criterion:
    rows = list(
        session.scalars(
            select(LineItem).where(
                LineItem.course_id == course.id,
                LineItem.kind == Kind.ITEM.value,
                LineItem.present.is_(True),
                (LineItem.key == named) | (LineItem.label == named) | (LineItem.id == named),
            )
        )
    )
    if not rows:
        raise NotFound(
            f"The course has no grade item “{named}”. If it is new, run: lti-badges sync --course "
            f"{course.context_id}"
        )
    if len(rows) > 1:
        raise InvalidInput(f"Several grade items are called “{named}”; name one by its id.")
    return ScoreAtLeast(rows[0].key, rows[0].label, _share(percent))


def _share(percent: str) -> Any:
    try:
        return parse_percent(percent)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
