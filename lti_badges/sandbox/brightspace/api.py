"""Brightspace's own API (Valence), route by route; an item that nobody graded is null in a list and
404 alone.

Source: D2L developer platform (grades, content, groups, sections).
"""

from __future__ import annotations

from typing import Any

from flask import jsonify, request

from lti_badges.core import clock
from lti_badges.sandbox.brightspace.access import (
    MOST_A_PAGE,
    in_course,
    not_found,
    paged,
    scoped,
    state,
)
from lti_badges.sandbox.brightspace.rows import (
    FINAL,
    completion_row,
    group_row,
    has_completed,
    item_row,
    learners,
    section_row,
    value_row,
)
from lti_badges.sandbox.model import Course
from lti_badges.sandbox.state import world


@scoped("lp", "/users/whoami", "users:own_profile:read")
def whoami() -> Any:
    """Whose token it is."""
    return jsonify({"Identifier": "1", "UniqueName": "badge.service"})


@scoped("le", "/<unit>/grades/", "grades:gradeobjects:read")
def grade_objects(unit: str) -> Any:
    """Every item, hidden ones too."""
    return in_course(
        unit, lambda course: jsonify([item_row(item) for item in course.items.values()])
    )


@scoped("le", "/<unit>/grades/setup/", "grades:gradesettings:read")
def grade_setup(unit: str) -> Any:
    """How the course counts."""
    told = {"GradingSystem": "Points", "IsNullGradeZero": state().null_is_zero}
    return in_course(unit, lambda _: jsonify({**told, "DefaultGradeSchemeId": 1}))


@scoped("le", "/<unit>/grades/<item>/exemptions/", "grades:gradeobjects:read")
def exemptions(unit: str, item: str) -> Any:
    """Who needs no grade in an item."""

    def found(course: Course) -> Any:
        if item not in course.items:
            return not_found()
        return jsonify([{"UserId": int(sub)} for sub in sorted(course.items[item].excused)])

    return in_course(unit, found)


@scoped("le", "/<unit>/grades/<item>/values/", "grades:gradevalues:read")
def grade_values(unit: str, item: str) -> Any:
    """All learners, with null where nobody graded."""

    def found(course: Course) -> Any:
        if item != FINAL and item not in course.items:
            return not_found()
        rows = [
            {
                "User": {"Identifier": person.sub, "DisplayName": person.name},
                "GradeValue": value_row(course, item, person),
            }
            for person in learners(course)
        ]
        return paged(rows)

    return in_course(unit, found)


@scoped("le", "/<unit>/grades/<item>/values/<user>", "grades:gradevalues:read")
def grade_value(unit: str, item: str, user: str) -> Any:
    """One learner's grade; 404 where nobody gave any."""

    def found(course: Course) -> Any:
        person = world().people.get(user)
        known = item == FINAL or item in course.items
        value = value_row(course, item, person) if person and known else None
        return jsonify(value) if value else not_found()

    return in_course(unit, found)


@scoped("le", "/<unit>/grades/courseCompletion/", "grades:coursecompletion:read")
def course_completion(unit: str) -> Any:
    """Records that somebody made, by bookmark."""

    def found(course: Course) -> Any:
        user = request.args.get("userId")
        rows = [
            {"UserId": int(sub), "CompletedDate": clock.iso(at), "ExpiryDate": None}
            for sub, at in state().records.items()
            if user in {None, sub} and sub in course.members
        ]
        at = int(request.args.get("bookmark") or 0)
        size = world().page_size or MOST_A_PAGE
        more = at + size < len(rows)
        paging = {"Bookmark": str(at + size), "HasMoreItems": more}
        return jsonify({"PagingInfo": paging, "Items": rows[at : at + size]})

    return in_course(unit, found)


@scoped("le", "/<unit>/content/toc", "content:toc:read")
def content_toc(unit: str) -> Any:
    """One module with the course's topics, and one that is hidden."""

    def found(course: Course) -> Any:
        topics = [
            {"TopicId": int(number), "Title": name, "IsHidden": False}
            for number, name in course.activities.items()
        ]
        hidden = {"TopicId": 999, "Title": "Notes for teachers", "IsHidden": True}
        return jsonify({"Modules": [{"ModuleId": 1, "Modules": [], "Topics": [*topics, hidden]}]})

    return in_course(unit, found)


@scoped("le", "/<unit>/content/topics/<topic>/completions/", "content:completions:read")
def completions(unit: str, topic: str) -> Any:
    """Who completed a topic; whoever did not is not named."""

    def found(course: Course) -> Any:
        done = [person for person in learners(course) if has_completed(course, topic, person.sub)]
        return paged([completion_row(course, topic, person.sub) for person in done])

    return in_course(unit, found)


@scoped("le", "/<unit>/content/topics/<topic>/completions/users/<user>", "content:completions:read")
def completion_of(unit: str, topic: str, user: str) -> Any:
    """One learner's completion of a topic; 404 where there is none."""

    def found(course: Course) -> Any:
        done = has_completed(course, topic, user)
        return jsonify(completion_row(course, topic, user)) if done else not_found()

    return in_course(unit, found)


@scoped("lp", "/<unit>/sections/", "sections:section:read")
def sections(unit: str) -> Any:
    """The course's only section."""
    return in_course(unit, lambda course: jsonify([section_row(course)]))


@scoped("lp", "/<unit>/sections/<section>", "sections:section:read")
def section_of(unit: str, section: str) -> Any:
    """A section with its people."""
    return in_course(
        unit, lambda course: jsonify(section_row(course)) if section == "1" else not_found()
    )


@scoped("lp", "/<unit>/groupcategories/", "groups:group:read")
def group_categories(unit: str) -> Any:
    """The course's only category, with the ids of its groups."""
    return in_course(
        unit, lambda _: jsonify([{"GroupCategoryId": 3, "Name": "Teams", "Groups": [7]}])
    )


@scoped("lp", "/<unit>/groupcategories/<category>/groups/", "groups:group:read")
def groups(unit: str, category: str) -> Any:
    """The category's only group."""
    return in_course(
        unit, lambda course: jsonify([group_row(course)]) if category == "3" else not_found()
    )


@scoped("lp", "/<unit>/groupcategories/<category>/groups/<group>", "groups:group:read")
def group_of(unit: str, category: str, group: str) -> Any:
    """A group with its people."""
    known = (category, group) == ("3", "7")
    return in_course(unit, lambda course: jsonify(group_row(course)) if known else not_found())
