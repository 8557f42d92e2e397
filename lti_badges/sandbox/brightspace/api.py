"""Brightspace's own API (Valence): scopes per route, versions, single-use refresh tokens, quota.

Source: D2L developer platform (scopes table; grades, content, groups, sections), knowledge base
1191, 1195, 1196, 33526. A call outside the scopes is 403 “Insufficient scope to call”; a version
that is not supported is 404; a grade that nobody gave is null in a list and 404 alone.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from typing import Any, cast

import jwt
from flask import Blueprint, Response, g, jsonify, request

from lti_badges.core import clock
from lti_badges.core.http import Http
from lti_badges.core.jwk import read_key_set
from lti_badges.sandbox.brightspace.state import BrightspaceState
from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.state import world

api = Blueprint("brightspace_api", __name__)
AUDIENCE = "https://api.brightspace.com/auth/token"
DEFAULT_PAGE, MOST_A_PAGE, COST = 20, 200, 10
FINAL = "final"
View = Callable[..., Any]


def scoped(product: str, path: str, scope: str) -> Callable[[View], View]:
    """A GET route of `le` or `lp`, and the scope that the scopes table names for it."""

    def register(view: View) -> View:
        @api.get(f"/d2l/api/{product}/<version>{path}", endpoint=view.__name__)
        @wraps(view)
        def guarded(version: str, **ids: str) -> Any:
            return _refused(scope, product, version) or view(**ids)

        return guarded

    return register


@api.get("/d2l/api/versions/")
def versions() -> Response:
    """What this site speaks; asked without a token."""
    return jsonify(
        [
            {"ProductCode": product, "LatestVersion": found[-1], "SupportedVersions": list(found)}
            for product, found in state().versions.items()
        ]
    )


@api.post("/core/connect/token")
def token() -> Any:
    """Each refresh token works once; a service user proves itself by a signed assertion."""
    form, held = request.form, state()
    grant = form.get("grant_type")
    if grant == "client_credentials":
        if not held.service_user or not _is_signed(form.get("client_assertion", "")):
            return jsonify({"error": "invalid_client"}), 400
        return jsonify(_token(held))
    given = request.authorization
    if given is None or (given.username, given.password) != (held.client_id, held.client_secret):
        return jsonify({"error": "invalid_client"}), 400
    with world().lock:
        if grant == "authorization_code" and form.get("code") in held.codes:
            held.codes.discard(form["code"])
        elif grant != "refresh_token" or form.get("refresh_token") != held.refresh_token:
            return jsonify({"error": "invalid_grant"}), 400
        held.refresh_token = f"{held.refresh_token[:32]}{held.grants}"
        return jsonify({**_token(held), "refresh_token": held.refresh_token})


@scoped("lp", "/users/whoami", "users:own_profile:read")
def whoami() -> Any:
    """Whose token it is."""
    return jsonify({"Identifier": "1", "UniqueName": "badge.service"})


@scoped("le", "/<unit>/grades/", "grades:gradeobjects:read")
def grade_objects(unit: str) -> Any:
    """All grade items."""
    return _in(unit, lambda course: jsonify([_item(item) for item in course.items.values()]))


@scoped("le", "/<unit>/grades/setup/", "grades:gradesettings:read")
def grade_setup(unit: str) -> Any:
    """How the course counts."""
    told = {"GradingSystem": "Points", "IsNullGradeZero": state().null_is_zero}
    return _in(unit, lambda _: jsonify({**told, "DefaultGradeSchemeId": 1}))


@scoped("le", "/<unit>/grades/<item>/exemptions/", "grades:gradeobjects:read")
def exemptions(unit: str, item: str) -> Any:
    """Who needs no grade in an item."""

    def found(course: Course) -> Any:
        if item not in course.items:
            return _gone()
        return jsonify([{"UserId": int(sub)} for sub in sorted(course.items[item].excused)])

    return _in(unit, found)


@scoped("le", "/<unit>/grades/<item>/values/", "grades:gradevalues:read")
def grade_values(unit: str, item: str) -> Any:
    """All learners, with null where nobody graded."""

    def found(course: Course) -> Any:
        if item != FINAL and item not in course.items:
            return _gone()
        rows = [
            {
                "User": {"Identifier": person.sub, "DisplayName": person.name},
                "GradeValue": _value(course, item, person),
            }
            for person in _learners(course)
        ]
        return _objects(rows)

    return _in(unit, found)


@scoped("le", "/<unit>/grades/<item>/values/<user>", "grades:gradevalues:read")
def grade_value(unit: str, item: str, user: str) -> Any:
    """One learner's."""

    def found(course: Course) -> Any:
        person = world().people.get(user)
        known = item == FINAL or item in course.items
        value = _value(course, item, person) if person and known else None
        return jsonify(value) if value else _gone()

    return _in(unit, found)


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

    return _in(unit, found)


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

    return _in(unit, found)


