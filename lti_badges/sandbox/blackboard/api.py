"""Blackboard Learn's own API: rights per route, ids as strings, the day's quota, paging by address.

Source: Learn OpenAPI 3900.65 and docs.anthology.com (rate limits, gradebook). Every
answer names what is left of the quota; 429 with Retry-After when it is used up. A route whose
entitlement the user lacks is 403, what does not exist 404; a column's grades leave out what is not
posted; calculated columns have no change index.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from flask import Blueprint, Response, g, jsonify, request

from lti_badges.sandbox.blackboard.grades import FINAL, column_row, final_row, grade_row
from lti_badges.sandbox.blackboard.state import QUOTA, BlackboardState
from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.state import world

api = Blueprint("blackboard_api", __name__)
PUBLIC = "/learn/api/public"
DEFAULT_PAGE, MOST_A_PAGE, DAY_S = 100, 200, 86_400
GRADEBOOK, PEOPLE = "course.gradebook.MODIFY", "course.user.VIEW"
DASHBOARD, GROUPS = "course.performance.dashboard.VIEW", "course.group.VIEW"
CHILDREN = "course.children.VIEW"
GROUP = "_7_1"
View = Callable[..., Any]


def guarded(version: str, path: str, right: str) -> Callable[[View], View]:
    """A GET route of a course, and the entitlement that the API description names for it."""

    def register(view: View) -> View:
        @api.get(f"{PUBLIC}/{version}/courses/<course>{path}", endpoint=view.__name__)
        @wraps(view)
        def checked(course: str, **ids: str) -> Any:
            if refused := _refused(right):
                return refused
            found = world().courses.get(_plain(course))
            return view(found, **ids) if found else _error(404, "The course does not exist.")

        return checked

    return register


@api.post(f"{PUBLIC}/v1/oauth2/token")
def token() -> Any:
    """By the application's key and secret; asking again costs nothing of the quota."""
    held, given, form = state(), request.authorization, request.form
    if given is None or (given.username, given.password) != (held.key, held.secret):
        return jsonify({"error": "invalid_client", "error_description": "Invalid client"}), 401
    grant = form.get("grant_type")
    if grant == "authorization_code" and form.get("code") in held.codes:
        held.codes.discard(form["code"])
        held.refresh_token = held.new_token()
    elif grant == "refresh_token" and form.get("refresh_token") == held.refresh_token != "":
        pass
    elif grant != "client_credentials":
        return jsonify({"error": "invalid_grant"}), 400
    kept = {"refresh_token": held.refresh_token} if grant != "client_credentials" else {}
    told = {"access_token": held.new_token(), "token_type": "bearer", "expires_in": 3600}
    return jsonify(told | kept)


@api.get(f"{PUBLIC}/v1/system/version")
def version() -> Any:
    """Which Learn this is."""
    return _refused("") or jsonify({"learn": {"major": 3900, "minor": 93, "patch": 0}})


@api.get(f"{PUBLIC}/v3/courses")
def courses() -> Any:
    """All that the application's user sees."""
    return _refused("") or _results([{"id": _id(each)} for each in world().courses])


@guarded("v1", "/users", PEOPLE)
def users(course: Course) -> Any:
    """Memberships; the user's own ids only where they are expanded."""
    expanded = "user" in request.args.get("expand", "").split(",")
    return _results([_membership(course, person, expanded) for person in _active(course)])


@guarded("v1", "/users/<user>", PEOPLE)
def user_of(course: Course, user: str) -> Any:
    """A user's membership in the course."""
    person = _person(course, user)
    if person is None:
        return _error(404, "The user is not enrolled in the course.")
    return jsonify(_membership(course, person, expanded=False))


@guarded("v2", "/gradebook/columns", GRADEBOOK)
def columns(course: Course) -> Any:
    """All columns and the overall grade."""
    return _results([*(column_row(item) for item in course.items.values()), final_row(course)])


@guarded("v2", "/gradebook/columns/<column>/users", GRADEBOOK)
def grades(course: Course, column: str) -> Any:
    """The posted grades of a column."""
    if _column(course, column) is None:
        return _error(404, "The specified object was not found.")
    found = [grade_row(state(), course, _plain(column), each) for each in _learners(course)]
    return _results([row for row in found if row is not None])


@guarded("v2", "/gradebook/columns/<column>/users/lastChanged", GRADEBOOK)
def last_changed(course: Course, column: str) -> Any:
    """The grade that changed last; nothing of calculated columns."""
    if _column(course, column) is None:
        return _error(404, "The specified object was not found.")
    if column == FINAL or _plain(column) == FINAL:
        return jsonify({})
    found = [grade_row(state(), course, _plain(column), each) for each in _learners(course)]
    known = [row for row in found if row is not None]
    return jsonify(max(known, key=lambda row: int(row["changeIndex"]), default={}))


@guarded("v2", "/gradebook/columns/<column>/users/<user>", GRADEBOOK)
def grade(course: Course, column: str, user: str) -> Any:
    """One learner's grade in a column."""
    person = _person(course, user)
    if person is None or _column(course, column) is None:
        return _error(404, "The specified object was not found.")
    row = grade_row(state(), course, _plain(column), person)
    if row is None:
        return _error(404, "Grade detail values have not yet been populated.")
    return jsonify(row)


