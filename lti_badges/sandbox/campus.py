"""The sandbox's own pages: who to be, the course, the tool in its frame, the gradebook."""

from __future__ import annotations

from fractions import Fraction
from typing import Any
from urllib.parse import urlencode

import jwt
from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.sandbox.claims import CLAIM, DL
from lti_badges.sandbox.model import Course, Link, Person
from lti_badges.sandbox.oidc import tool_key
from lti_badges.sandbox.state import world
from lti_badges.values.score import exact, plain

campus = Blueprint("campus", __name__)


@campus.get("/")
def home() -> str:
    """Who do you want to be?"""
    here = world()
    course = next(iter(here.courses.values()))
    return render_template("home.html", world=here, course=course, people=_people(course))


@campus.get("/courses/<course_id>")
def course_page(course_id: str) -> str:
    """The course, as one of its members."""
    course, person = _course(course_id), _person()
    return render_template(
        "course.html", world=world(), course=course, person=person, placed=_placed(course)
    )


@campus.get("/courses/<course_id>/tool")
def tool_frame(course_id: str) -> str:
    """The tool in a frame, launched by link; `deep=1` opens the content picker."""
    course, person = _course(course_id), _person()
    asked = {"course": course.id, "person": person.sub, "link": request.args.get("link", "main")}
    if request.args.get("deep"):
        asked["deep"] = "1"
    return render_template(
        "frame.html",
        world=world(),
        course=course,
        person=person,
        src=f"/launch?{urlencode(asked)}",
        placed=_placed(course),
    )


@campus.get("/storage-frame")
def storage_frame() -> str:
    """The frame that keeps data for tools (LTI Platform Storage)."""
    return render_template("storage.html")


@campus.get("/courses/<course_id>/gradebook")
def gradebook(course_id: str) -> str:
    """All learners and columns, for the instructor."""
    course, person = _course(course_id), _person("Instructor")
    return render_template(
        "gradebook.html",
        world=world(),
        course=course,
        person=person,
        learners=world().learners_of(course.id),
        plain=plain,
        saved=request.args.get("saved"),
    )


@campus.post("/courses/<course_id>/gradebook")
def grade(course_id: str) -> AnyResponse:
    """Save one learner's row."""
    course, _ = _course(course_id), _person("Instructor")
    sub = request.form["learner"]
    for item in course.items.values():
        text = request.form.get(f"score-{item.id}")
        if text is None:
            continue
        world().set_score(course.id, item.id, sub, _points(text))
    world().set_completion(course.id, sub, request.form.get("completed") == "on")
    back = urlencode({"as": request.args["as"], "saved": sub})
    return redirect(f"/courses/{course_id}/gradebook?{back}#row-{sub}")


@campus.get("/courses/<course_id>/grades")
def own_grades(course_id: str) -> str:
    """A learner's own grades."""
    course, person = _course(course_id), _person()
    return render_template("grades.html", world=world(), course=course, person=person, plain=plain)


@campus.post("/deep-link-return")
def deep_link_return() -> AnyResponse:
    """Take the tool's signed choice and place it."""
    here = world()
    try:
        claims = _verified(request.form.get("JWT", ""))
    except jwt.PyJWTError as error:
        return Response(render_template("message.html", text=f"Refused: {error}"), 400)
    with here.lock:
        pick = here.picks.pop(str(claims.get(f"{DL}data")), None)
    if pick is None or pick["course"] != request.args.get("course"):
        return Response(render_template("message.html", text="Refused: unknown data."), 400)
    course = here.courses[pick["course"]]
    for item in claims.get(f"{DL}content_items", []):
        if item.get("type") == "ltiResourceLink":
            link = Link(
                here.new_id(),
                str(item.get("title", "Badge")),
                str(item.get("url", "")),
                {str(k): str(v) for k, v in item.get("custom", {}).items()},
                str(item.get("text", "")),
            )
            course.links[link.id] = link
    return Response(
        render_template(
            "placed.html", course=course, sub=pick["person"], count=len(_placed(course))
        )
    )


def _verified(token: str) -> dict[str, Any]:
    here = world()
    client = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
    tool = here.tools.get(client)
    key = tool_key(tool, str(jwt.get_unverified_header(token).get("kid"))) if tool else None
    if tool is None or key is None:
        raise jwt.InvalidIssuerError("unknown tool or key")
    claims = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=here.issuer,
        issuer=client,
        options={"require": ["exp", "iat", "nonce"]},
    )
    if claims.get(f"{CLAIM}message_type") != "LtiDeepLinkingResponse":
        raise jwt.InvalidTokenError("not a deep-linking response")
    if claims.get(f"{CLAIM}deployment_id") not in tool.deployment_ids:
        raise jwt.InvalidTokenError("another deployment")
    return claims


def _points(text: str) -> Fraction | None:
    if not text.strip():
        return None
    try:
        return exact(text.replace(",", "."))
    except ValueError:
        abort(400, "Points are a number.")


def _course(course_id: str) -> Course:
    course = world().courses.get(course_id)
    if course is None:
        abort(404)
    return course


def _person(role: str | None = None) -> Person:
    person = world().people.get(request.args.get("as", ""))
    if person is None:
        abort(404)
    if role and person.role != role:
        abort(403)
    return person


def _people(course: Course) -> list[Person]:
    return [p for p in world().members_of(course.id) if p.active]


def _placed(course: Course) -> list[Link]:
    return [link for link in course.links.values() if link.id != "main"]
