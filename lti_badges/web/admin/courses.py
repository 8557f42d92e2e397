"""Courses of the institution."""

from __future__ import annotations

from flask import render_template, request

from lti_badges.queries.course_list import course_list
from lti_badges.queries.roster import course_title
from lti_badges.web.admin.blueprint import admin, asked_for
from lti_badges.web.services import services


@admin.get("/courses")
def courses() -> str:
    """A page of them; the list alone while somebody searches."""
    return _courses()


@admin.post("/courses/<course_id>/read")
def read_course(course_id: str) -> str:
    """Have it read now, in the background."""
    tool = services().tool
    title = course_title(tool, course_id)
    tool.enqueue("sync", course_id)
    return _courses(f"“{title}” is being read now.")


def _courses(said: str | None = None) -> str:
    asked = {name: request.values.get(name, "")[:200] for name in ("search", "sort", "failing")}
    found = course_list(
        services().tool,
        asked["search"],
        asked["sort"],
        request.values.get("at", ""),
        failing=bool(asked["failing"]),
    )
    whole = not asked_for("list")
    template = "admin/courses.html" if whole else "admin/_courses.html"
    return render_template(template, courses=found, asked=asked, said=said)
