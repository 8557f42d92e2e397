"""Courses, syncs and awards."""

from __future__ import annotations

import click
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import select

from lti_badges.awarding.manual import retry as retry_awards
from lti_badges.awarding.manual import revoke as revoke_award
from lti_badges.awarding.rule_views import rules_of
from lti_badges.cli.common import institution_option, json_option, open_context, show
from lti_badges.cli.rules import course_named
from lti_badges.core.errors import NotFound
from lti_badges.delivery.deliver import deliver, deliver_due
from lti_badges.delivery.grade_passback import due_for_pass_back, pass_back
from lti_badges.pipeline import SyncReport, sync_course
from lti_badges.store import (
    Achievement,
    Award,
    BackendRow,
    Course,
    CourseMember,
    State,
)

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
            query = query.where(Course.id == course_named(session, context_id).id)
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
            query = query.where(Course.id == course_named(session, context_id).id)
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
