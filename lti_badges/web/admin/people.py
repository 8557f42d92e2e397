"""People of the institution: found, looked at, everything held of one, and erasing it."""

from __future__ import annotations

import json

from flask import Response, render_template, request

from lti_badges.people.held import erasure_of, export_person
from lti_badges.pipeline import erase_person
from lti_badges.queries.people_list import people_list, person_view
from lti_badges.web.admin.blueprint import admin, asked_for, by
from lti_badges.web.services import services


@admin.get("/people")
def people() -> str:
    """A page of them; the list alone while somebody searches."""
    return _people()


@admin.get("/people/<person_id>")
def person(person_id: str) -> str:
    """One of them: courses, badges."""
    return render_template("admin/person.html", view=person_view(services().tool, person_id))


@admin.post("/people/<person_id>.json")
def export(person_id: str) -> Response:
    """Everything held of a person, as a file."""
    tool = services().tool
    person_view(tool, person_id)
    told = json.dumps(export_person(tool, person_id), ensure_ascii=False, indent=2)
    return Response(
        told,
        mimetype="application/json",
        headers={"Content-Disposition": f'attachment; filename="person-{person_id}.json"'},
    )


@admin.get("/people/<person_id>/erase")
def erasure(person_id: str) -> str:
    """What would be erased; nothing is yet."""
    tool = services().tool
    view = person_view(tool, person_id)
    return render_template("admin/erase.html", view=view, found=erasure_of(tool, person_id))


@admin.post("/people/<person_id>/erase")
def erase(person_id: str) -> str:
    """Erase: badges are revoked first, then identity and results go."""
    tool = services().tool
    person_view(tool, person_id)
    found = erase_person(tool, person_id, by=by())
    if found.left:
        return _people(
            f"Erased, but for {len(found.left)} badges that a backend has not taken back yet. "
            "Erase again once they are revoked."
        )
    return _people("Erased.")


def _people(said: str | None = None) -> str:
    search = request.args.get("search", "")[:200]
    found = people_list(services().tool, search, request.args.get("at", ""))
    template = "admin/_people.html" if asked_for("list") else "admin/people.html"
    return render_template(template, people=found, asked={"search": search}, said=said)
