"""What a launch opens for an instructor: the course's badges, the badge whose placed link was
opened, or the learner who is to be reviewed."""

from __future__ import annotations

from flask import g, render_template
from sqlalchemy import select

from lti_badges.courses.launch_intake import LaunchedMember
from lti_badges.store import CourseMember
from lti_badges.values.permission import Permission
from lti_badges.web.access import Access
from lti_badges.web.instructor.learners import learner_panel
from lti_badges.web.instructor.pages import badges_page
from lti_badges.web.instructor.rules import rule_of_badge
from lti_badges.web.services import services


def page(access: Access, arrival: LaunchedMember, for_user: str | None = None) -> str:
    """The whole page, as a launch opens it."""
    g.access = access
    member_id = _member(access.course_id, for_user) if for_user else None
    main = learner_panel(member_id) if member_id else _badge(access) or badges_page()
    return render_template(
        "instructor/page.html",
        arrival=arrival,
        token=services().access.make(access),
        main=main,
        focus=member_id,
    )


def _badge(access: Access) -> str | None:
    """The rule of the badge whose link was opened, for those who may change rules."""
    if not access.achievement_id or access.read_only:
        return None
    if not services().tool.may(Permission.EDIT_RULES):
        return None
    return rule_of_badge(access.achievement_id)


def _member(course_id: str, sub: str) -> str | None:
    with services().tool.sessions() as session:
        return session.scalar(
            select(CourseMember.id).where(
                CourseMember.course_id == course_id, CourseMember.sub == sub
            )
        )
