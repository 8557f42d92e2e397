"""Back from an LMS's consent page: an instructor let the tool read their course."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from lti_badges.catalogue.connections import take_sign_in
from lti_badges.core.errors import Refused
from lti_badges.web.services import enter_institution, services

sign_in = Blueprint("sign_in", __name__, template_folder="templates")


def address() -> str:
    """Where the LMS sends them back to, as it must be entered there."""
    return services().installation.settings.url("/lms/signed-in")


@sign_in.get("/lms/signed-in")
def back() -> str:
    """The state says which course and who, and that we sent them."""
    institution_id, course_id, who = services().access.signing_in(request.args.get("state", ""))
    if "code" not in request.args:
        said = request.args.get("error_description") or request.args.get("error") or "no code"
        raise Refused(f"The LMS did not let this tool in: {said[:200]}.")
    tool = enter_institution(institution_id)
    sentence = take_sign_in(tool, course_id, request.args["code"], address(), by=who)
    services().queue.enqueue("sync", course_id)
    return render_template("instructor/signed_in.html", sentence=sentence)
