"""Awards across all courses, and what can be done to many of them at once: counted and named
first, done to exactly these."""

from __future__ import annotations

from dataclasses import asdict

from flask import render_template, request
from sqlalchemy import select

from lti_badges.awarding.bulk import revoke_all
from lti_badges.awarding.manual import retry
from lti_badges.core.errors import InvalidInput
from lti_badges.queries.award_list import REVOKE, AwardFilter, Chosen, award_list, chosen
from lti_badges.queries.roster import course_title
from lti_badges.queries.trail import state_label
from lti_badges.store import BackendRow, State
from lti_badges.web.admin.blueprint import admin, asked_for, by
from lti_badges.web.services import services


@admin.get("/awards")
def awards() -> str:
    """A page of them; the list alone while somebody searches."""
    return _awards(AwardFilter.read(request.args), request.args.get("at", ""))


@admin.post("/awards/<any(retry, revoke):action>/review")
def review(action: str) -> str:
    """Which awards it would take; nothing is done yet."""
    wanted, found = _chosen(action)
    if not found.total:
        what = "revoked" if action == REVOKE else "tried again"
        raise InvalidInput(f"None of these awards can be {what}.")
    return _review(action, wanted, found)


@admin.post("/awards/<any(retry, revoke):action>")
def act(action: str) -> str:
    """Do it to exactly the awards that were shown; when they are others by now, show them anew."""
    wanted, found = _chosen(action)
    if not found.total or found.mark != request.form.get("mark"):
        return _review(action, wanted, found, changed=True)
    ids, tool = [each.id for each in found.awards], services().tool
    if action != REVOKE:
        count = retry(tool, ids, by=by())
        return _awards(wanted, said=f"{count} awards are tried again now.")
    done = revoke_all(tool, ids, reason=request.form.get("reason", ""), by=by())
    said = f"{done.done} awards are revoked, or on their way to be."
    if done.left:
        said += f" {len(done.left)} could not be taken back: {done.left[0][1]}"
    return _awards(wanted, said=said)


def _chosen(action: str) -> tuple[AwardFilter, Chosen]:
    wanted = AwardFilter.read(request.form)
    return wanted, chosen(services().tool, action, wanted, request.form.getlist("award"))


def _review(action: str, wanted: AwardFilter, found: Chosen, *, changed: bool = False) -> str:
    return render_template(
        "admin/review.html",
        action=action,
        found=found,
        asked=asdict(wanted),
        ids=request.form.getlist("award"),
        changed=changed,
    )


def _awards(wanted: AwardFilter, at: str = "", said: str | None = None) -> str:
    tool = services().tool
    found = award_list(tool, wanted, at)
    if asked_for("list"):
        return render_template("admin/_awards.html", awards=found, asked=asdict(wanted))
    with tool.sessions() as session:
        rows = session.execute(select(BackendRow.id, BackendRow.name).order_by(BackendRow.name))
        backends = {row.id: row.name for row in rows}
    return render_template(
        "admin/awards.html",
        awards=found,
        asked=asdict(wanted),
        states={state.value: state_label(state.value) for state in State},
        backends=backends,
        course=course_title(tool, wanted.course) if wanted.course else "",
        said=said,
    )
