"""The instructor pages' one blueprint: who may use it, and what is theirs."""

from __future__ import annotations

from flask import Blueprint, g, request

from lti_badges.awarding.rule_views import RuleView, rule_view
from lti_badges.core.errors import NotAllowed, NotFound
from lti_badges.store import Award
from lti_badges.values.course import Role
from lti_badges.web.access import Access
from lti_badges.web.entry import entered
from lti_badges.web.services import services

HARMLESS = {"/course/rules/rehearse", "/course/rules/conditions", "/course/awards.csv"}

instructor = Blueprint("instructor", __name__, url_prefix="/course", template_folder="templates")


@instructor.before_request
def _only_instructors() -> None:
    access = entered()
    if access.role is not Role.INSTRUCTOR or not access.course_id:
        raise NotAllowed("Only instructors of the course can do this.")
    if access.read_only and request.method == "POST" and request.path not in HARMLESS:
        raise NotAllowed(
            "You are looking through somebody else's eyes (“act as user”): you can see everything, "
            "but change nothing. Log in as yourself to do this."
        )


def current_access() -> Access:
    """Who asks, in which course, as what."""
    access: Access = g.access
    return access


def current_course() -> str:
    """The id of the course that the page is open in."""
    return current_access().course_id


def own_rule(rule_id: str) -> RuleView:
    """A rule of this course. Raises NotFound."""
    view = rule_view(services().tool, rule_id)
    if view.course_id != current_course():
        raise NotFound("There is no such rule in this course.")
    return view


def own_award(award_id: str) -> Award:
    """An award of this course. Raises NotFound."""
    with services().tool.sessions() as session:
        award = session.get(Award, award_id)
    if award is None or award.course_id != current_course():
        raise NotFound("There is no such award in this course.")
    return award