@scoped("le", "/<unit>/content/topics/<topic>/completions/", "content:completions:read")
def completions(unit: str, topic: str) -> Any:
    """Who completed a topic; whoever did not is not named."""

    def found(course: Course) -> Any:
        done = [person for person in _learners(course) if _has(course, topic, person.sub)]
        return _objects([_completion(course, topic, person.sub) for person in done])

    return _in(unit, found)


@scoped("le", "/<unit>/content/topics/<topic>/completions/users/<user>", "content:completions:read")
def completion_of(unit: str, topic: str, user: str) -> Any:
    """One learner's."""

    def found(course: Course) -> Any:
        done = _has(course, topic, user)
        return jsonify(_completion(course, topic, user)) if done else _gone()

    return _in(unit, found)


@scoped("lp", "/<unit>/sections/", "sections:section:read")
def sections(unit: str) -> Any:
    """One."""
    return _in(unit, lambda course: jsonify([_section(course)]))


@scoped("lp", "/<unit>/sections/<section>", "sections:section:read")
def section_of(unit: str, section: str) -> Any:
    """Its people."""
    return _in(unit, lambda course: jsonify(_section(course)) if section == "1" else _gone())


@scoped("lp", "/<unit>/groupcategories/", "groups:group:read")
def group_categories(unit: str) -> Any:
    """One."""
    return _in(unit, lambda _: jsonify([{"GroupCategoryId": 3, "Name": "Teams", "Groups": [7]}]))


@scoped("lp", "/<unit>/groupcategories/<category>/groups/", "groups:group:read")
def groups(unit: str, category: str) -> Any:
    """One."""
    return _in(unit, lambda course: jsonify([_group(course)]) if category == "3" else _gone())


@scoped("lp", "/<unit>/groupcategories/<category>/groups/<group>", "groups:group:read")
def group_of(unit: str, category: str, group: str) -> Any:
    """Its people."""
    known = (category, group) == ("3", "7")
    return _in(unit, lambda course: jsonify(_group(course)) if known else _gone())


@api.after_request
def _costed(response: Response) -> Response:
    if "left" in g:
        response.headers["X-Request-Cost"] = str(COST)
        response.headers["X-Rate-Limit-Remaining"] = str(g.left)
        response.headers["X-Rate-Limit-Reset"] = "30"
    return response


def state() -> BrightspaceState:
    """What the running sandbox's Brightspace keeps."""
    return cast("BrightspaceState", world().vendor.state)


def _refused(scope: str, product: str, version: str) -> Any:
    held = state()
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if given not in held.tokens:
        kind = "http://docs.valence.desire2learn.com/res/apiprop.html#invalid-token"
        return jsonify({"type": kind, "title": "Invalid token", "status": 401}), 401
    with world().lock:
        if held.credits < COST:
            return Response("", 429, headers={"Retry-After": "30"})
        held.credits -= COST
        g.left = held.credits
    if scope not in held.scopes:
        said = f"Insufficient scope to call. Required Scopes: {scope}"
        return jsonify({"Errors": [{"Message": said}]}), 403
    return None if version in held.versions[product] else _gone()


def _token(held: BrightspaceState) -> dict[str, Any]:
    return {
        "access_token": held.new_token(),
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": " ".join(sorted(held.scopes)),
    }


