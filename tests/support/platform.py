"""A platform of which every claim, header and key can be bent: for launches good and bad."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask, Response, jsonify
from jwt.algorithms import ECAlgorithm

from lti_badges.core.jwk import rsa_jwk
from lti_badges.lti.claims import AGS, CLAIM, DL, NRPS
from lti_badges.store import Deployment, Platform, Sessions
from tests.support.serving import PATIENCE_S, served

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"
ISSUER = "https://lms.example"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key per name and process."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class FromNow:
    """A moment of a claim, in seconds from when the launch is made: a table of cases is older."""

    seconds: int


@dataclass
class TestPlatform:
    """An LMS as the tool sees it: keys at an address, tokens as a test wants them."""

    __test__ = False

    base: str = ""
    issuer: str = ISSUER
    client_id: str = "client-1"
    deployment_id: str = "deployment-1"
    kids: dict[str, str] = field(default_factory=lambda: {"key-1": "first"})
    key_set_fetches: int = 0
    key_set_answer: Response | None = None
    with_ec: bool = False

    @contextmanager
    def running(self) -> Iterator[TestPlatform]:
        """The key set answers until the end of the block."""
        app = Flask("platform")

        @app.get("/jwks")
        def jwks() -> Response:
            self.key_set_fetches += 1
            return self.key_set_answer or jsonify(self.key_set())

        with served(app) as base:
            self.base = base
            yield self

    def key_set(self) -> dict[str, Any]:
        """The public keys of all kids."""
        keys = [rsa_jwk(rsa_key(name).public_key(), kid) for kid, name in self.kids.items()]
        if self.with_ec:
            keys.append({**ECAlgorithm.to_jwk(ec_key().public_key(), as_dict=True), "kid": "ec"})
        return {"keys": keys}

    def register(self, sessions: Sessions, lms: str = "other", **changes: Any) -> str:
        """Our row for this platform, with its deployment approved. Returns its id."""
        with sessions.begin() as session:
            row = Platform(
                lms=lms,
                issuer=self.issuer,
                client_id=self.client_id,
                auth_login_url=f"{self.base}/auth?tenant=1",
                auth_token_url=f"{self.base}/token",
                key_set_url=f"{self.base}/jwks",
                deployments=[Deployment(deployment_id=self.deployment_id, state="approved")],
            )
            for name, value in changes.items():
                setattr(row, name, value)
            session.add(row)
            session.flush()
            return row.id

    def login_request(self, tool: str, **changes: Any) -> dict[str, str]:
        """A third-party-initiated login; a change of None leaves the parameter out."""
        given = {
            "iss": self.issuer,
            "login_hint": "hint-1",
            "target_link_uri": f"{tool}/lti/launch",
            "lti_message_hint": "message-1",
            "client_id": self.client_id,
            "lti_deployment_id": self.deployment_id,
        }
        return {key: value for key, value in (given | changes).items() if value is not None}

    def claims(self, tool: str, nonce: str, /, **changes: Any) -> dict[str, Any]:
        """A teacher's resource-link launch, changed. Short names get their claim prefix; a change
        of None leaves the claim out."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": "user-1",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "name": "Lauren Hutton",
            "given_name": "Lauren",
            "family_name": "Hutton",
            "email": "lauren@example.org",
            f"{CLAIM}message_type": "LtiResourceLinkRequest",
            f"{CLAIM}version": "1.3.0",
            f"{CLAIM}deployment_id": self.deployment_id,
            f"{CLAIM}target_link_uri": f"{tool}/lti/launch",
            f"{CLAIM}resource_link": {"id": "link-1", "title": "Badges"},
            f"{CLAIM}roles": [f"{MEMBERSHIP}Instructor"],
            f"{CLAIM}context": {"id": "course-1", "label": "C1", "title": "Course one"},
        }
        for name, value in changes.items():
            key = name if name in _PLAIN else _NAMED.get(name, f"{CLAIM}{name}")
            if value is None:
                claims.pop(key, None)
            else:
                claims[key] = now + value.seconds if isinstance(value, FromNow) else value
        return claims

    def signed(
        self,
        claims: Mapping[str, Any],
        *,
        headers: Mapping[str, Any] | None = None,
        key: Any = None,
        algorithm: str = "RS256",
    ) -> str:
        """A token, by default of the platform's first key."""
        kid, name = next(iter(self.kids.items()))
        given = {"kid": kid} if headers is None else dict(headers)
        return jwt.encode(dict(claims), key or rsa_key(name), algorithm, headers=given)


_PLAIN = {
    *("iss", "aud", "azp", "sub", "iat", "exp", "nbf", "nonce"),
    *("name", "given_name", "family_name", "email"),
}
_NAMED = {"ags": AGS, "nrps": NRPS, "deep_linking_settings": f"{DL}deep_linking_settings"}


@dataclass
class Browser:
    """One browser (a cookie jar) at the tool."""

    tool: str
    platform: TestPlatform
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=PATIENCE_S))

    def login(self, method: str = "GET", **changes: Any) -> httpx.Response:
        """Ask for a login."""
        given = self.platform.login_request(self.tool, **changes)
        if method == "GET":
            return self.client.get(f"{self.tool}/lti/login", params=given)
        return self.client.post(f"{self.tool}/lti/login", data=given)

    def begun(self, **changes: Any) -> tuple[str, str]:
        """State and nonce of a login that was let through."""
        answer = self.login(**changes)
        assert answer.status_code == 302, answer.text
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        return query["state"][0], query["nonce"][0]

    def post(self, state: str | None, token: str | None, **more: str) -> httpx.Response:
        """Send the platform's answer."""
        form = {"state": state, "id_token": token, **more}
        return self.client.post(
            f"{self.tool}/lti/launch", data={k: v for k, v in form.items() if v is not None}
        )

    def launch(self, **changes: Any) -> httpx.Response:
        """Login and launch with changed claims."""
        state, nonce = self.begun()
        claims = self.platform.claims(self.tool, nonce, **changes)
        return self.post(state, self.platform.signed(claims))


def deep_linking(**changes: Any) -> dict[str, Any]:
    """Settings of a content picker."""
    settings = {
        "deep_link_return_url": "https://lms.example/return?course=5&x=a%2Fb",
        "accept_types": ["link", "file", "html", "ltiResourceLink"],
        "accept_presentation_document_targets": ["iframe", "window"],
        "accept_multiple": True,
        "data": "opaque-" + uuid4().hex,
    }
    return {key: value for key, value in (settings | changes).items() if value is not None}
