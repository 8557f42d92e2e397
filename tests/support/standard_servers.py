"""A host with the standard Open Badges 3.0 API, and Open Badge Factory by its first API."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, redirect, request

from tests.support.faulty import FaultyServer, Json

API = "/ims/ob/v3p0"


@dataclass
class Ob3Server(FaultyServer):
    """One account. Tools register, a person consents, refresh tokens work a single time."""

    credentials: dict[str, Json] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=lambda: {"c": "s3cret"})
    registrations: list[Json] = field(default_factory=list)
    refresh: set[str] = field(default_factory=lambda: {"r-first"})
    codes: dict[str, Json] = field(default_factory=dict)
    page: int = 2
    garbage: str = ""

    def live(self) -> Counter[str]:
        return Counter(self.credentials.keys())

    def app(self) -> Flask:
        app = Flask("ob3")

        @app.get(f"{API}/discovery")
        def discovery() -> Any:
            urls = {
                "authorizationUrl": f"{self.base}/authorize",
                "tokenUrl": f"{self.base}/token",
                "refreshUrl": f"{self.base}/token",
            }
            scheme = {
                "type": "oauth2",
                "x-imssf-registrationUrl": f"{self.base}/register",
                "flows": {"authorizationCode": {**urls, "scopes": {}}},
            }
            return jsonify(
                {
                    "openapi": "3.0.1",
                    "info": {"title": "Test host", "version": "3.0"},
                    "components": {"securitySchemes": {"OAuth2ACG": scheme}},
                }
            )

        @app.post("/register")
        def register() -> Any:
            wish = request.get_json()
            self.registrations.append(wish)
            made = f"client-{len(self.registrations)}"
            self.clients[made] = "hush"
            return jsonify({**wish, "client_id": made, "client_secret": "hush"}), 201

        @app.get("/authorize")
        def authorize() -> Any:
            asked = dict(request.args)
            assert asked["code_challenge_method"] == "S256"
            assert asked["client_id"] in self.clients
            code = secrets.token_hex(4)
            self.codes[code] = asked
            return redirect(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")

        @app.post("/token")
        def token() -> Any:
            self.logins += 1
            login = request.authorization
            name, word = (login.username, login.password) if login else ("", "")
            if request.form["grant_type"] == "client_credentials":
                name, word = request.form["client_id"], request.form["client_secret"]
            known = self.clients.get(name or "") == word
            if not known or self.refuse_login or not self._granted(dict(request.form)):
                return jsonify({"error": "invalid_grant"}), 400
            if fault := self.fault("token-"):
                return fault
            again = secrets.token_hex(4)
            self.refresh.add(again)
            fresh = {"access_token": self.new_token(), "expires_in": 3600, "refresh_token": again}
            return jsonify(fresh)

        @app.post(f"{API}/achievements/")
        def define() -> Any:  # Timeback's addition
            return jsonify({"sourcedIdPairs": {"allocatedSourcedId": "A1"}}), 201

        @app.get(f"{API}/credentials")
        def listed() -> Any:
            if not self.knows_token():
                return self._no()
            if self.garbage:
                return Response(self.garbage, mimetype="application/json")
            start, size = int(request.args["offset"]), min(self.page, int(request.args["limit"]))
            rows = list(self.credentials.values())
            answer = jsonify({"credential": rows[start : start + size], "compactJwsString": []})
            if start + size < len(rows):
                following = f"{self.base}{API}/credentials?limit={size}&offset={start + size}"
                answer.headers["Link"] = f'<{following}>; rel="next"'
            return answer

        @app.post(f"{API}/credentials")
        @app.post(f"{API}/credentials/")
        def upsert() -> Any:
            if not self.knows_token():
                return self._no()
            if fault := self.fault("before-"):
                return fault
            body = request.get_json()
            assert body["proof"]
            with self.lock:
                replaced = body["id"] in self.credentials
                self.credentials[body["id"]] = body
            return self.fault("after-") or (jsonify(body), 200 if replaced else 201)

        return app

    def _granted(self, form: Json) -> bool:
        if form["grant_type"] == "client_credentials":  # Timeback's Cognito
            return True
        if form["grant_type"] == "refresh_token":
            known = form["refresh_token"] in self.refresh
            self.refresh.discard(form["refresh_token"])
            return known
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return bool(asked) and challenge == asked["code_challenge"]  # type: ignore[index]

    def _no(self) -> Any:
        said = {"imsx_codeMajor": "failure", "imsx_description": "Unauthorized"}
        return jsonify(said), 401


@dataclass
class ObfV1Server(FaultyServer):
    """Lists of one object a line; what was made is named by Location alone."""

    badges: dict[str, Json] = field(default_factory=dict)
    events: dict[str, Json] = field(default_factory=dict)
    signed: list[Json] = field(default_factory=list)
    public_key: bytes = b""
    sign: Any = None

    def live(self) -> Counter[str]:
        return Counter(address(e["recipient"][0]) for e in self.events.values() if not e["revoked"])

    def lets_in(self) -> Response | None:
        """The refusal, unless the caller's token is known."""
        return None if self.knows_token() else Response("Forbidden", 403)

    def app(self) -> Flask:
        app = Flask("obf1")
        free = ("/oauth2/token", "/OBF.rsa.pub", "/sign_request")

        @app.before_request
        def guard() -> Any:
            return None if request.path.endswith(free) else self.lets_in()

        @app.get("/v1/client/OBF.rsa.pub")
        def public_key() -> Response:
            return Response(self.public_key, mimetype="text/plain")

        @app.post("/v1/client/<client>/sign_request")
        def sign_request(client: str) -> Any:
            body = request.get_json()
            self.signed.append(body)
            if self.sign is None:
                return jsonify({"error": "token expired"}), 403
            return Response(self.sign(body["request"]), mimetype="text/plain")

        @app.post("/v1/client/oauth2/token")
        def token() -> Any:
            self.logins += 1
            if self.refuse_login or request.form.get("client_secret") != "s3cret":
                return jsonify({"error": "invalid_client"}), 403
            return jsonify({"access_token": self.new_token(), "expires_in": 3600})

        @app.get("/v1/ping/C1")
        def ping() -> Response:
            return Response("C1", mimetype="text/plain")

        @app.get("/v1/badge/C1")
        def badges() -> Response:
            return _lines(list(self.badges.values()))

        @app.post("/v1/badge/C1")
        def create() -> Any:
            body = request.get_json()
            assert base64.b64decode(body["image"]).startswith(b"\x89PNG")
            ref = "B" + secrets.token_hex(5)
            mail = {name: text for name, text in body.items() if name.startswith("email_")}
            self.badges[ref] = {"id": ref, "name": body["name"], "description": "d", "draft": 0}
            self.badges[ref] |= mail
            return Response("", 201, headers={"Location": f"/v1/badge/C1/{ref}"})

        @app.post("/v1/badge/C1/<badge>")
        def issue(badge: str) -> Any:
            if fault := self.fault("before-"):
                return fault
            body = request.get_json()
            stored = self.badges.get(badge, {})
            for needed in ("email_subject", "email_body", "email_link_text"):
                if not body.get(needed) and not stored.get(needed):
                    return jsonify({"error": f"{needed} is missing"}), 400
            ref = "E" + secrets.token_hex(5)
            with self.lock:
                kept: dict[str, Any] = {
                    "id": ref,
                    "badge_id": badge,
                    "revoked": {},
                    "expires": None,
                }
                self.events[ref] = {**body, **kept}
            made = Response("", 201, headers={"Location": f"/v1/event/C1/{ref}"})
            return self.fault("after-") or made

        @app.get("/v1/event/C1")
        def events() -> Any:
            if fault := self.fault("find-"):
                return fault
            start, size = request.args.get("offset", 0, int), request.args.get("limit", 20, int)
            found = [
                event
                for event in self.events.values()
                if event["badge_id"] == request.args["badge_id"]
                and address(event["recipient"][0]) == request.args["email"]
                and event["issued_on"] >= int(request.args["begin"])
            ]
            return _lines(found[start : start + size])

        @app.get("/v1/event/C1/<event>/assertion")
        def assertion(event: str) -> Any:
            held = self.events[event]
            found = {
                "id": "A1",
                "event_id": event,
                "json": f"https://obf.example/{event}.json",
                "recipient": address(held["recipient"][0]),
            }
            assert request.args["email"] == found["recipient"]
            return _lines([found])

        @app.get("/v1/event/C1/<event>/revoked")
        def revoked(event: str) -> Any:
            return jsonify({"revoked": self.events[event]["revoked"]})

        @app.delete("/v1/event/C1/<event>/")
        def revoke(event: str) -> Any:
            if event not in self.events:
                return jsonify({"error": "no such event"}), 404
            self.events[event]["revoked"][request.args["email"]] = 1434971021
            return Response("", 204)

        return app


def address(recipient: str) -> str:
    """`Ann Lee <ann@example.org>` or the bare address."""
    return recipient.rpartition("<")[2].removesuffix(">")


def _lines(rows: list[Json]) -> Response:
    return Response(
        "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows),
        mimetype="application/json",
    )
