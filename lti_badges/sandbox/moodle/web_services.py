"""Moodle's web services, as far as badges need them: errors come as HTTP 200."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from html import escape
from typing import Any

from flask import Blueprint, Response, jsonify, request

from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.state import world

web_services = Blueprint("web_services", __name__)


GROUPS = ("Morning", "Evening")


class _Refused(Exception):
    def __init__(self, errorcode: str, message: str) -> None:
        super().__init__(message)
        self.errorcode = errorcode


@web_services.post("/webservice/rest/server.php")
def call() -> Response:
    """One function call, JSON only."""
    here, form = world(), request.form
    try:
        if form.get("wstoken") != here.api_token:
            raise _Refused("invalidtoken", "Invalid token - token not found")
        function = _FUNCTIONS.get(form.get("wsfunction", ""))
        if function is None:
            raise _Refused("accessexception", "Access control exception")
        return jsonify(function())
    except _Refused as refused:
        return jsonify(
            {
                "exception": "moodle_exception",
                "errorcode": refused.errorcode,
                "message": str(refused),
            }
        )


def _site_info() -> dict[str, Any]:
    return {"sitename": "Sandbox campus", "username": "badge-service", "release": "4.5"}


def _grade_items() -> dict[str, Any]:
    course, wanted = _course(), request.form.get("userid", "0")
    people = [p for p in world().learners_of(course.id) if p.active and wanted in {"0", p.sub}]
    if wanted != "0" and not people:
        raise _Refused("usernotenroled", "User is not enrolled")
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


def _items_of(course: Course, person: Person) -> list[dict[str, Any]]:
    items = [_item(item, person.sub) for item in course.items.values()]
    points, maximum = course.total(person.sub)
    total = {
        "id": 9,
        "itemname": "",
        "itemtype": "course",
        "graderaw": None if points is None else float(points),
        "grademin": 0,
        "grademax": float(maximum),
        "gradeishidden": False,
        "gradeneedsupdate": False,
    }
    return [*items, total]


def _item(item: Item, sub: str) -> dict[str, Any]:
    score: Fraction | None = item.scores.get(sub)
    return {
        "id": int(item.id),
        "itemname": escape(item.label),
        "itemtype": "mod",
        "itemmodule": "quiz" if item.owner is None else "lti",
        "graderaw": None if score is None else float(score),
        "grademin": 0,
        "grademax": float(item.maximum),
        "gradeishidden": sub in item.hidden,
        "gradedategraded": _epoch(item.graded_at.get(sub)),
        "gradedatesubmitted": _epoch(item.submitted_at.get(sub)),
        "gradeneedsupdate": False,
    }


def _epoch(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def _course_completion() -> dict[str, Any]:
    course, person = _course(), _learner()
    at: datetime | None = course.completed.get(person.sub)
    return {
        "completionstatus": {
            "completed": at is not None,
            "aggregation": 1,
            "completions": [
                {
                    "type": 8,
                    "title": "Required activities",
                    "complete": at is not None,
                    "timecompleted": int(at.timestamp()) if at else None,
                }
            ],
        },
        "warnings": [],
    }


def _activities_completion() -> dict[str, Any]:
    course, person = _course(), _learner()
    done = course.done.get(person.sub, set())
    return {
        "statuses": [
            {
                "cmid": int(cmid),
                "state": int(cmid in done),
                "timecompleted": 0,
                "tracking": 2,
                "istrackeduser": person.sub not in course.untracked,
            }
            for cmid in course.activities
        ],
        "warnings": [],
    }


def _contents() -> list[dict[str, Any]]:
    course = _course()
    modules = [
        {"id": int(cmid), "name": escape(name), "modname": "quiz", "completion": 2}
        for cmid, name in course.activities.items()
    ]
    return [{"id": 1, "name": "General", "modules": modules}]


def _groups() -> list[dict[str, Any]]:
    course = _course()
    return [
        {"id": 10 * int(course.id) + place, "courseid": int(course.id), "name": name}
        for place, name in enumerate(GROUPS)
    ]


def _group_members() -> list[dict[str, Any]]:
    ref = request.form.get("groupids[0]", "")
    course, place = (ref[:-1], int(ref[-1])) if ref.isdecimal() else ("", len(GROUPS))
    if course not in world().courses or place >= len(GROUPS):
        raise _Refused("invalidrecord", "Can't find data record in database table groups.")
    learners = [p for p in world().learners_of(course) if p.active]
    size = -(-len(learners) // len(GROUPS))
    within = learners[place * size : (place + 1) * size]
    return [{"groupid": int(ref), "userids": [int(person.sub) for person in within]}]


def _competencies() -> list[dict[str, Any]]:
    """None is set up in the sandbox's courses."""
    _course("id")
    return []


def _course(parameter: str = "courseid") -> Course:
    course = world().courses.get(request.form.get(parameter, ""))
    if course is None:
        raise _Refused("invalidrecord", "Can't find data record in database table course.")
    return course


def _learner() -> Person:
    sub = request.form.get("userid", "")
    for person in world().learners_of(request.form.get("courseid", "")):
        if person.sub == sub and person.active:
            return person
    raise _Refused("usernotenroled", "The user is not enrolled in this course")


_FUNCTIONS: dict[str, Callable[[], Any]] = {
    "core_webservice_get_site_info": _site_info,
    "gradereport_user_get_grade_items": _grade_items,
    "core_completion_get_course_completion_status": _course_completion,
    "core_completion_get_activities_completion_status": _activities_completion,
    "core_course_get_contents": _contents,
    "core_group_get_course_groups": _groups,
    "core_group_get_group_members": _group_members,
    "core_competency_list_course_competencies": _competencies,
}
