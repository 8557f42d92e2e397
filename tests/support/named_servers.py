"""Servers that act like Credly and Accredible, as their descriptions say, with faults on order."""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Flask, Response, jsonify, request

from lti_badges.core import clock
from tests.support.faulty import FaultyServer, Json


@dataclass
class CredlyServer(FaultyServer):
    """One organization, O1; the same template for the same address is refused while it lives."""

    templates: list[Json] = field(default_factory=list)
    badges: list[Json] = field(default_factory=list)

    def live(self) -> Counter[str]:
        return Counter(b["recipient_email"] for b in self.badges if b["state"] != "revoked")

    def seed(self, name: str) -> str:
        """A template, as somebody made it there. Returns its id."""
        ref = f"T{len(self.templates) + 1}"
        self.templates.append({"id": ref, "name": name, "description": "d", "state": "active"})
        return ref

    def app(self) -> Flask:
        app = Flask("credly")

        @app.before_request
        def guard() -> Any:
            login = base64.b64encode(b"s3cret:").decode()
            if request.headers.get("Authorization") != f"Basic {login}":
                return jsonify({"data": {"message": "Unauthorized"}}), 401
            return None

        @app.get("/organizations/O1")
        def organization() -> Any:
            return jsonify({"data": {"id": "O1", "name": "Test organization"}})

        @app.get("/organizations/O1/badge_templates")
        def templates() -> Any:
            return self._page(self.templates)

        @app.get("/organizations/O1/badges")
        def listed() -> Any:
            if fault := self.fault("find-"):
                return fault
            wanted = dict(part.split("::") for part in request.args["filter"].split("|"))
            return self._page(
                [
                    badge
                    for badge in self.badges
                    if badge["recipient_email"] == wanted["recipient_email"]
                    and badge["badge_template"]["id"] == wanted["badge_template_id"]
                ]
            )

        @app.post("/organizations/O1/badges")
        def issue() -> Any:
            if fault := self.fault("before-"):
                return fault
            body = request.get_json()
            for needed in ("issued_to_first_name", "issued_to_last_name", "issued_at"):
                assert body[needed]
            with self.lock:
                for badge in self.badges:
                    same = badge["badge_template"]["id"] == body["badge_template_id"]
                    mail = badge["recipient_email"] == body["recipient_email"]
                    gone = badge["state"] == "revoked" or _is_over(badge.get("expires_at"))
                    if same and mail and not gone:
                        return jsonify({"data": {"message": "User already has this badge"}}), 422
                made = {
                    "id": secrets.token_hex(6),
                    "state": "pending",
                    "recipient_email": body["recipient_email"],
                    "badge_template": {"id": body["badge_template_id"]},
                    "issued_at": _as_listed(body["issued_at"]),
                    "expires_at": _as_listed(body.get("expires_at")),
                    "badge_url": f"{self.base}/badges/x",
                }
                self.badges.append(made)
            return self.fault("after-") or (jsonify({"data": made}), 201)

        @app.put("/organizations/O1/badges/<ref>/revoke")
        def revoke(ref: str) -> Any:
            assert request.get_json()["reason"]
            for badge in self.badges:
                if badge["id"] == ref:
                    if badge["state"] == "revoked":
                        return jsonify({"data": {"message": "Badge is revoked already"}}), 422
                    badge["state"] = "revoked"
            return jsonify({"data": {}})

        return app

    def _page(self, rows: list[Json]) -> Response:
        number = int(request.args.get("page", 1))
        following = f"{self.base}{request.path}?page={number + 1}"
        if "filter" in request.args:
            following += f"&filter={request.args['filter']}"
        more = following if number * 2 < len(rows) else None
        shown = rows[(number - 1) * 2 : number * 2]
        return jsonify({"data": shown, "metadata": {"next_page_url": more}})


def _as_listed(moment: str | None) -> str | None:
    """`2026-01-10 08:00:00 +0000`, the one form it takes, as lists show it."""
    if moment is None:
        return None
    return datetime.strptime(moment, "%Y-%m-%d %H:%M:%S %z").strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _is_over(moment: str | None) -> bool:
    return moment is not None and clock.parse_iso(moment) <= clock.now()


@dataclass
class AccredibleServer(FaultyServer):
    """Groups and credentials; nothing keeps a careless client from making two."""

    groups: list[Json] = field(default_factory=list)
    credentials: list[Json] = field(default_factory=list)

    def live(self) -> Counter[str]:
        return Counter(each["recipient"]["email"] for each in self.credentials)

    def seed(self, name: str) -> str:
        """A group, as somebody made it there. Returns its id."""
        ref = len(self.groups) + 9549
        self.groups.append({"id": ref, "name": f"{name} (2026)", "course_name": name})
        return str(ref)

    def app(self) -> Flask:
        app = Flask("accredible")

        @app.before_request
        def guard() -> Any:
            if request.headers.get("Authorization") != "Token token=s3cret":
                return jsonify({"errors": "Invalid API key"}), 401
            return None

        @app.get("/v1/issuer/all_groups")
        def groups() -> Any:
            return self._page("groups", self.groups)

        @app.get("/v1/all_credentials")
        def listed() -> Any:
            if fault := self.fault("find-"):
                return fault
            email, group = request.args["email"], request.args["group_id"]
            return self._page(
                "credentials",
                [
                    each
                    for each in self.credentials
                    if each["recipient"]["email"] == email and str(each["group_id"]) == group
                ],
            )

        @app.post("/v1/credentials")
        def issue() -> Any:
            if fault := self.fault("before-"):
                return fault
            body = request.get_json()["credential"]
            made = {
                "id": secrets.randbelow(10**9),
                "recipient": body["recipient"],
                "group_id": int(body["group_id"]),
                "issued_on": body["issued_on"],
                "expired_on": body.get("expired_on"),
                "url": f"{self.base}/credential/x",
                "evidence_items": [
                    {"id": 1, "type": "url", "link_url": each["url"]}
                    for each in body["evidence_items"]
                ],
            }
            with self.lock:
                self.credentials.append(made)
            return self.fault("after-") or jsonify({"credential": made})

        @app.delete("/v1/credentials/<int:ref>")
        def delete(ref: int) -> Any:
            before = len(self.credentials)
            self.credentials = [each for each in self.credentials if each["id"] != ref]
            if len(self.credentials) == before:
                return jsonify({"errors": "Not found"}), 404
            return jsonify({"credential": {"id": ref}})

        return app

    def _page(self, key: str, rows: list[Json]) -> Response:
        number = int(request.args["page"])
        more = number + 1 if number * 2 < len(rows) else None
        return jsonify({key: rows[(number - 1) * 2 : number * 2], "meta": {"next_page": more}})
