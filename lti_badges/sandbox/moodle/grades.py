"""Moodle's grade report as its web services give it.

Source: Moodle 4.5 gradereport_user, and a running 4.5.6: the report of a whole course is slow, a
hidden grade is left out of a learner's report.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from html import escape
from typing import Any

from flask import abort, request

from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.moodle.access import Refused, asked_course, require, site_state
from lti_badges.sandbox.state import world


def grade_items() -> Any:
    """Of one learner, or of everybody."""
    course, wanted, site = asked_course(), request.form.get("userid", "0"), site_state()
    require("gradereport/user:view", "View your own grade report")
    if wanted == "0":
        require("moodle/grade:viewall", "View grades of other users")
    enrolled = {p.sub: p for p in world().learners_of(course.id) if p.active}
    if wanted in site.suspended:
        raise Refused("suspended", "This account has been suspended")
    if wanted != "0" and wanted not in world().people:
        raise Refused("invaliduser", "Invalid user")
    if "moodle/grade:viewall" not in site.rights:
        raise Refused("nopermissiontoviewgrades", "Can not view grades.")
    if site.separate_groups and "moodle/site:accessallgroups" not in site.rights:
        raise Refused("notingroup", "Sorry, but you need to be part of this group.")
    if wanted == "0" and len(enrolled) > site.limit:
        return _exhausted()
    if site.late.get(wanted, 0) > 0:
        site.late[wanted] -= 1
        return _exhausted()
    people = enrolled.values() if wanted == "0" else [world().people[wanted]]
    return {
        "usergrades": [
            {
                "courseid": int(course.id),
                "userid": int(person.sub),
                "userfullname": escape(person.name),
                "gradeitems": _items_of(course, person),
            }
            for person in people
        ],
        "warnings": [],
    }


def listed_items() -> dict[str, Any]:
    """All of them, whoever may see them; not the course total."""
    items = [
        {"id": item.id, "itemname": escape(item.label), "category": "Sandbox"}
        for item in asked_course().items.values()
    ]
    return {"gradeItems": items, "warnings": []}


def _exhausted() -> Any:
    """PHP ran out of time: what a proxy before it answers."""
    abort(504)


def _items_of(course: Course, person: Person) -> list[dict[str, Any]]:
    sees_hidden = "moodle/grade:viewhidden" in site_state().rights
    items = [
        _item(item, person.sub)
        for item in course.items.values()
        if sees_hidden or not (person.sub in item.hidden or not item.published)
    ]
    points, maximum = course.total(person.sub)
    total = {
        "id": 9,
        "itemname": "",
        "itemtype": "course",
        "graderaw": None if points is None else float(points),
        "gradeformatted": "-" if points is None else f"{float(points):.2f}",
        "scaleid": None,
        "grademin": 0,
        "grademax": float(maximum),
        "gradeishidden": False,
        "gradeneedsupdate": False,
    }
    return [*items, total]


def _item(item: Item, sub: str) -> dict[str, Any]:
    score: Fraction | None = item.scores.get(sub)
    scale = site_state().scales.get(item.id)
    shown = "-" if score is None else f"{float(score):.2f}"
    if scale and score is not None:
        shown = f'{scale[int(score) - 1]} <i class="icon fa fa-check" title="Pass"></i>'
    return {
        "id": int(item.id),
        "itemname": escape(item.label),
        "itemtype": "mod",
        "itemmodule": "quiz" if item.owner is None else "lti",
        "graderaw": None if score is None else float(score),
        "gradeformatted": shown,
        "scaleid": 1 if scale else None,
        "grademin": 1 if scale else 0,
        "grademax": len(scale) if scale else float(item.maximum),
        "gradeishidden": sub in item.hidden or not item.published,
        "gradedategraded": _epoch(item.graded_at.get(sub)),
        "gradedatesubmitted": _epoch(item.submitted_at.get(sub)),
        "gradeneedsupdate": False,
    }


def _epoch(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None
