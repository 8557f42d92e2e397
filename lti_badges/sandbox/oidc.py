"""The sandbox as identity provider: login start, OIDC authentication, keys, access tokens."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import jwt
from flask import Blueprint, Response, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.core import clock
from lti_badges.core.http import Http
from lti_badges.core.jwk import read_key_set, rsa_jwk
from lti_badges.sandbox.claims import id_token_claims
from lti_badges.sandbox.model import Tool
from lti_badges.sandbox.state import world

oidc = Blueprint("oidc", __name__)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
HINT_LIFE_S = 300
TOKEN_LIFE_S = 3600


@oidc.get("/launch")
def launch() -> AnyResponse:
    """Begin a launch: `course`, `person`, `link`, and `deep=1` for the content picker."""
    here = world()
    tool = next(iter(here.tools.values()))
    course = here.courses[request.args["course"]]
    link = course.links.get(request.args.get("link", "main"))
    person = here.people[request.args["person"]]
    hint = secrets.token_urlsafe(12)
    target = (link.url if link else "") or tool.target_link_uri
    with here.lock:
        here.hints[hint] = {
            "course": course.id,
            "person": person.sub,
            "link": link.id if link else "",
            "deep": request.args.get("deep") == "1",
            "review": request.args.get("review", ""),
            "target": target,
            "until": time.time() + HINT_LIFE_S,
        }
    asked = {
        "iss": here.issuer,
        "login_hint": here.user_id(person.sub),
        "target_link_uri": target,
        "lti_message_hint": hint,
        "client_id": tool.client_id,
        "lti_deployment_id": tool.deployment_ids[0],
    }
    if here.vendor.offers_storage:
        asked["lti_storage_target"] = "post_message_forwarding"
    return redirect(f"{tool.login_url}?{urlencode(asked)}")


@oidc.route("/lti/auth", methods=["GET", "POST"])
def authenticate() -> AnyResponse:
    """OIDC authentication: checks every parameter, answers by form post."""
    here, given = world(), request.values
    tool = here.tools.get(given.get("client_id", ""))
    uri = given.get("redirect_uri", "")
    if tool is None or uri not in tool.redirect_uris:
        return Response("Unknown client, or a redirect_uri that is not registered.", 400)
    error = _wrong(given)
    with here.lock:
        hint = here.hints.pop(given.get("lti_message_hint", ""), None)
    if error is None and (hint is None or hint["until"] < time.time()):
        error = "launch_no_longer_valid"
    if error is None and hint and here.user_id(hint["person"]) != given.get("login_hint"):
        error = "access_denied"
    if error or hint is None:
        fields = {"error": error or "", "error_description": "See the sandbox's own code."}
    else:
        claims = id_token_claims(here, tool, hint, given["nonce"])
        kid, key = here.keys[-1]
        fields = {"id_token": jwt.encode(claims, key, "RS256", headers={"kid": kid})}
    fields["state"] = given.get("state", "")
    return Response(render_template("post.html", url=uri, fields=fields))


@oidc.get("/lti/jwks.json")
def jwks() -> Response:
    """The platform's public keys."""
    return jsonify({"keys": [rsa_jwk(key.public_key(), kid) for kid, key in world().keys]})


@oidc.post("/lti/token")
def token() -> tuple[Response, int]:
    """Client credentials with a signed assertion (LTI security 1.0 §4)."""
    here, form = world(), request.form
    if form.get("grant_type") != "client_credentials":
        return jsonify({"error": "unsupported_grant_type"}), 400
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        return jsonify({"error": "invalid_request"}), 400
    tool, reason = _asserted(form.get("client_assertion", ""))
    if tool is None:
        return jsonify({"error": "invalid_client", "error_description": reason}), 401
    granted = frozenset(form.get("scope", "").split()) & tool.scopes
    if not granted:
        return jsonify({"error": "invalid_scope"}), 400
    made = secrets.token_urlsafe(24)
    with here.lock:
        here.tokens[made] = (
            tool.client_id,
            granted,
            clock.now() + timedelta(seconds=TOKEN_LIFE_S),
        )
    return jsonify(
        {
            "access_token": made,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE_S,
            "scope": " ".join(sorted(granted)),
        }
    ), 200


def tool_key(tool: Tool, kid: str) -> jwt.PyJWK | None:
    """The tool's public key, fetched from it. None when it has no such key."""
    return (read_key_set(_http(), tool.jwks_url) or {}).get(kid)


def _asserted(assertion: str) -> tuple[Tool | None, str]:
    here = world()
    try:
        kid = str(jwt.get_unverified_header(assertion).get("kid"))
        named = jwt.decode(assertion, options={"verify_signature": False}).get("sub", "")
        tool = here.tools.get(named)
        key = tool_key(tool, kid) if tool else None
        if tool is None or key is None:
            return None, "unknown client or key"
        claims = jwt.decode(
            assertion,
            key,
            algorithms=["RS256"],
            audience=here.vendor.audiences(here),
            issuer=tool.client_id,
            options={
                "require": ["exp", "iat", "jti", "sub", "iss", "aud"],
                "verify_exp": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        return None, str(error)
    if not claims["iat"] <= time.time() + here.vendor.skew_s < claims["exp"]:
        return None, "the assertion is not of now"
    if wrong := here.vendor.wrong_assertion(claims):
        return None, wrong
    with here.lock:
        if claims["jti"] in here.seen_assertions:
            return None, "the assertion was used already"
        here.seen_assertions.add(claims["jti"])
    return tool, ""


def _wrong(given: Any) -> str | None:
    wanted = {"scope": "openid", "response_type": "id_token", "response_mode": "form_post"}
    if any(given.get(name) != value for name, value in wanted.items()):
        return "invalid_request"
    if given.get("prompt") != "none" or not given.get("nonce") or not given.get("state"):
        return "invalid_request"
    return None


@lru_cache(maxsize=1)
def _http() -> Http:
    return Http(allow_loopback=True)
