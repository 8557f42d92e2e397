"""The instructor's first page: badges of the course, results, what waits for a decision."""

from __future__ import annotations

from flask import Response, render_template

from lti_badges.awarding.item_changes import item_changes_of
from lti_badges.awarding.rule_views import rules_of
from lti_badges.pipeline import sync_course
from lti_badges.queries.course_sources import course_sources
from lti_badges.queries.review import flagged
from lti_badges.web.instructor.blueprint import (
    current_course,
    instructor,
)
from lti_badges.web.polling import polled, unless_seen
from lti_badges.web.services import services


@instructor.get("/badges")
def badges() -> str:
    """The course's rules and their results."""
    return badges_page()


def badges_page(notice: str = "") -> str:
    """The course's rules and their results; `notice` says what was just done."""
    tool, course = services().tool, current_course()
    return render_template(
        "instructor/badges.html",
        rules=rules_of(tool, course),
        flagged=flagged(tool, course),
        item_changes=item_changes_of(tool, course),
        status=_status(),
        notice=notice,
    )


@instructor.get("/status")
def status() -> str | Response:
    """Results and when grades were read, asked for every few seconds."""
    return unless_seen(_status())


def _status() -> str:
    tool, course = services().tool, current_course()
    return polled(
        "instructor/_status.html",
        rules=rules_of(tool, course),
        clock=course_sources(tool, course),
    )


@instructor.post("/sync")
def sync() -> str:
    """Read the course now."""
    report = sync_course(services().tool, current_course())
    for award_id in report.awards:
        services().tool.enqueue("deliver", award_id)
    if report.skipped:
        return badges_page(
            "The course is being read already, by another worker; how far it is stands below."
        )
    if report.errors:
        return badges_page(f"The course was read, but not all of it: {' '.join(report.errors)}")
    return badges_page(
        f"The course was read: {report.members} members, {report.readings} results, "
        f"{report.changed} of them changed."
    )
