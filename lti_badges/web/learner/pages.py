"""The learner's page: badges earned, and how far the rest is."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request

from lti_badges.core.errors import NotAllowed
from lti_badges.courses.launch_intake import LaunchedMember
from lti_badges.queries.learner import Earned, learner_badges
from lti_badges.web.access import Access
from lti_badges.web.polling import polled, unless_seen
from lti_badges.web.services import services

learner = Blueprint("learner", __name__, url_prefix="/me", template_folder="templates")


def page(access: Access, arrival: LaunchedMember) -> str:
    """The whole page, as a launch opens it."""
    return render_template(
        "learner/page.html",
        arrival=arrival,
        token=services().access.make(access),
        main=_badges(access),
    )


@learner.get("")
def refresh() -> str | Response:
    """The same, asked for again while the page is open: a badge on its way arrives by itself."""
    access = services().access.read(request)
    if not access.member_id:
        raise NotAllowed("Open this page from your course in the LMS.")
    return unless_seen(_badges(access))


def _badges(access: Access) -> str:
    found = learner_badges(
        services().tool, access.course_id, access.member_id, access.achievement_id or None
    )
    return polled("learner/_badges.html", learner_badges=found, linkedin=linkedin_url)


def linkedin_url(earned: Earned) -> str:
    """LinkedIn's add-to-profile form, filled in."""
    issued = earned.issued_at or earned.achieved_at
    values = {
        "startTask": "CERTIFICATION_NAME",
        "name": earned.achievement.name,
        "organizationName": earned.issuer,
        "issueYear": str(issued.year),
        "issueMonth": str(issued.month),
        "certUrl": earned.url or "",
        "certId": earned.award_id,
    }
    if earned.expires_at:
        values |= {
            "expirationYear": str(earned.expires_at.year),
            "expirationMonth": str(earned.expires_at.month),
        }
    return f"https://www.linkedin.com/profile/add?{urlencode(values)}"
