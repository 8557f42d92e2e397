"""Courses, rules, syncs and awards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.awarding.guard import resume_stopped_rule
from lti_badges.awarding.manual import retry as retry_awards
from lti_badges.awarding.manual import revoke as revoke_award
from lti_badges.awarding.rulebook import (
    UNSEEN,
    edit_rule,
    remove_rule,
    rule_view,
    rules_of,
    save_rule,
)
from lti_badges.cli.common import institution_option, json_option, open_context, show
from lti_badges.cli.rule_files import RULE_FILE_COMMANDS
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.delivery.deliver import deliver, deliver_due
from lti_badges.delivery.grade_passback import due_for_pass_back, pass_back, settle_column
from lti_badges.pipeline import SyncReport, rehearse, sync_course
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
    Award,
    BackendRow,
    Course,
    CourseMember,
    LineItem,
    State,
)
from lti_badges.values.course import Kind
from lti_badges.values.score import parse_percent

BY = "command line"


@click.group()
def courses() -> None:
    """Courses seen in launches."""


@courses.command("list")
@institution_option
@json_option
def list_courses(institution: str | None, as_json: bool) -> None:
    """All courses."""
    with open_context(institution).sessions() as session:
        rows = [
            {
                "id": each.id,
                "context_id": each.context_id,
                "title": each.title,
                "label": each.label,
                "synced_at": each.synced_at,
                "next_sync_at": each.next_sync_at,
                "error": each.sync_error,
                "last_launch_at": each.last_launch_at,
            }
            for each in session.scalars(select(Course).order_by(Course.created_at))
        ]
        show(rows, ["context_id", "title", "synced_at", "next_sync_at", "error"], as_json=as_json)


@click.command()
@click.option("--course", "context_id", help="Only this course.")
@institution_option
def sync(context_id: str | None, institution: str | None) -> None:
    """Read, evaluate and deliver now."""
    tool = open_context(institution)  # no queue: what is due is delivered below, in this process
    tool = tool.with_queue(lambda _task, _id: None)
    with tool.sessions() as session:
        query = select(Course).order_by(Course.created_at)
        if context_id:
            query = query.where(Course.id == _course(session, context_id).id)
        found = [(each.id, each.title or each.context_id) for each in session.scalars(query)]
    failed = False
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for course_id, title in found:
            task = progress.add_task(title, total=None)
            report = sync_course(
                tool,
                course_id,
                lambda what, count, task=task, title=title: progress.update(  # type: ignore[misc]
                    task, description=f"{title}: {count} {what}"
                ),
            )
            progress.remove_task(task)
            click.echo(_told(title, report))
            for rule in rules_of(tool, course_id):
                if rule.stop:
                    click.echo(
                        f"“{rule.achievement.name}” waits: {rule.stop.sentence} "
                        f"To go on: lti-badges rules release {rule.id}"
                    )
            failed = failed or bool(report.errors)
    delivered = deliver_due(tool)
    written = sum(pass_back(tool, award_id) for award_id in due_for_pass_back(tool))
    click.echo(f"{delivered} deliveries settled; {written} scores written back.")
    if failed:
        raise click.ClickException("Something could not be read; it is tried again by schedule.")


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
        course = _course(session, context_id)
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
            query = query.where(Course.id == _course(session, context_id).id)
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


@click.group()
def awards() -> None:
    """What was earned."""


@awards.command("list")
@click.option("--course", "context_id", metavar="CONTEXT_ID")
@click.option("--state")
@institution_option
@json_option
def list_awards(
    context_id: str | None, state: str | None, institution: str | None, as_json: bool
) -> None:
    """All awards, oldest first."""
    tool = open_context(institution)
    with tool.sessions() as session:
        query = (
            select(Award, Course, CourseMember, Achievement, BackendRow)
            .join(Course, Course.id == Award.course_id)
            .join(CourseMember, CourseMember.id == Award.member_id)
            .join(Achievement, Achievement.id == Award.achievement_id)
            .join(BackendRow, BackendRow.id == Award.backend_id)
            .order_by(Award.created_at, Award.id)
        )
        if context_id:
            query = query.where(Course.id == _course(session, context_id).id)
        if state:
            query = query.where(Award.state == state)
        rows = [
            {
                "id": award.id,
                "course": course.context_id,
                "member": member.sub,
                "name": member.name,
                "email": award.recipient.get("email"),
                "achievement": badge.name,
                "achievement_id": badge.id,
                "state": award.state,
                "evidence": award.explanation,
                "rule": award.rule_id,
                "rule_version": award.rule_version,
                "number": award.number,
                "backend": backend.name,
                "backend_id": award.backend_ref,
                "url": award.backend_url or tool.settings.url(f"/credentials/{award.id}"),
                "achieved_at": award.achieved_at,
                "issued_at": award.issued_at,
                "revoked_at": award.revoked_at,
                "error": award.error,
            }
            for award, course, member, badge, backend in session.execute(query)
        ]
    show(
        rows,
        ["id", "course", "member", "achievement", "state", "issued_at", "error"],
        as_json=as_json,
    )


@awards.command()
@click.argument("award_ids", metavar="[ID]...", nargs=-1)
@institution_option
def retry(award_ids: tuple[str, ...], institution: str | None) -> None:
    """Try again now: the named awards, or all that wait."""
    tool = open_context(institution)
    count = retry_awards(tool, award_ids or None, by=BY)
    if award_ids and not count:
        raise NotFound("None of these awards waits for a retry.")
    click.echo(f"{count} awards are tried again.")


@awards.command()
@click.argument("award_id", metavar="ID")
@click.option("--reason", required=True)
@click.option(
    "--adopted", is_flag=True, help="Also a credential that was there before, not issued by us."
)
@institution_option
def revoke(award_id: str, reason: str, institution: str | None, *, adopted: bool) -> None:
    """Revoke an award, here and at its backend."""
    tool = open_context(institution)
    state = revoke_award(tool, award_id, reason=reason, by=BY, adopted=adopted)
    if state is State.REVOKING:
        deliver(tool, award_id)
    with tool.sessions() as session:
        award = session.get_one(Award, award_id)
    if award.state == State.REVOKED:
        click.echo("Revoked.")
    else:
        click.echo(f"It is being revoked. {award.error or ''}".strip())


def _told(title: str, report: SyncReport) -> str:
    if report.skipped:
        return f"{title}: another worker is reading it."
    said = (
        f"{title}: {report.members} members, {report.readings} results read, {report.changed} "
        f"changed, {len(report.awards)} awards"
    )
    return f"{said}; problems: {' '.join(report.errors)}" if report.errors else f"{said}."


def _course(session: Session, context_id: str) -> Course:
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
