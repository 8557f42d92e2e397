"""Rules as files: written from a course, checked, rehearsed and put in force in many."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import select

from lti_badges.awarding.rule_file import RuleFile, parse_rule_file
from lti_badges.awarding.rule_file_export import export_rules
from lti_badges.awarding.rule_files import (
    Applied,
    apply_rules,
    check_rules,
    rehearse_rules,
)
from lti_badges.cli.common import institution_option, json_option, open_context, show
from lti_badges.context import ToolContext
from lti_badges.core.errors import NotFound
from lti_badges.store import Course

BY = "command line"

_file = click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
_course = click.option("--course", "contexts", multiple=True, metavar="CONTEXT_ID")
_all = click.option("--all-courses", is_flag=True, help="Every course seen in launches.")


@click.command("export")
@click.option("--course", "context_id", required=True, metavar="CONTEXT_ID")
@institution_option
def export(context_id: str, institution: str | None) -> None:
    """Print a course's rules as a file."""
    tool = open_context(institution)
    (course_id,) = _courses(tool, (context_id,), everywhere=False)
    click.echo(export_rules(tool, course_id), nl=False)


@click.command("check")
@_file
@_course
@_all
@institution_option
@json_option
def check(
    path: str,
    contexts: tuple[str, ...],
    all_courses: bool,
    institution: str | None,
    as_json: bool,
) -> None:
    """Check a file, alone or against courses; changes nothing."""
    rules = _read(path)
    if not contexts and not all_courses:
        click.echo(f"{len(rules.rules)} rules, no mistake found.")
        return
    tool = open_context(institution)
    courses = _courses(tool, contexts, everywhere=all_courses)
    _report([(each, check_rules(tool, each, rules)) for each in courses], tool, as_json=as_json)


@click.command("rehearse")
@_file
@_course
@_all
@institution_option
@json_option
def rehearse(
    path: str,
    contexts: tuple[str, ...],
    all_courses: bool,
    institution: str | None,
    as_json: bool,
) -> None:
    """How many would get each badge, from what was last read; changes nothing."""
    rules, tool = _read(path), open_context(institution)
    rows = [
        {
            "course": _context(tool, course_id),
            "badge": applied.badge,
            "outcome": applied.outcome,
            "learners": seen.learners if seen else None,
            "would get it": seen.awarded if seen else None,
            "hold it": seen.holding if seen else None,
            "not known": seen.unknown if seen else None,
            "error": applied.error,
        }
        for course_id in _courses(tool, contexts, everywhere=all_courses)
        for applied, seen in rehearse_rules(tool, course_id, rules)
    ]
    show(rows, list(rows[0]), as_json=as_json)
    _fail_if(any(row["error"] for row in rows))


@click.command("apply")
@_file
@_course
@_all
@institution_option
@json_option
def apply(
    path: str,
    contexts: tuple[str, ...],
    all_courses: bool,
    institution: str | None,
    as_json: bool,
) -> None:
    """Put a file's rules in force; doing it again changes nothing."""
    rules, tool = _read(path), open_context(institution)
    courses = _courses(tool, contexts, everywhere=all_courses)
    done = [(each, apply_rules(tool, each, rules, by=BY)) for each in courses]
    _report(done, tool, as_json=as_json)


RULE_FILE_COMMANDS = (export, check, rehearse, apply)


def _read(path: str) -> RuleFile:
    return parse_rule_file(Path(path).read_text("utf-8", "replace"))


def _courses(tool: ToolContext, contexts: tuple[str, ...], *, everywhere: bool) -> list[str]:
    if bool(contexts) is everywhere:
        raise click.UsageError("Name courses by --course, or say --all-courses.")
    with tool.sessions() as session:
        if everywhere:
            return list(session.scalars(select(Course.id).order_by(Course.created_at)))
        found = []
        for context_id in contexts:
            named = (Course.context_id == context_id) | (Course.id == context_id)
            ids = list(session.scalars(select(Course.id).where(named)))
            if len(ids) != 1:
                many = "no course" if not ids else "more than one course"
                raise NotFound(f"There is {many} “{context_id}”; see: lti-badges courses list")
            found += ids
        return found


def _context(tool: ToolContext, course_id: str) -> str:
    with tool.sessions() as session:
        return session.get_one(Course, course_id).context_id


def _report(done: list[tuple[str, list[Applied]]], tool: ToolContext, *, as_json: bool) -> None:
    rows = [
        {
            "course": _context(tool, course_id),
            "badge": each.badge,
            "outcome": each.outcome,
            "error": each.error,
        }
        for course_id, applied in done
        for each in applied
    ]
    show(rows, ["course", "badge", "outcome", "error"], as_json=as_json)
    _fail_if(any(row["error"] for row in rows))


def _fail_if(refused: bool) -> None:
    if refused:
        raise click.ClickException("Some rules do not fit; the others are done.")
