"""Learners and why: the roster, one learner, awards by hand, revoking, the list as a file."""

from __future__ import annotations

from flask import Response, render_template, request, stream_with_context

from lti_badges.awarding.manual import award_by_hand, retry, revoke
from lti_badges.catalogue.achievements import (
    achievements_for,
)
from lti_badges.queries.awards_csv import awards_csv
from lti_badges.queries.roster import roster, why
from lti_badges.web.instructor.blueprint import (
    current_access,
    current_course,
    instructor,
    own_award,
)
from lti_badges.web.services import services


@instructor.get("/learners")
def learners() -> str:
    """Everybody under every badge."""
    found = roster(
        services().tool,
        current_course(),
        search=request.args.get("search", "")[:100],
        page=request.args.get("page", 1, type=int),
    )
    whole = request.headers.get("HX-Target") != "roster"
    return render_template(
        "instructor/learners.html" if whole else "instructor/_roster.html",
        roster=found,
        search=request.args.get("search", ""),
    )


@instructor.get("/learners/<member_id>")
def learner_panel(member_id: str) -> str:
    """One learner: why, and why not."""
    tool, course = services().tool, current_course()
    member, answers = why(tool, course, member_id)
    held = {each.achievement_id for each in answers if each.award and each.award.revoked_at is None}
    others = [each for each in achievements_for(tool, course) if each.id not in held]
    return render_template("instructor/learner.html", member=member, answers=answers, others=others)


@instructor.post("/learners/<member_id>/award")
def by_hand(member_id: str) -> str:
    """Award the badge to one learner by a person's word, whatever the rule says."""
    award_by_hand(
        services().tool,
        current_course(),
        member_id,
        request.form.get("achievement", ""),
        by=current_access().actor,
        reason=request.form.get("reason", ""),
    )
    return learner_panel(member_id)


@instructor.post("/awards/<award_id>/revoke")
def take_back(award_id: str) -> str:
    """Revoke with a reason."""
    award = own_award(award_id)
    revoke(
        services().tool,
        award_id,
        reason=request.form.get("reason", ""),
        by=current_access().actor,
        adopted=request.form.get("adopted") == "yes",
    )
    return learner_panel(award.member_id)


@instructor.post("/awards/<award_id>/retry")
def again(award_id: str) -> str:
    """Deliver again, now."""
    award = own_award(award_id)
    retry(services().tool, [award_id], by=current_access().actor)
    return learner_panel(award.member_id)


@instructor.post("/awards.csv")
def export() -> Response:
    """All awards for a spreadsheet, streamed."""
    lines = awards_csv(services().tool, current_course())
    return Response(
        stream_with_context(lines),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="badges.csv"'},
    )
