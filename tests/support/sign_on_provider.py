"""An OpenID Connect provider, as strict as the standard: exact redirect address, PKCE with S256,
client authentication, codes that work once and only for whom they were made."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.core.jwk import rsa_jwk
from tests.support.platform import rsa_key
from tests.support.serving import free_port, served

CLIENT, SECRET = "lti-badges", "hush: hush"


@dataclass
class SignOnProvider:
    """Signs whoever is `claims` in at once. `bent` goes over what the id_token says."""

    base: str = ""
    redirect_uri: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    bent: dict[str, Any] = field(default_factory=dict)
    key: str = "provider"
    named: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Flask:
        app = Flask("provider")
        app.add_url_rule("/.well-known/openid-configuration", view_func=self.discovery)
        app.add_url_rule("/authorize", view_func=self.authorize)
        app.add_url_rule("/token", view_func=self.token, methods=["POST"])
        app.add_url_rule("/jwks", view_func=self.jwks)
        return app

    def discovery(self) -> Response:
        return jsonify(
            issuer=self.named or self.base,
            authorization_endpoint=f"{self.base}/authorize",
            token_endpoint=f"{self.base}/token",
            jwks_uri=f"{self.base}/jwks",
        )

    def jwks(self) -> Response:
        return jsonify(keys=[rsa_jwk(rsa_key("provider").public_key())])

    def authorize(self) -> AnyResponse:
        asked = request.args.to_dict()
        if asked.get("client_id") != CLIENT or asked.get("redirect_uri") != self.redirect_uri:
            return Response("unknown client or redirect address", 400)
        wrong = (
            asked.get("response_type") != "code"
            or "openid" not in asked.get("scope", "").split()
            or asked.get("code_challenge_method") != "S256"
            or not asked.get("nonce")
        )
        if wrong:
            told = {"error": "invalid_request", "state": asked.get("state", "")}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            told = {"code": code, "state": asked.get("state", "")}
        return redirect(f"{self.redirect_uri}?{urlencode(told)}")

    def token(self) -> tuple[Response, int]:
        known = request.authorization
        if known is None or (known.username, known.password) != (CLIENT, SECRET):
            return jsonify(error="invalid_client"), 401
        asked = self.codes.pop(request.form.get("code", ""), None)
        digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or request.form.get("grant_type") != "authorization_code"
            or request.form.get("redirect_uri") != self.redirect_uri
            or challenge != asked["code_challenge"]
        ):
            return jsonify(error="invalid_grant"), 400
        now = int(time.time())
        claims = {
            "iss": self.base,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.claims,
            **self.bent,
        }
        kid = rsa_jwk(rsa_key("provider").public_key())["kid"]
        signed = jwt.encode(claims, rsa_key(self.key), "RS256", headers={"kid": kid})
        return jsonify(access_token="a", token_type="Bearer", id_token=signed), 200

    @contextmanager
    def running(self) -> Iterator[SignOnProvider]:
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        with served(self.app(), port):
            yield self
