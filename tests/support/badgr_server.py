"""A Badgr v2 server as the recordings show one, with faults on order: before or after it stored."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, request

from lti_badges.core import clock
from tests.support.faulty import FaultyServer

PAGE = 4
TOKENS = {"password": "correct horse"}


@dataclass
class BadgrServer(FaultyServer):
    """Issues assertions; `most_at_once` tells how many sends overlapped for one recipient."""

    assertions: list[dict[str, Any]] = field(default_factory=list)
    on_find: Callable[[], object] | None = None
    badges: dict[str, dict[str, Any]] = field(default_factory=dict)
    under_way: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    delay: float = 0.0
    throttled_s: int = 0
    spendable: set[str] = field(default_factory=lambda: {"c0de"})

    def of(self, email: str) -> list[dict[str, Any]]:
        """Live assertions of one address."""
        return [
            each
            for each in self.assertions
            if each["recipient"]["plaintextIdentity"] == email.lower() and not each["revoked"]
        ]

    def live(self) -> Counter[str]:
        """How many live assertions each address has."""
        return Counter(
            each["recipient"]["plaintextIdentity"]
            for each in self.assertions
            if not each["revoked"]
        )

    def app(self) -> Flask:
        app = Flask("badgr")
        app.add_url_rule("/o/token", view_func=self._token, methods=["POST"])
        app.add_url_rule("/v2/issuers", view_func=self._issuers)
        app.add_url_rule(
            "/v2/issuers/<issuer>/badgeclasses",
            "badges",
            self._badges,
            methods=["GET", "POST"],
        )
        app.add_url_rule("/v2/badgeclasses", "all", lambda: self._badges("I1"))
        app.add_url_rule("/v2/badgeclasses/<badge>/assertions", "held", self._held)
        app.add_url_rule(
            "/v2/badgeclasses/<badge>/assertions", "issue", self._issue, methods=["POST"]
        )
        app.add_url_rule("/v2/assertions/<ref>", "revoke", self._revoke, methods=["DELETE"])
        app.before_request(self._guard)
        return app

    def _guard(self) -> tuple[Response, int] | None:
        if request.path == "/o/token":
            return None
        if self.knows_token():
            return None
        return _envelope([], 401, "no valid auth token found")

    def _token(self) -> tuple[Response, int]:
        self.logins += 1
        if self.throttled_s:  # without any Retry-After, as the recording shows
            said = {"error": "login attempts throttled", "expires": self.throttled_s}
            return jsonify(said), 429
        if request.form.get("grant_type") in {"authorization_code", "refresh_token"}:
            return self._by_app(request.form)
        if self.refuse_login or request.form.get("password") != TOKENS["password"]:
            return jsonify({"error": "invalid_grant", "error_description": "Invalid login."}), 400
        return jsonify(
            {
                "access_token": self.new_token(),
                "token_type": "Bearer",
                "expires_in": 86400,
                "scope": "rw:profile rw:issuer rw:backpack",
            }
        ), 200

    def _by_app(self, form: Any) -> tuple[Response, int]:
        """A Connected App: each code and each refresh token works a single time."""
        given = form.get("code") or form.get("refresh_token")
        known = form.get("client_id") == "app" and form.get("client_secret") == "hush"
        if not known or given not in self.spendable:
            return jsonify({"error": "invalid_grant"}), 400
        self.spendable.remove(given)
        refresh = secrets.token_hex(4)
        self.spendable.add(refresh)
        answer = {"access_token": self.new_token(), "expires_in": 86400, "refresh_token": refresh}
        return jsonify(answer), 200

    def _issuers(self) -> tuple[Response, int]:
        return _envelope([{"entityId": "I1", "name": "Test issuer"}])

    def _badges(self, issuer: str) -> tuple[Response, int]:
        if request.method == "GET":
            if fault := self.fault("list-"):
                return fault, fault.status_code
            return self._listed(list(self.badges.values()))
        body = request.get_json()
        if not str(body.get("image", "")).startswith("data:image/"):
            return _envelope([], 400, "image is required")
        ref = secrets.token_hex(8)
        self.badges[ref] = self.badge(ref, body["name"], issuer) | {
            "description": body["description"],
            "criteriaNarrative": body["criteriaNarrative"],
        }
        if fault := self.fault("create-"):
            return fault, fault.status_code
        return _envelope([self.badges[ref]], 201)

    def badge(self, ref: str, name: str, issuer: str = "I1") -> dict[str, Any]:
        """A badge class as the server lists it."""
        return {
            "entityId": ref,
            "name": name,
            "description": "Did well.",
            "criteriaNarrative": "Pass.",
            "issuer": issuer,
            "image": f"{self.base}/media/{ref}.png",
            "openBadgeId": f"{self.base}/public/badges/{ref}",
        }

    def _held(self, badge: str) -> tuple[Response, int] | Response:
        fault = self.fault("find-")
        if fault:
            return fault
        if self.on_find is not None:
            self.on_find()
        wanted = request.args.get("recipient", "").lower()
        found = [
            each
            for each in self.assertions
            if each["badgeclass"] == badge
            and wanted in {"", each["recipient"]["plaintextIdentity"]}
            and (not each["revoked"] or request.args.get("include_revoked") == "1")
            and (not _has_expired(each) or request.args.get("include_expired") == "1")
        ]
        return self._listed(found)

    def _listed(self, rows: list[dict[str, Any]]) -> tuple[Response, int]:
        """A page, with the address of the next as the server gives it: by a cursor."""
        start = int(request.args.get("cursor", 0))
        answer, status = _envelope(rows[start : start + PAGE])
        if start + PAGE < len(rows):
            query = {**request.args, "cursor": str(start + PAGE)}
            answer.headers["Link"] = f'<{self.base}{request.path}?{urlencode(query)}>; rel="next"'
        return answer, status

    def _issue(self, badge: str) -> tuple[Response, int] | Response:
        body = request.get_json()
        email = body["recipient"]["identity"].lower()
        with self.lock:
            self.under_way[email] += 1
            self.most_at_once = max(self.most_at_once, self.under_way[email])
        try:
            if self.delay:
                threading.Event().wait(self.delay)
            return self._issued(badge, email, body)
        finally:
            with self.lock:
                self.under_way[email] -= 1

    def _issued(
        self, badge: str, email: str, body: dict[str, Any]
    ) -> tuple[Response, int] | Response:
        if self.faults[:1] == ["before-refused"]:
            self.faults.pop(0)
            return _envelope([], 400, "Issuer is not verified.")
        fault = self.fault("before-")
        if fault:
            return fault
        # The server's own guard is not atomic; without it a careless client makes two.
        if body.get("allowDuplicateAwards") is False and self.faults[:1] != ["no-guard"]:
            held = [
                each
                for each in self.of(email)
                if each["badgeclass"] == badge and not _has_expired(each)
            ]
            if held:
                return _envelope([], 400, "A previous award of this badge already exists")
        ref = secrets.token_hex(8)
        made = {
            "entityId": ref,
            "badgeclass": badge,
            "recipient": {"plaintextIdentity": email, "type": "email", "hashed": True},
            "issuedOn": body["issuedOn"],
            "expires": body.get("expires"),
            "evidence": body.get("evidence", []),
            "course_url": body.get("course_url"),
            "revoked": False,
            "openBadgeId": f"{self.base}/public/assertions/{ref}",
        }
        with self.lock:
            self.assertions.append(made)
        return self.fault("after-") or _envelope([made], 201)

    def _revoke(self, ref: str) -> tuple[Response, int]:
        if not (request.get_json(silent=True) or {}).get("revocation_reason"):
            return _envelope([], 400, "revocation_reason is required")
        for each in self.assertions:
            if each["entityId"] == ref:
                if each["revoked"]:
                    return _envelope([], 400, "Assertion is already revoked")
                each["revoked"] = True
                return _envelope([each])
        return _envelope([], 404, "entity not found or insufficient privileges")


def _has_expired(assertion: dict[str, Any]) -> bool:
    ends = assertion.get("expires")
    return ends is not None and clock.parse_iso(ends) <= clock.now()


def _envelope(
    result: list[dict[str, Any]], status: int = 200, description: str = "ok"
) -> tuple[Response, int]:
    body: dict[str, Any] = {
        "status": {"success": status < 400, "description": description},
        "result": result,
    }
    if status >= 400:
        body |= {"fieldErrors": {}, "validationErrors": [description]}
    return jsonify(body), status


@dataclass
class OebServer(BadgrServer):
    """The same with client credentials, a scope that must be asked for, and its two hazards."""

    paths: list[dict[str, Any]] = field(
        default_factory=lambda: [{"name": "Path", "participationBadge_id": "PATHBADGE"}]
    )

    def app(self) -> Flask:
        app = super().app()
        app.add_url_rule(
            "/v1/issuer/issuers/<issuer>/learningpath",
            "paths",
            lambda issuer: jsonify(self.paths),
        )
        return app

    def _token(self) -> tuple[Response, int]:
        self.logins += 1
        if self.refuse_login or request.form.get("client_secret") != "s3cret":
            return jsonify({"error": "invalid_client"}), 401
        if "rw:issuer" not in request.form.get("scope", ""):
            return jsonify(
                {"access_token": "small", "expires_in": 86400, "scope": "r:profile"}
            ), 200
        return jsonify(
            {"access_token": self.new_token(), "expires_in": 86400, "scope": "rw:issuer"}
        ), 200

    def _badges(self, issuer: str) -> tuple[Response, int]:
        body = request.get_json(silent=True) or {}
        extensions = body.get("extensions", {})
        if request.method == "POST" and (
            "tags" in body
            or "alignments" in body
            or "extensions:CategoryExtension" not in extensions
        ):
            return Response("<html>Server Error</html>", 500), 500
        return super()._badges(issuer)
