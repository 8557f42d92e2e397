"""What the sandbox says in its id_tokens, in the manner of its LMS."""

from __future__ import annotations

import time
from typing import Any

from lti_badges.sandbox.model import TEST_USER, Course, Link, Person, Tool
from lti_badges.sandbox.world import World

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DL = "https://purl.imsglobal.org/spec/lti-dl/claim/"
AGS = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"


def id_token_claims(world: World, tool: Tool, hint: dict[str, Any], nonce: str) -> dict[str, Any]:
    """The launch that was begun under this hint."""
    course, person = world.courses[hint["course"]], world.people[hint["person"]]
    now = int(time.time()) + world.vendor.skew_s
    claims: dict[str, Any] = {
        "iss": world.issuer,
        "aud": tool.client_id,
        "sub": world.user_id(person.sub),
        "iat": now,
        "exp": now + world.vendor.token_life_s,
        "nonce": nonce,
        "name": person.name,
        "given_name": person.given,
        "family_name": person.family,
        f"{CLAIM}version": "1.3.0",
        f"{CLAIM}deployment_id": tool.deployment_ids[0],
        f"{CLAIM}target_link_uri": hint["target"],
        f"{CLAIM}roles": roles(person),
        f"{CLAIM}context": {
            "id": course.id,
            "label": course.label,
            "title": course.title,
            "type": ["CourseSection"],
        },
        f"{CLAIM}tool_platform": {
            "product_family_code": world.vendor.family,
            "guid": world.guid,
            "name": "Sandbox campus",
        },
        f"{CLAIM}launch_presentation": {
            "locale": "en",
            "document_target": "iframe",
            "return_url": f"{world.base_url}/courses/{course.id}?as={person.sub}",
        },
        AGS: {
            "scope": sorted(scope for scope in tool.scopes if "lti-ags" in scope),
            **_named_columns(world, course, hint["link"]),
        },
        NRPS: {
            "context_memberships_url": f"{world.base_url}/api/{course.id}/memberships",
            "service_versions": ["2.0"],
        },
    }
    if person.email:
        claims["email"] = person.email
    claims |= world.vendor.claims(world, tool, person, course)
    if hint["deep"]:
        return claims | _deep_linking(world, course.id, person)
    return claims | _resource_link(world, tool, hint, course.links[hint["link"]])


def _named_columns(world: World, course: Course, link: str) -> dict[str, str]:
    """The list, and the opened link's own line item (AGS 2.0 §3.1.1)."""
    named = {"lineitems": line_items_url(world, course.id)} if world.vendor.lists_columns else {}
    coupled = next((i.id for i in course.items.values() if link and i.resource_link_id == link), "")
    if coupled:
        named["lineitem"] = line_item_url(world, course.id, coupled)
    return named


def line_item_url(world: World, course_id: str, item_id: str) -> str:
    """A line item's address, which is its id."""
    query = world.vendor.service_query
    return f"{world.base_url}/api/{course_id}/lineitems/{item_id}/lineitem{query}"


def line_items_url(world: World, course_id: str) -> str:
    """The collection's address; that of some has a query."""
    return f"{world.base_url}/api/{course_id}/lineitems{world.vendor.service_query}"


def roles(person: Person) -> list[str]:
    """Course role and institution role, mixed as everywhere."""
    if person.role == "Instructor":
        return [f"{MEMBERSHIP}Instructor", f"{INSTITUTION}Faculty"]
    found = [f"{MEMBERSHIP}Learner", f"{INSTITUTION}Student"]
    return [*found, TEST_USER] if person.is_test else found


def _resource_link(world: World, tool: Tool, hint: dict[str, Any], link: Link) -> dict[str, Any]:
    course, person = world.courses[hint["course"]], world.people[hint["person"]]
    claims: dict[str, Any] = {
        f"{CLAIM}message_type": "LtiResourceLinkRequest",
        f"{CLAIM}resource_link": {
            "id": world.vendor.link_id(course, link),
            "title": link.title,
            "description": None,
        },
        f"{CLAIM}custom": world.custom_parameters(tool, person, course, link),
    }
    if hint["review"]:
        claims[f"{CLAIM}message_type"] = "LtiSubmissionReviewRequest"
        claims[f"{CLAIM}for_user"] = {"user_id": world.user_id(hint["review"])}
    return claims


def _deep_linking(world: World, course_id: str, person: Person) -> dict[str, Any]:
    data = world.new_id()
    with world.lock:
        world.picks[data] = {"course": course_id, "person": person.sub}
    return {
        f"{CLAIM}message_type": "LtiDeepLinkingRequest",
        f"{DL}deep_linking_settings": {
            "deep_link_return_url": f"{world.base_url}/deep-link-return?course={course_id}",
            "accept_types": ["ltiResourceLink"],
            "accept_presentation_document_targets": ["iframe", "window"],
            "accept_multiple": True,
            "auto_create": False,
            "data": data,
        },
    }