@guarded("v2", "/gradebook/users/<user>", GRADEBOOK)
def grades_of(course: Course, user: str) -> Any:
    """One learner's in all columns."""
    person = _person(course, user)
    if person is None:
        return _error(404, "The user is not enrolled in the course.")
    found = [grade_row(state(), course, column, person) for column in (*course.items, FINAL)]
    return _results([row for row in found if row is not None])


@guarded("v1", "/performance/contentReviewStatus", DASHBOARD)
def reviews(course: Course) -> Any:
    """How much of the reviewable content each learner reviewed."""
    wanted = request.args.get("userId")
    people = _learners(course)
    if wanted is not None:
        people = [each for each in people if each is _person(course, wanted)]
    rows = [
        {
            "courseId": _id(course.id),
            "userId": _id(person.sub),
            "reviewedCount": len(course.done.get(person.sub, set())),
            "reviewableCount": len(course.activities),
        }
        for person in people
    ]
    return _results(rows)


@guarded("v2", "/groups", GROUPS)
def groups(_course: Course) -> Any:
    """The course's groups: one."""
    return _results([{"id": GROUP, "name": "Red", "availability": {"available": "Yes"}}])


@guarded("v2", "/groups/<group>/users", GROUPS)
def group_members(course: Course, group: str) -> Any:
    """The memberships of a group."""
    if group != GROUP:
        return _error(404, "The group does not exist.")
    return _results([{"userId": _id(each.sub)} for each in _learners(course)[:5]])


@guarded("v2", "/groups/<group>/users/<user>", GROUPS)
def group_member(course: Course, group: str, user: str) -> Any:
    """Whether somebody is in it."""
    person = _person(course, user)
    if group != GROUP or person is None or person not in _learners(course)[:5]:
        return _error(404, "The user is not in the group.")
    return jsonify({"userId": _id(person.sub)})


@guarded("v1", "/children", CHILDREN)
def children(course: Course) -> Any:
    """The courses that were merged into this one."""
    expanded = "childCourse" in request.args.get("expand", "").split(",")
    return _results(
        [
            {"id": child, "parentId": _id(course.id)}
            | ({"childCourse": {"id": child, "name": f"Section {child}"}} if expanded else {})
            for child in state().children
        ]
    )


@api.after_request
def _counted(response: Response) -> Response:
    if "left" in g:
        response.headers["X-Rate-Limit-Limit"] = str(QUOTA)
        response.headers["X-Rate-Limit-Remaining"] = str(g.left)
    return response


def state() -> BlackboardState:
    """What the running sandbox's Blackboard keeps."""
    return cast("BlackboardState", world().vendor.state)


def _refused(right: str) -> Any:
    held = state()
    if request.headers.get("Authorization", "").removeprefix("Bearer ") not in held.tokens:
        return _error(401, "Bearer token is invalid")
    with world().lock:
        if held.left <= 0:
            g.left = 0
            return Response("", 429, headers={"Retry-After": str(DAY_S)})
        held.left -= 1
        held.calls += 1
        g.left = held.left
    if right and right not in held.rights:
        return _error(403, "User does not have permission to access this resource.")
    return None


def _error(status: int, message: str) -> Any:
    told = {"status": status, "code": "bb-rest", "message": message, "developerMessage": ""}
    return jsonify(told), status


def _id(plain: str) -> str:
    return f"_{plain}_1"


def _plain(told: str) -> str:
    """The world's own id of `_12_1` or `uuid:…`."""
    if told.startswith("uuid:"):
        return told.removeprefix("uuid:")
    return told.removeprefix("_").removesuffix("_1")


def _person(course: Course, told: str) -> Person | None:
    """By primary id or LTI id, if active in the course."""
    account = world().account(told[5:]) if told.startswith("uuid:") else _plain(told)
    return next((each for each in _active(course) if each.sub == account), None)


def _active(course: Course) -> list[Person]:
    return [person for person in world().members_of(course.id) if person.active]


def _learners(course: Course) -> list[Person]:
    return [person for person in world().learners_of(course.id) if person.active]


def _membership(course: Course, person: Person, expanded: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": f"_9{person.sub}_1",
        "userId": _id(person.sub),
        "courseId": _id(course.id),
        "courseRoleId": "Instructor" if person.role == "Instructor" else "Student",
        "availability": {"available": "Yes"},
    }
    child = next((c for c, people in state().children.items() if person.sub in people), None)
    if child:
        row["childCourseId"] = child
    if expanded:
        row["user"] = {"id": _id(person.sub), "uuid": world().user_id(person.sub)}
    return row


def _column(course: Course, told: str) -> Item | str | None:
    return FINAL if _plain(told) == FINAL else course.items.get(_plain(told))


def _results(rows: list[Any]) -> Response:
    asked = request.args.get("limit", "")
    size = min(int(asked) if asked.isdecimal() else DEFAULT_PAGE, MOST_A_PAGE)
    size = min(size, world().page_size or size)
    at = int(request.args.get("offset", 0))
    answer: dict[str, Any] = {"results": rows[at : at + size]}
    if at + size < len(rows):
        kept = {**request.args.to_dict(), "offset": str(at + size), "limit": str(size)}
        query = "&".join(f"{name}={value}" for name, value in kept.items())
        answer["paging"] = {"nextPage": f"{request.path}?{query}"}
    return jsonify(answer)
