"""Dynamic registration on the sandbox's side (LTI Dynamic Registration 1.0)."""

from __future__ import annotations

import secrets
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.sandbox.model import Tool
from lti_badges.sandbox.state import world

registration = Blueprint("registration", __name__)
PLATFORM = "https://purl.imsglobal.org/spec/lti-platform-configuration"
TOOL = "https://purl.imsglobal.org/spec/lti-tool-configuration"


@registration.get("/register-tool")
def begin() -> AnyResponse:
    """Open the tool's registration address as an admin's browser does."""
    here = world()
    token = secrets.token_urlsafe(16)
    with here.lock:
        here.picks[token] = {"kind": "registration"}
    url = request.args["url"]
    joint = "&" if "?" in url else "?"
    configuration = quote(f"{here.base_url}/.well-known/openid-configuration", safe="")
    return redirect(f"{url}{joint}openid_configuration={configuration}&registration_token={token}")


@registration.get("/.well-known/openid-configuration")
def configuration() -> Response:
    """What this platform says of itself."""
    here = world()
    return jsonify(
        {
            "issuer": here.issuer,
            "authorization_endpoint": f"{here.base_url}/lti/auth",
            "token_endpoint": f"{here.base_url}/lti/token",
            "jwks_uri": f"{here.base_url}/lti/jwks.json",
            "registration_endpoint": f"{here.base_url}/register",
            "scopes_supported": ["openid", *here.scopes],
            "response_types_supported": ["id_token"],
            PLATFORM: {
                "product_family_code": here.vendor.family,
                "version": "1",
                "messages_supported": [
                    {"type": "LtiResourceLinkRequest"},
                    {"type": "LtiDeepLinkingRequest"},
                ],
                "variables": ["User.id", "Context.id", "Context.id.history", "ResourceLink.id"],
                **here.vendor.platform(here),
            },
            **here.vendor.openid(here),
        }
    )


@registration.post("/register")
def register() -> tuple[Response, int]:
    """Let the tool in, once per token."""
    here, body = world(), request.get_json()
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    with here.lock:
        known = here.picks.pop(token, None)
    if known is None:
        return jsonify({"error": "token_already_used"}), 401
    tool = body.get(TOOL, {})
    needed = ("initiate_login_uri", "redirect_uris", "client_name", "jwks_uri", "response_types")
    if any(not body.get(name) for name in needed) or not tool.get("domain"):
        return jsonify({"error": "missing required attribute"}), 400
    if body.get("token_endpoint_auth_method") != "private_key_jwt":
        return jsonify({"error": "private_key_jwt is needed"}), 400
    client_id = secrets.token_hex(8)
    granted = [scope for scope in str(body.get("scope", "")).split() if scope in here.scopes]
    here.register_tool(
        Tool(
            client_id=client_id,
            name=body["client_name"],
            login_url=body["initiate_login_uri"],
            redirect_uris=tuple(body["redirect_uris"]),
            jwks_url=body["jwks_uri"],
            target_link_uri=tool["target_link_uri"],
            deployment_ids=(here.new_id(),),
            scopes=frozenset(granted),
            custom=tool.get("custom_parameters", {}),
        )
    )
    answer = {**body, "client_id": client_id, "scope": " ".join(granted)}
    if here.vendor.tells_deployment:
        deployment = here.tools[client_id].deployment_ids[0]
        answer[TOOL] = {**tool, "deployment_id": deployment}
    return jsonify(answer), 200
