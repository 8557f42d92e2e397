"""Open Badge Factory, Timeback and a webhook receiver, as their recordings and descriptions say."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, request

from tests.support.faulty import FaultyServer, Json


@dataclass
class ObfServer(FaultyServer):
    """Open Badge Factory v2: events and recipients; duplicates are never refused."""

    badges: dict[str, Json] = field(default_factory=dict)
    events: dict[str, Json] = field(default_factory=dict)

    def live(self) -> Counter[str]:
        return Counter(e["email"] for e in self.events.values() if not e["revoked"])

    def app(self) -> Flask:
        app = Flask("obf")

        @app.before_request
        def guard() -> Response | None:
            if request.path.endswith("/oauth2/token") or self.knows_token():
                return None
            return Response("Forbidden", 403)

        @app.post("/v2/client/oauth2/token")
        def token() -> Any:
            self.logins += 1
            if self.refuse_login or request.form.get("client_secret") != "s3cret":
                return jsonify({"error": "invalid_client"}), 400
            return jsonify({"access_token": self.new_token(), "expires_in": 3600})

        @app.get("/v2/client/C1")
        def client() -> Any:
            return jsonify({"id": "C1", "name": "Test organisation", "issuing_limit": 99})

        @app.get("/v2/badge/C1")
        def badges() -> Any:
            return _window(list(self.badges.values()))

        @app.post("/v2/badge/C1")
        def create() -> Any:
            body = request.get_json()
            if not body["image"].startswith("data:image/"):
                return jsonify({"message": "image is required"}), 422
            ref = "B" + secrets.token_hex(5)
            text = body["content"][0]
            self.badges[ref] = {
                "id": ref,
                "name": text["name"],
                "description": text["description"],
                "draft": False,
            }
            return jsonify({"success": True, "resource_type": "badge", "resource_id": ref})

        @app.post("/v2/event/C1/<badge>/issue")
        def issue(badge: str) -> Any:
            if fault := self.fault("before-"):
                return fault
            body = request.get_json()
            ref = "E" + secrets.token_hex(5)
            (person,) = body["recipient"]
            with self.lock:
                self.events[ref] = {
                    "id": ref,
                    "badge_id": badge,
                    "name": body["event_name"][:20],  # lists cut the name
                    "email": person["email"],
                    "log_entry": body["log_entry"],
                    "issued_on": body["issued_on"],
                    "revoked": False,
                }
            made = {"success": True, "message": "", "resource_type": "event", "resource_id": ref}
            return self.fault("after-") or jsonify(made)

        @app.get("/v2/event/C1")
        def events() -> Any:
            if fault := self.fault("find-"):
                return fault
            found = [
                {k: v for k, v in e.items() if k not in {"log_entry", "email", "revoked"}}
                for e in self.events.values()
                if e["badge_id"] == request.args["badge_id"] and e["email"] == request.args["email"]
            ]
            return _window(found)

        @app.get("/v2/event/C1/recipient")
        def recipients() -> Any:
            event = self.events[request.args["event_id"]]
            row = {
                "event_id": event["id"],
                "email": event["email"],
                "assertion_json_url": f"https://obf.example/{event['id']}.json",
                "issued_on": event["issued_on"],
                "revoked": event["revoked"],
            }
            return _window([row])

        @app.get("/v2/event/C1/<event>")
        def single(event: str) -> Any:
            return jsonify(self.events[event])

        @app.put("/v2/event/C1/<event>/revoke")
        def revoke(event: str) -> Any:
            self.events[event]["revoked"] = True
            return jsonify({"success": True})

        return app


@dataclass
class TimebackServer(FaultyServer):
    """Timeback's OpenBadge API: learners by OneRoster id; a repeated issue makes a second badge."""

    badges: dict[str, Json] = field(default_factory=dict)
    issued: list[Json] = field(default_factory=list)

    def live(self) -> Counter[str]:
        return Counter(each["userId"] for each in self.issued)

    def app(self) -> Flask:
        app = Flask("timeback")

        @app.before_request
        def guard() -> Any:
            if request.path == "/oauth2/token" or self.knows_token():
                return None
            return jsonify({"imsx_codeMajor": "failure", "imsx_description": "Unauthorized"}), 401

        @app.post("/oauth2/token")
        def token() -> Any:
            self.logins += 1
            if self.refuse_login or request.form.get("client_secret") != "s3cret":
                return jsonify({"error": "invalid_client"}), 400
            return jsonify({"access_token": self.new_token(), "expires_in": 3600})

        @app.get("/ims/ob/v3p0/achievements/")
        def achievements() -> Any:
            rows = list(self.badges.values())
            start, size = int(request.args["offset"]), int(request.args["limit"])
            return jsonify({"achievements": rows[start : start + size], "totalCount": len(rows)})

        @app.post("/ims/ob/v3p0/achievements/")
        def create() -> Any:
            wished = request.get_json()["achievement"]
            ref = "T" + secrets.token_hex(5)
            self.badges[ref] = {**wished, "sourcedId": ref}
            pair = {"suppliedSourcedId": wished["sourcedId"], "allocatedSourcedId": ref}
            return jsonify({"sourcedIdPairs": pair}), 201

        @app.post("/ims/ob/v3p0/issue-badge/")
        def issue() -> Any:
            if fault := self.fault("before-"):
                return fault
            body = request.get_json()
            made = {**body, "id": f"https://timeback.example/credentials/{secrets.token_hex(6)}"}
            with self.lock:
                self.issued.append(made)
            return self.fault("after-") or (jsonify({"credential": {"id": made["id"]}}), 201)

        @app.get("/ims/ob/v3p0/achievements/students/<student>")
        def held(student: str) -> Any:
            if fault := self.fault("find-"):
                return fault
            mine = [each for each in self.issued if each["userId"] == student]
            if not mine:
                return jsonify({"imsx_description": "Student not found"}), 404
            rows = [
                {
                    "sourcedId": each["achievementId"],
                    "issuedBadges": [
                        {
                            "status": "active",
                            "dateEarned": each["awardedDate"],
                            "data": {"id": each["id"], "validUntil": each.get("validUntil")},
                        }
                    ],
                }
                for each in mine
            ]
            return jsonify({"achievementsWithIssuedBadges": rows})

        return app


