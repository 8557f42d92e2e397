"""What is read of the course, from where and when, and signing in for it."""

from __future__ import annotations

from flask import render_template

from lti_badges.catalogue.connections import connection_of, sign_in_url
from lti_badges.queries.course_sources import capabilities, course_sources
from lti_badges.web.instructor import sign_in
from lti_badges.web.instructor.blueprint import (
    current_access,
    current_course,
    instructor,
)
from lti_badges.web.services import services


@instructor.get("/sources")
def sources() -> str:
    """What is read, from where and when; what this LMS tells and what it does not."""
    tool, course = services().tool, current_course()
    return render_template(
        "instructor/sources.html",
        clock=course_sources(tool, course),
        capabilities=capabilities(tool, course),
        connection=connection_of(tool, course),
    )


@instructor.post("/sign-in")
def ask_sign_in() -> str:
    """A button to the LMS's consent page; it is made when asked for, as it ages."""
    sign_in_url(services().tool, current_course(), sign_in.address(), "")  # whether there is one
    return render_template(
        "instructor/_sign_in.html", start=services().access.sign_in(current_access())
    )
