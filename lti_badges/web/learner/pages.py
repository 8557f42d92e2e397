"""The learner's page: badges earned, and how far the rest is."""

from __future__ import annotations

import segno
from flask import Blueprint, Response, render_template, request
from markupsafe import Markup

from lti_badges.awarding.manual import decline
from lti_badges.core.errors import NotAllowed
from lti_badges.courses.launch_intake import LaunchedMember
from lti_badges.people.consent import answer_consent
from lti_badges.people.display import set_display
from lti_badges.queries.learner import Earned, learner_badges, observed_badges
from lti_badges.values.course import Role
from lti_badges.web.access import Access
from lti_badges.web.entry import entered
from lti_badges.web.polling import polled, unless_seen
from lti_badges.web.services import services
from lti_badges.web.sharing import linkedin_address

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
    access = entered()
    if not access.member_id:
        raise NotAllowed("Open this page from your course in the LMS.")
    return unless_seen(_badges(access))


@learner.post("/badges/<award_id>/display")
def display(award_id: str) -> str:
    """Who may see one of the learner's own badges, and what of it."""
    access = entered()
    if access.read_only or not access.member_id:
        raise NotAllowed("Only the learner decides what is shown of a badge.")
    set_display(
        services().tool,
        award_id,
        access.member_id,
        visibility=request.form.get("visibility", ""),
        shows_name="shows_name" in request.form,
        shows_result="shows_result" in request.form,
        by=access.actor,
    )
    return _badges(access)


@learner.post("/badges/<award_id>/decline")
def decline_badge(award_id: str) -> str:
    """The learner does not want one of their own badges."""
    access = entered()
    if access.read_only or not access.member_id:
        raise NotAllowed("Only the learner can decline a badge.")
    decline(services().tool, award_id, access.member_id, by=access.actor)
    return _badges(access)


@learner.post("/consents/<backend_id>")
def consent(backend_id: str) -> str:
    """Agree that badges go to a service, decline, or take it back."""
    access = entered()
    if access.read_only or not access.member_id:
        raise NotAllowed("Only the learner agrees to this.")
    answer = request.form.get("answer", "")
    answer_consent(services().tool, access.member_id, backend_id, answer, by=access.actor)
    return _badges(access)


def observer_page(access: Access, arrival: LaunchedMember) -> str:
    """A mentor's page: the badges of the learners whom the LMS says they observe, and of nobody
    else."""
    return render_template(
        "learner/observed.html",
        arrival=arrival,
        token=services().access.make(access),
        main=_observed(access),
    )


@learner.get("/observed")
def observed() -> str | Response:
    """The same, asked for again while the page is open."""
    return unless_seen(_observed(entered()))


def _observed(access: Access) -> str:
    if access.role is not Role.OBSERVER:
        raise NotAllowed("Only observers of learners see this page.")
    found = observed_badges(services().tool, access.course_id, access.observed)
    return polled("learner/_observed.html", observed=found)


def _badges(access: Access) -> str:
    found = learner_badges(
        services().tool, access.course_id, access.member_id, access.achievement_id or None
    )
    return polled("learner/_badges.html", learner_badges=found, **SHARING)


def embed_code(earned: Earned) -> str:
    """HTML for somebody's own page: the badge's picture, linked to where it verifies."""
    image = services().tool.settings.url(f"/achievements/{earned.achievement.id}/image.png")
    return str(
        Markup('<a href="{}"><img src="{}" alt="{}" width="160" height="160"></a>').format(
            earned.url, image, earned.achievement.name
        )
    )


def qr_code(url: str) -> Markup:
    """The address as an SVG for cameras."""
    code = segno.make(url, error="m")
    drawn = code.svg_inline(scale=4, border=2, dark="#000", light="#fff", omitsize=True)
    return Markup(drawn)  # noqa: S704 - drawn by segno from an address of ours


def linkedin_url(earned: Earned) -> str:
    """LinkedIn's form for one earned badge."""
    issued = earned.issued_at or earned.achieved_at
    return linkedin_address(
        earned.achievement.name,
        earned.issuer,
        issued,
        earned.expires_at,
        earned.url or "",
        earned.award_id,
    )


SHARING = {"linkedin": linkedin_url, "embed": embed_code, "qr": qr_code}
