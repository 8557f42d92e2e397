"""Moodle's web services, as far as badges need them: errors come as HTTP 200.

Source: Moodle 4.5, the external functions' `require_capability`, lib/classes/user.php
(`require_active_user`), and a running 4.5.6: a missing function and a missing right answer by
function, the report of a whole course is slow, a hidden grade is left out of a learner's report.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from html import escape
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.moodle.state import MoodleState
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
    here, form, site = world(), request.form, _site()
    if not site.rest_is_on:
        return Response("REST protocol disabled", 403)
    name = form.get("wsfunction", "")
    site.calls.append(name)
    try:
        if form.get("wstoken") != here.api_token:
            raise _Refused("invalidtoken", "Invalid token - token not found")
        function = _FUNCTIONS.get(name)
        if function is None or name not in site.functions:
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


def _site() -> MoodleState:
    state = world().vendor.state
    assert isinstance(state, MoodleState)  # noqa: S101 - these are this vendor's services
    return state


def _require(right: str, name: str, errorcode: str = "nopermissions") -> None:
    if right not in _site().rights:
        message = f"Sorry, but you do not currently have permissions to do that ({name})."
        raise _Refused(errorcode, message)


def _site_info() -> dict[str, Any]:
    functions = [{"name": name, "version": "2024100706"} for name in sorted(_site().functions)]
    return {
        "sitename": "Sandbox campus",
        "username": "badge-service",
        "release": "4.5.6 (Build: 20250811)",
        "functions": functions,
    }


def _grade_items() -> Any:
    course, wanted, site = _course(), request.form.get("userid", "0"), _site()
    _require("gradereport/user:view", "View your own grade report")
    if wanted == "0":
        _require("moodle/grade:viewall", "View grades of other users")
    enrolled = {p.sub: p for p in world().learners_of(course.id) if p.active}
    if wanted in site.suspended:
        raise _Refused("suspended", "This account has been suspended")
    if wanted != "0" and wanted not in world().people:
        raise _Refused("invaliduser", "Invalid user")
    if "moodle/grade:viewall" not in site.rights:
        raise _Refused("nopermissiontoviewgrades", "Can not view grades.")
    if site.separate_groups and "moodle/site:accessallgroups" not in site.rights:
        raise _Refused("notingroup", "Sorry, but you need to be part of this group.")
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


def _exhausted() -> Any:
    """PHP ran out of time: what a proxy before it answers."""
    abort(504)


def _listed_items() -> dict[str, Any]:
    """All of them, whoever may see them; not the course total."""
    items = [
        {"id": item.id, "itemname": escape(item.label), "category": "Sandbox"}
        for item in _course().items.values()
    ]
    return {"gradeItems": items, "warnings": []}


def _items_of(course: Course, person: Person) -> list[dict[str, Any]]:
    sees_hidden = "moodle/grade:viewhidden" in _site().rights
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
    scale = _site().scales.get(item.id)
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


def _course_completion() -> dict[str, Any]:
    course, person = _course(), _learner()
    _require("report/completion:view", "View course completion report", "cannotviewreport")
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
    _require("report/progress:view", "View activity completion reports")
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
    _require("moodle/course:managegroups", "Manage groups")
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


def _cohorts() -> list[dict[str, Any]]:
    _require("moodle/cohort:view", "View site-wide cohorts")
    return [{"id": place, "name": name} for place, name in enumerate(_site().cohorts, 1)]


def _cohort_members() -> list[dict[str, Any]]:
    _require("moodle/cohort:view", "View site-wide cohorts")
    ref = request.form.get("cohortids[0]", "")
    named = dict(enumerate(_site().cohorts.values(), 1))
    if not ref.isdecimal() or int(ref) not in named:
        raise _Refused("invalidrecord", "Can't find data record in database table cohort.")
    return [{"cohortid": int(ref), "userids": sorted(map(int, named[int(ref)]))}]


def _users() -> list[dict[str, Any]]:
    """Whether an account is suspended is told only to who may change it."""
    here, site = world(), _site()
    asked = [value for name, value in request.form.items() if name.startswith("values[")]
    told = "moodle/user:update" in site.rights
    return [
        {"id": int(sub), "username": here.people[sub].given.lower()}
        | ({"suspended": sub in site.suspended} if told else {})
        for sub in asked
        if sub in here.people
    ]


def _competencies() -> list[dict[str, Any]]:
    """None is set up in the sandbox's courses."""
    _course("id")
    return []


def _course(parameter: str = "courseid") -> Course:
    if parameter not in request.form:
        raise _Refused("invalidparameter", f"Missing required key in single structure: {parameter}")
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
    "core_grades_get_gradeitems": _listed_items,
    "core_user_get_users_by_field": _users,
    "core_cohort_get_cohorts": _cohorts,
    "core_cohort_get_cohort_members": _cohort_members,
    "core_completion_get_course_completion_status": _course_completion,
    "core_completion_get_activities_completion_status": _activities_completion,
    "core_course_get_contents": _contents,
    "core_group_get_course_groups": _groups,
    "core_group_get_group_members": _group_members,
    "core_competency_list_course_competencies": _competencies,
}
