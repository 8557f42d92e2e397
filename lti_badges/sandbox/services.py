"""AGS and NRPS of the sandbox: paged, scoped, with the media types platforms insist on."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from fractions import Fraction
from html import escape
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import HTTPException

from lti_badges.core import clock
from lti_badges.sandbox.claims import MEMBERSHIP, line_item_url, roles
from lti_badges.sandbox.model import Course, Item, Person
from lti_badges.sandbox.state import world
from lti_badges.values.score import exact

services = Blueprint("services", __name__, url_prefix="/api/<course_id>")

SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/"
NRPS_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
LINEITEM = "application/vnd.ims.lis.v2.lineitem+json"
CONTAINER = "application/vnd.ims.lis.v2.lineitemcontainer+json"
RESULTS = "application/vnd.ims.lis.v2.resultcontainer+json"
SCORE = "application/vnd.ims.lis.v1.score+json"
MEMBERS = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"


@services.get("/lineitems")
def line_items(course_id: str) -> Response:
    """All columns that this tool may see."""
    client = _authorised(f"{SCOPE}lineitem", f"{SCOPE}lineitem.readonly")
    _accepts(CONTAINER)
    found = [item for item in _course(course_id).items.values() if _visible(item, client)]
    for name in ("resource_link_id", "resource_id", "tag"):
        if wanted := request.args.get(name):
            found = [item for item in found if getattr(item, name) == wanted]
    return _paged([_item_json(course_id, item) for item in found], CONTAINER, "line_items")


@services.post("/lineitems")
def create(course_id: str) -> Response:
    """A column of the tool's own."""
    client = _authorised(f"{SCOPE}lineitem")
    body = _body(LINEITEM)
    if not body.get("label") or not body.get("scoreMaximum"):
        abort(400)
    here = world()
    item = Item(here.new_id(), str(body["label"]), exact(body["scoreMaximum"]), owner=client)
    _fill(item, body)
    with here.lock:
        _course(course_id).items[item.id] = item
    return _json(_item_json(course_id, item), LINEITEM, 201)


@services.get("/lineitems/<item_id>/lineitem")
def one(course_id: str, item_id: str) -> Response:
    """A line item by its id (AGS 2.0 §3.2)."""
    client = _authorised(f"{SCOPE}lineitem", f"{SCOPE}lineitem.readonly")
    return _json(_item_json(course_id, _item(course_id, item_id, client)), LINEITEM)


@services.put("/lineitems/<item_id>/lineitem")
def replace(course_id: str, item_id: str) -> Response:
    """Replace a column's fields."""
    client = _authorised(f"{SCOPE}lineitem")
    item, body = _item(course_id, item_id, client), _body(LINEITEM)
    item.label, item.maximum = str(body["label"]), exact(body["scoreMaximum"])
    _fill(item, body)
    return _json(_item_json(course_id, item), LINEITEM)


@services.delete("/lineitems/<item_id>/lineitem")
def delete(course_id: str, item_id: str) -> Response:
    """Remove a column with its results."""
    client = _authorised(f"{SCOPE}lineitem")
    _item(course_id, item_id, client)
    with world().lock:
        del _course(course_id).items[item_id]
    return Response(status=204)


@services.get("/lineitems/<item_id>/lineitem/results")
def results(course_id: str, item_id: str) -> Response:
    """Results, of one learner with `user_id`."""
    client = _authorised(f"{SCOPE}result.readonly")
    item = _item(course_id, item_id, client)
    wanted = request.args.get("user_id")
    address = _item_url(course_id, item)
    found = [
        {
            "id": f"{address}/results/{world().user_id(sub)}",
            "scoreOf": address,
            "userId": world().user_id(sub),
            "resultScore": _number(score),
            "resultMaximum": _number(item.maximum),
            "comment": item.comments.get(sub),
        }
        for sub, score in sorted(item.scores.items(), key=lambda pair: int(pair[0]))
        if wanted in {None, world().user_id(sub)}
    ]
    return _paged(found, RESULTS, "results")


@services.post("/lineitems/<item_id>/lineitem/scores")
def score(course_id: str, item_id: str) -> Response:
    """Take a score; an equal or older timestamp is a conflict (AGS 2.0 §3.4)."""
    client = _authorised(f"{SCOPE}score")
    item, body = _item(course_id, item_id, client), _body(SCORE)
    sub = world().account(str(body.get("userId")))
    needed = ("timestamp", "activityProgress", "gradingProgress")
    if any(not body.get(name) for name in needed):
        abort(400)
    if sub is None or all(person.sub != sub for person in world().learners_of(course_id)):
        abort(world().vendor.refuses_staff_scores)
    moment = clock.parse_iso(str(body["timestamp"])).replace(microsecond=0)
    with world().lock:
        if sub in item.scored_at and item.scored_at[sub] >= moment:
            abort(409)
        item.scored_at[sub] = moment
        if body["gradingProgress"] == "FullyGraded" and body.get("scoreGiven") is not None:
            share = exact(body["scoreGiven"]) / exact(body["scoreMaximum"])
            item.scores[sub] = min(share, Fraction(1)) * item.maximum
        elif body["gradingProgress"] != "PendingManual":
            item.scores.pop(sub, None)  # as Canvas, Moodle and Blackboard do
        item.comments[sub] = str(body.get("comment", ""))
    return Response(status=200)