def _is_signed(assertion: str) -> bool:
    """By a key of the tool's key set, for the one audience, once (RFC 7523)."""
    held, tool = state(), next(iter(world().tools.values()))
    try:
        kid = jwt.get_unverified_header(assertion).get("kid", "")
        with Http(allow_loopback=True) as http:
            key = (read_key_set(http, tool.jwks_url) or {})[kid]
        claims = jwt.decode(
            assertion,
            key,
            algorithms=["RS256"],
            audience=AUDIENCE,
            issuer=held.client_id,
            options={"require": ["exp", "iat", "jti", "sub"]},
        )
    except (jwt.PyJWTError, KeyError):
        return False
    fresh = claims["jti"] not in held.assertions and claims["sub"] == held.client_id
    held.assertions.add(claims["jti"])
    return fresh


def _in(unit: str, found: Callable[[Course], Any]) -> Any:
    course = world().courses.get(unit)
    return _gone() if course is None else found(course)


def _learners(course: Course) -> list[Person]:
    return [person for person in world().learners_of(course.id) if person.active]


def _objects(rows: list[Any]) -> Response:
    size = min(int(request.args.get("pageSize", DEFAULT_PAGE)), MOST_A_PAGE)
    size = min(size, world().page_size or size)
    at = int(request.args.get("at", 0))
    following = None
    if at + size < len(rows):
        following = f"{request.base_url}?pageSize={size}&at={at + size}"
    return jsonify({"Objects": rows[at : at + size], "Next": following})


def _item(item: Item) -> dict[str, Any]:
    return {
        "Id": int(item.id),
        "Name": item.label,
        "ShortName": item.label[:20],
        "GradeType": "Numeric" if item.grading == "points" else "SelectBox",
        "MaxPoints": float(item.maximum),
        "IsHidden": not item.published,
        "IsBonus": False,
        "ExcludeFromFinalGradeCalculation": item.owner is not None,
    }


def _value(course: Course, item: str, person: Person) -> dict[str, Any] | None:
    held = state()
    released = None
    if item == FINAL:
        points, maximum = _final(course, person.sub)
        shown = held.symbols.get(person.sub)
        released = None if person.sub in held.unreleased else "2026-05-01T10:00:00.000Z"
    else:
        column = course.items[item]
        if person.sub in column.hidden:
            return None  # kept as a draft: nobody but the teacher has it
        points, maximum = column.scores.get(person.sub), column.maximum
        shown = column.marks.get(person.sub)
        if shown:
            points = None
    if points is None and shown is None:
        return None
    return {
        "DisplayedGrade": shown or f"{float(points or 0):g} / {float(maximum):g}",
        "GradeObjectIdentifier": item,
        "GradeObjectType": 7 if item == FINAL else 1,
        "PointsNumerator": None if points is None else float(points),
        "PointsDenominator": float(maximum),
        "WeightedNumerator": None,
        "WeightedDenominator": None,
        "ReleasedDate": released,
    }


def _final(course: Course, sub: str) -> tuple[Fraction | None, Fraction]:
    counted = [
        item for item in course.items.values() if item.owner is None and sub not in item.excused
    ]
    graded = [item for item in counted if sub in item.scores]
    if not graded:
        return None, Fraction(0)
    over = counted if state().null_is_zero else graded
    got = sum((item.scores[sub] for item in graded), Fraction(0))
    return got, sum((item.maximum for item in over), Fraction(0))


def _has(course: Course, topic: str, sub: str) -> bool:
    return topic in course.done.get(sub, set())


def _completion(course: Course, topic: str, sub: str) -> dict[str, Any]:
    return {
        "UserId": int(sub),
        "OrgUnitId": int(course.id),
        "TopicId": int(topic),
        "CompletionType": 0,
        "CompletionDate": "2026-05-01T10:00:00.000Z",
    }


def _section(course: Course) -> dict[str, Any]:
    people = [int(person.sub) for person in _learners(course)[:9]]
    return {"SectionId": 1, "Name": "Day", "Enrollments": people}


def _group(course: Course) -> dict[str, Any]:
    people = [int(person.sub) for person in _learners(course)[:5]]
    return {"GroupId": 7, "Name": "Red", "Enrollments": people}


def _gone() -> Any:
    return jsonify({"Errors": [{"Message": "Not Found"}]}), 404
