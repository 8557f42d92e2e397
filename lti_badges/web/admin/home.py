"""The first page: what waits for a person, and figures."""

from __future__ import annotations

from flask import render_template, request

from lti_badges.catalogue.configuration import let_in, platform_named
from lti_badges.catalogue.platforms import decide_change, pending_changes
from lti_badges.core.errors import NotAllowed
from lti_badges.queries.admin import overview, retry_backend
from lti_badges.web.admin.blueprint import admin, by, sight, signed_in_admin
from lti_badges.web.services import services


@admin.get("/overview")
def home() -> str:
    """What waits for a person, and figures."""
    return render_template(
        "admin/overview.html",
        seen=overview(services().tool),
        waiting=overview(sight()).waiting,
        changes=pending_changes(sight()),
    )


@admin.post("/changes/<change_id>/<any(confirm, reject):decision>")
def decide(change_id: str, decision: str) -> str:
    """Let a registration change its platform, or not."""
    decide_change(sight(), change_id, confirm=decision == "confirm", by=by())
    return home()


@admin.post("/backends/<backend_id>/retry")
def again(backend_id: str) -> str:
    """All awards of a backend that wait are tried again."""
    retry_backend(services().tool, backend_id, by=by())
    return home()


@admin.post("/deployments")
def approve() -> str:
    """Let a deployment in."""
    own = services().tool.institution_id
    with sight().sessions.begin() as session:
        platform = platform_named(session, request.form.get("platform", ""))
        if not signed_in_admin().is_operator and platform.institution_id != own:
            raise NotAllowed("Institutions share this LMS: only an operator can say whose it is.")
        owner = platform.institution_id or own
        let_in(session, platform, request.form.get("deployment", ""), owner, by=by())
    return home()