@services.get("/memberships")
def memberships(course_id: str) -> Response:
    """The course's members (NRPS 2.0), or those of a link with `rlid`."""
    tool = world().tools[_authorised(NRPS_SCOPE)]
    _accepts(MEMBERS)
    course, here = _course(course_id), world()
    people = here.members_of(course_id)
    if not here.vendor.lists_suspended:
        people = [person for person in people if here.vendor.is_enrolled(person)]
    linked = request.args.get("rlid")
    if linked and linked not in {
        here.vendor.link_id(course, link) for link in course.links.values()
    }:
        _refuse(400, "Requested ResourceLink was not found")
    if link := course.links.get(linked or ""):
        people = [person for person in people if person.sub not in link.kept_from]
    start, end, following = _page(len(people), "members")
    body = {
        "id": request.url,
        "context": {"id": course.id, "label": course.label, "title": course.title},
        "members": [
            _member_json(p) | (here.vendor.member(here, tool, p, course) if linked else {})
            for p in people[start:end]
        ],
    }
    return _json(body, MEMBERS, link=following)


def _member_json(person: Person) -> dict[str, Any]:
    vendor = world().vendor
    shown = roles(person)
    if vendor.short_roles:
        shown = [role.removeprefix(MEMBERSHIP) for role in shown if role.startswith(MEMBERSHIP)]
    name = escape(person.name) if vendor.escapes_names else person.name
    member: dict[str, Any] = {
        "status": "Active" if person.active else "Inactive",
        "user_id": world().user_id(person.sub),
        "roles": shown,
        "name": name,
        "given_name": person.given,
        "family_name": person.family,
    }
    if person.email:
        member["email"] = person.email
    return member


def _authorised(*scopes: str) -> str:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    client, granted, until = world().tokens.get(token, ("", frozenset(), clock.now()))
    if not client or until <= clock.now():
        _refuse(401, "Access token invalid or expired")
    if not granted & set(scopes):
        _refuse(world().vendor.refuses_scope, "Insufficient permissions")
    return client


def _refuse(status: int, message: str) -> NoReturn:
    body = world().vendor.refusal(status, message)
    raise HTTPException(response=_json(body or {"status": status}, "application/json", status))


def _accepts(media_type: str) -> None:
    if media_type not in request.headers.get("Accept", ""):
        abort(400)


def _body(media_type: str) -> dict[str, Any]:
    if request.mimetype != media_type:
        abort(400)
    body = json.loads(request.get_data())
    return body if isinstance(body, dict) else {}


def _course(course_id: str) -> Course:
    course = world().courses.get(course_id)
    if course is None or course.concluded:
        abort(404)
    return course


def _visible(item: Item, client: str) -> bool:
    return item.owner == client or (item.owner is None and not world().vendor.only_own_columns)


def _item(course_id: str, item_id: str, client: str) -> Item:
    item = _course(course_id).items.get(item_id)
    if item is None:
        abort(404)
    if not _visible(item, client):
        status = world().vendor.refuses_foreign_item
        _refuse(status, "Tool does not have permission to view line_item")
    return item


def _fill(item: Item, body: dict[str, Any]) -> None:
    item.resource_link_id = body.get("resourceLinkId")
    item.resource_id, item.tag = body.get("resourceId"), body.get("tag")


def _item_url(course_id: str, item: Item) -> str:
    return line_item_url(world(), course_id, item.id)


def _item_json(course_id: str, item: Item) -> dict[str, Any]:
    fields = {
        "id": _item_url(course_id, item),
        "label": item.label,
        "scoreMaximum": _number(item.maximum),
        "resourceLinkId": item.resource_link_id,
        "resourceId": item.resource_id,
        "tag": item.tag,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _paged(rows: Sequence[dict[str, Any]], media_type: str, service: str) -> Response:
    start, end, following = _page(len(rows), service)
    return _json(list(rows[start:end]), media_type, link=following)


def _page(total: int, service: str) -> tuple[int, int, str | None]:
    """Where this page begins and ends, and the address of the next."""
    size = world().vendor.page_size(service, request.args.get("limit"))
    size = min(size, world().page_size or size)
    page = _unmarked(request.args.get("page", ""))
    start, end = page * size, (page + 1) * size
    if end >= total:
        return start, end, None
    query = {**request.args, "page": _marked(page + 1)}
    following = "&".join(f"{name}={value}" for name, value in query.items())
    return start, end, f"{world().base_url}{request.path}?{following}"


def _marked(page: int) -> str:
    """A page's name: a number, or a bookmark whose letter case matters."""
    if not world().vendor.bookmarks:
        return str(page)
    return "bookmark:" + base64.urlsafe_b64encode(f'["{page}","Aa"]'.encode()).decode().rstrip("=")


def _unmarked(text: str) -> int:
    if not text.startswith("bookmark:"):
        return int(text) if text.isdecimal() else 0
    packed = text.removeprefix("bookmark:")
    try:
        return int(json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))[0])
    except (ValueError, IndexError, TypeError):
        abort(400)


def _json(body: Any, media_type: str, status: int = 200, link: str | None = None) -> Response:
    response = Response(json.dumps(body), status, mimetype=media_type)
    if link:
        response.headers["Link"] = f'<{link}>; rel="next"'
    return response


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
