"""The routes of Canvas's own API that a badge tool reads.

Source: Canvas LMS, app/controllers/{enrollments_api,submissions_api,context_modules_api,courses,
assignment_groups,outcome_results,grading_periods}_controller.rb, and the API documentation.
Enrolments are active and invited ones unless others are asked for; outcomes come in short unless
`outcome_style=full`; a course without module requirements answers with an error of status 200.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import jsonify, request

from lti_badges.sandbox.canvas.access import (
    api_id,
    course_of,
    error,
    gone,
    listed,
    page_of,
    scoped,
    state,
)
from lti_badges.sandbox.canvas.rows import (
    PERIODS,
    assignment,
    enrolment,
    groups_of,
    not_module_based,
    progress_of,
    submission,
)
from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.state import world

OUTCOME, GROUP = 42, 7


@scoped("/api/v1/users/:id")
def user(id: str) -> Any:  # noqa: A002 - the route's own word
    """Who the token belongs to, for `self`."""
    return jsonify({"id": 1, "name": "Badge service"}) if id == "self" else gone()


@scoped("/api/v1/courses/:course_id/users/:id")
def course_user(course_id: str, id: str) -> Any:  # noqa: A002
    """A member, by `lti_1_3_id:` or number."""
    course = course_of(course_id)
    person = _member(course, id) if course else None
    return jsonify({"id": api_id(person.sub), "name": person.name}) if person else gone()


@scoped("/api/v1/courses/:course_id/assignments")
def assignments(course_id: str) -> Any:
    """All assignments, drafts included, as the token's user may manage them."""
    return listed(course_id, lambda course: map(assignment, course.items.values()))


@scoped("/api/v1/courses/:course_id/assignment_groups")
def assignment_groups(course_id: str) -> Any:
    """Groups with their weights and rules."""
    return listed(
        course_id,
        lambda course: [
            {
                "id": api_id(number),
                "name": name,
                "group_weight": 0,
                "rules": state().group_rules.get(name, {}),
            }
            for number, name in enumerate(groups_of(course), 1)
        ],
    )


@scoped("/api/v1/courses/:course_id/students/submissions")
def submissions(course_id: str) -> Any:
    """Submissions of the assignments and students that are named."""
    wanted = set(request.args.getlist("assignment_ids[]"))
    students = set(request.args.getlist("student_ids[]"))
    since = request.args.get("graded_since")
    if not students:
        return error(400, "Must specify student_ids, as no default is given")

    def found(course: Course) -> Iterable[tuple[Item, Person]]:
        learners = [
            person
            for person in world().learners_of(course.id)
            if not person.is_test and students & {"all", person.sub}
        ]
        for item in course.items.values():
            if item.published and (not wanted or item.id in wanted):
                for person in learners:
                    if since is None or (submission(item, person)["graded_at"] or "") >= since:
                        yield item, person

    return listed(course_id, found, lambda pair: submission(*pair))


@scoped("/api/v1/courses/:course_id/enrollments")
def enrollments(course_id: str) -> Any:
    """Enrolments with grades. By default those that are active or invited."""
    types = request.args.getlist("type[]") or ["StudentEnrollment"]
    states = set(request.args.getlist("state[]") or ["active", "invited"])
    user, period = request.args.get("user_id"), request.args.get("grading_period_id")
    if period and int(period) not in dict(PERIODS):
        return error(404, "The specified resource does not exist.")

    def rows(course: Course) -> Iterable[dict[str, Any]]:
        for person in world().learners_of(course.id):
            held = state().enrolment_of(person)
            if "StudentEnrollment" not in types or user not in {None, person.sub}:
                continue
            if held in states and not person.is_test:
                yield enrolment(course, person, held, period)

    return listed(course_id, rows, bookmarks=True)


