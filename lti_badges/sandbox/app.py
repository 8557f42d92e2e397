"""The sandbox as a Flask application, with its faults and its controls."""

from __future__ import annotations

import time
from fractions import Fraction

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.http import http_date

from lti_badges.sandbox.campus import campus
from lti_badges.sandbox.faults import before, drop_connection
from lti_badges.sandbox.oidc import oidc
from lti_badges.sandbox.registration import registration
from lti_badges.sandbox.services import services
from lti_badges.sandbox.state import EXTENSION, world
from lti_badges.sandbox.world import World
from lti_badges.values.score import exact

MAX_LOG = 10_000
control = Blueprint("control", __name__, url_prefix="/control")


def create_sandbox(world: World) -> Flask:
    """The WSGI application of one world."""
    app = Flask("lti_badges.sandbox", static_url_path="/sandbox-static")
    app.extensions[EXTENSION] = world
    app.before_request(_faulty)
    app.after_request(_logged)
    app.after_request(_dated)
    own = (oidc, registration, services, campus, control)
    for blueprint in (*own, *world.vendor.blueprints()):
        app.register_blueprint(blueprint)
    return app


def _dated(response: Response) -> Response:
    """By its own clock."""
    response.headers["Date"] = http_date(time.time() + world().vendor.skew_s)
    return response


@campus.get("/favicon.ico")
def favicon() -> Response:
    """Browsers ask for it by themselves."""
    return Response(status=204)


@control.post("/faults")
def order_fault() -> Response:
    """Order a fault: {"path", "action", "times"}."""
    order = request.get_json()
    world().faults.next(order["path"], order["action"], int(order.get("times", 1)))
    return jsonify({})


@control.post("/score")
def set_score() -> Response:
    """Grade somebody: {"course", "item", "sub", "points"}, points as text or null."""
    given = request.get_json()
    points: Fraction | None = None if given["points"] is None else exact(given["points"])
    world().set_score(given["course"], given["item"], given["sub"], points)
    return jsonify({})


@control.post("/completion")
def set_completion() -> Response:
    """Complete somebody: {"course", "sub", "done"}."""
    given = request.get_json()
    world().set_completion(given["course"], given["sub"], bool(given["done"]))
    return jsonify({})


@control.post("/rotate-key")
def rotate_key() -> Response:
    """Sign with a new key."""
    world().rotate_key()
    return jsonify({})


@control.get("/requests")
def requests() -> Response:
    """What was asked: [method, path, status]."""
    return jsonify(world().requests)


def _faulty() -> Response | None:
    action = world().faults.take(request.path)
    if action is None:
        return None
    if action == "drop":
        drop_connection(request)
        return Response(status=500)
    if action == "lost":
        request.environ["sandbox.lost"] = True
        return None
    return before(action)


def _logged(response: Response) -> Response:
    here = world()
    with here.lock:
        here.requests.append((request.method, request.path, response.status_code))
        here.queries.append((request.path, request.query_string.decode("latin-1")))
        del here.requests[:-MAX_LOG], here.queries[:-MAX_LOG]
    if request.environ.get("sandbox.lost"):
        drop_connection(request)
    return response
