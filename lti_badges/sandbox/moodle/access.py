"""Whom and what a call of Moodle's web services names, and whether the service's user may ask."""

from __future__ import annotations

from flask import request

from lti_badges.sandbox.model import Course, Person
from lti_badges.sandbox.moodle.state import MoodleState
from lti_badges.sandbox.state import world


class Refused(Exception):
    """An error that Moodle answers by HTTP 200, with its code."""

    def __init__(self, errorcode: str, message: str) -> None:
        super().__init__(message)
        self.errorcode = errorcode


def site_state() -> MoodleState:
    """What the running sandbox's Moodle keeps."""
    state = world().vendor.state
    assert isinstance(state, MoodleState)  # noqa: S101 - these are this vendor's services
    return state


def require(right: str, name: str, errorcode: str = "nopermissions") -> None:
    """Raises Refused, naming the right, where the user's role lacks it."""
    if right not in site_state().rights:
        message = f"Sorry, but you do not currently have permissions to do that ({name})."
        raise Refused(errorcode, message)


def asked_course(parameter: str = "courseid") -> Course:
    """The course that the call names. Raises Refused."""
    if parameter not in request.form:
        raise Refused("invalidparameter", f"Missing required key in single structure: {parameter}")
    course = world().courses.get(request.form.get(parameter, ""))
    if course is None:
        raise Refused("invalidrecord", "Can't find data record in database table course.")
    return course


def asked_learner() -> Person:
    """The learner of a course whom the call names. Raises Refused."""
    sub = request.form.get("userid", "")
    for person in world().learners_of(request.form.get("courseid", "")):
        if person.sub == sub and person.active:
            return person
    raise Refused("usernotenroled", "The user is not enrolled in this course")
