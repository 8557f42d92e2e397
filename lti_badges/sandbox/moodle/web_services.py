"""Moodle's web services, as far as badges need them: errors come as HTTP 200.

Source: Moodle 4.5, the external functions' `require_capability`, lib/classes/user.php
(`require_active_user`), and a running 4.5.6: a missing function and a missing right answer by
function, the report of a whole course is slow, a hidden grade is left out of a learner's report.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any

from flask import Blueprint, Response, jsonify, request

from lti_badges.sandbox.moodle.access import (
    Refused,
    asked_course,
    asked_learner,
    require,
    site_state,
)
from lti_badges.sandbox.moodle.grades import grade_items, listed_items
from lti_badges.sandbox.state import world

web_services = Blueprint("web_services", __name__)


GROUPS = ("Morning", "Evening")


@web_services.post("/webservice/rest/server.php")
def call() -> Response:
    """One function call, JSON only."""
    here, form, site = world(), request.form, site_state()
    if not site.rest_is_on:
        return Response("REST protocol disabled", 403)
    name = form.get("wsfunction", "")
    site.calls.append(name)
    try:
        if form.get("wstoken") != here.api_token:
            raise Refused("invalidtoken", "Invalid token - token not found")
        function = _FUNCTIONS.get(name)
        if function is None or name not in site.functions:
            raise Refused("accessexception", "Access control exception")
        return jsonify(function())
    except Refused as refused:
        return jsonify(
            {
                "exception": "moodle_exception",
                "errorcode": refused.errorcode,
                "message": str(refused),
            }
        )


def _site_info() -> dict[str, Any]:
    functions = [{"name": name, "version": "2024100706"} for name in sorted(site_state().functions)]
    return {
        "sitename": "Sandbox campus",
        "username": "badge-service",
        "release": "4.5.6 (Build: 20250811)",
        "functions": functions,
    }


def _course_completion() -> dict[str, Any]:
    course, person = asked_course(), asked_learner()
    require("report/completion:view", "View course completion report", "cannotviewreport")
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
    course, person = asked_course(), asked_learner()
    require("report/progress:view", "View activity completion reports")
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
    course = asked_course()
    modules = [
        {"id": int(cmid), "name": escape(name), "modname": "quiz", "completion": 2}
        for cmid, name in course.activities.items()
    ]
    return [{"id": 1, "name": "General", "modules": modules}]


def _groups() -> list[dict[str, Any]]:
    course = asked_course()
    require("moodle/course:managegroups", "Manage groups")
    return [
        {"id": 10 * int(course.id) + place, "courseid": int(course.id), "name": name}
        for place, name in enumerate(GROUPS)
    ]


def _group_members() -> list[dict[str, Any]]:
    ref = request.form.get("groupids[0]", "")
    course, place = (ref[:-1], int(ref[-1])) if ref.isdecimal() else ("", len(GROUPS))
    if course not in world().courses or place >= len(GROUPS):
        raise Refused("invalidrecord", "Can't find data record in database table groups.")
    learners = [p for p in world().learners_of(course) if p.active]
    size = -(-len(learners) // len(GROUPS))
    within = learners[place * size : (place + 1) * size]
    return [{"groupid": int(ref), "userids": [int(person.sub) for person in within]}]


def _cohorts() -> list[dict[str, Any]]:
    require("moodle/cohort:view", "View site-wide cohorts")
    return [{"id": place, "name": name} for place, name in enumerate(site_state().cohorts, 1)]


def _cohort_members() -> list[dict[str, Any]]:
    require("moodle/cohort:view", "View site-wide cohorts")
    ref = request.form.get("cohortids[0]", "")
    named = dict(enumerate(site_state().cohorts.values(), 1))
    if not ref.isdecimal() or int(ref) not in named:
        raise Refused("invalidrecord", "Can't find data record in database table cohort.")
    return [{"cohortid": int(ref), "userids": sorted(map(int, named[int(ref)]))}]


def _users() -> list[dict[str, Any]]:
    """Whether an account is suspended is told only to who may change it."""
    here, site = world(), site_state()
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
    asked_course("id")
    return []


_FUNCTIONS: dict[str, Callable[[], Any]] = {
    "core_webservice_get_site_info": _site_info,
    "gradereport_user_get_grade_items": grade_items,
    "core_grades_get_gradeitems": listed_items,
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