@dataclass
class Receiver(FaultyServer):
    """A webhook that checks signatures and keeps one award per key, as its guide asks."""

    awards: dict[str, Json] = field(default_factory=dict)
    pings: int = 0

    def live(self) -> Counter[str]:
        return Counter(
            each["recipient"]["email"] for each in self.awards.values() if not each["revoked"]
        )

    def app(self) -> Flask:
        app = Flask("receiver")

        @app.post("/badges")
        def take() -> Any:
            stamp = request.headers["X-LTI-Badges-Timestamp"]
            body = request.get_data()
            digest = hmac.new(b"s3cret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            if request.headers["X-LTI-Badges-Signature"] != f"v1={digest}" or self.refuse_login:
                return jsonify({"error": "bad signature"}), 401
            event = json.loads(body)
            if event["event"] == "ping":
                self.pings += 1
                return jsonify({})
            return self._take(event)

        return app

    def _take(self, event: Json) -> Any:
        award = event["award"]
        if event["event"] == "award.revoke":
            self.awards[award["award_id"]]["revoked"] = True
            return jsonify({})
        if fault := self.fault("before-"):
            return fault
        key = request.headers["Idempotency-Key"]
        with self.lock:
            self.awards.setdefault(key, {**award, "revoked": False})
        return self.fault("after-") or jsonify({"id": f"x-{key}"})


def _window(rows: list[Json]) -> Response:
    start = request.args.get("offset", 0, type=int)
    size = request.args.get("limit", 20, type=int)
    return jsonify({"result": rows[start : start + size], "total": len(rows)})