@scoped("/api/v1/courses/:course_id/bulk_user_progress")
def bulk_user_progress(course_id: str) -> Any:
    """Module progress of all active students."""
    course = course_of(course_id)
    if course is not None and not course.activities:
        return jsonify(not_module_based())
    return listed(
        course_id,
        lambda course: [
            {
                "id": api_id(person.sub),
                "display_name": person.name,
                "progress": progress_of(course, person),
            }
            for person in world().learners_of(course.id)
            if person.active and not person.is_test
        ],
    )


@scoped("/api/v1/courses/:course_id/users/:user_id/progress")
def progress(course_id: str, user_id: str) -> Any:
    """Module progress of one student."""
    course = course_of(course_id)
    person = _member(course, user_id) if course else None
    if course is None or person is None:
        return gone()
    return jsonify(progress_of(course, person) if course.activities else not_module_based())


@scoped("/api/v1/courses/:course_id/modules")
def modules(course_id: str) -> Any:
    """Modules; with `student_id` also how far that student is."""
    student = request.args.get("student_id")

    def rows(course: Course) -> Iterable[dict[str, Any]]:
        done = course.done.get(student or "", set())
        for number, name in course.activities.items():
            row: dict[str, Any] = {"id": api_id(number), "name": name, "published": True}
            if student:
                row["state"] = "completed" if number in done else "unlocked"
                row["completed_at"] = "2026-05-01T10:00:00Z" if number in done else None
            yield row

    return listed(course_id, rows)


@scoped("/api/v1/courses/:course_id/sections")
def sections(course_id: str) -> Any:
    """The course's sections: two."""
    names = ((1, "Day"), (2, "Evening"))
    return listed(course_id, lambda _: [{"id": api_id(n), "name": name} for n, name in names])


@scoped("/api/v1/courses/:course_id/groups")
def groups(course_id: str) -> Any:
    """The course's groups: one."""
    return listed(course_id, lambda _: [{"id": api_id(GROUP), "name": "Red"}])


@scoped("/api/v1/groups/:group_id/users")
def group_users(group_id: str) -> Any:
    """Its first five learners."""
    if group_id != str(GROUP):
        return gone()
    return listed(
        next(iter(world().courses)),
        lambda course: [{"id": api_id(each.sub)} for each in world().learners_of(course.id)[:5]],
    )


@scoped("/api/v1/courses/:course_id/outcome_group_links")
def outcome_group_links(course_id: str) -> Any:
    """The links to the course's outcomes: one."""
    told = {"id": OUTCOME, "title": "Reasoning", "mastery_points": 3, "points_possible": 5}
    full = request.args.get("outcome_style") == "full"
    return listed(course_id, lambda _: [{"outcome": told if full else {"id": OUTCOME}}])


@scoped("/api/v1/courses/:course_id/outcome_rollups")
def outcome_rollups(course_id: str) -> Any:
    """Of each learner, a tenth of the percentage in the first assignment."""
    asked = set(request.args.getlist("user_ids[]"))
    course = course_of(course_id)
    if course is None:
        return gone()
    item = next(iter(course.items.values()))
    rows = []
    for person in world().learners_of(course.id):
        points = item.scores.get(person.sub)
        if asked and person.sub not in asked:
            continue
        score = None if points is None else float(points / item.maximum * 5)
        links = {"user": person.sub, "section": "1"}
        rows.append(
            {"scores": [{"score": score, "links": {"outcome": str(OUTCOME)}}], "links": links}
        )
    return page_of(rows, wrap="rollups")


@scoped("/api/v1/courses/:course_id/grading_periods")
def grading_periods(course_id: str) -> Any:
    """The course's grading periods: two."""
    if course_of(course_id) is None:
        return gone()
    rows = [{"id": str(number), "title": title} for number, title in PERIODS]
    return page_of(rows, wrap="grading_periods")


def _member(course: Course, named: str) -> Person | None:
    sub = named
    if named.startswith("lti_1_3_id:"):
        sub = world().account(named.removeprefix("lti_1_3_id:")) or ""
    return world().people[sub] if sub in course.members else None
