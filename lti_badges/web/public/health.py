"""For those who keep it running: alive, ready, figures."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import timedelta

from flask import Blueprint, Response, abort, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from lti_badges.core import clock
from lti_badges.core.errors import LaunchError, NotAllowed, SettingsError
from lti_badges.core.links import is_loopback, is_loopback_host
from lti_badges.ledger.backend_pauses import DUE_STATES
from lti_badges.store import Award, BackendRow, Course, State, is_current
from lti_badges.web.proxies import PROXIED
from lti_badges.web.services import services

ROBOTS_MAY = ("/credentials/", "/achievements/", "/static/")
health = Blueprint("health", __name__, template_folder="templates")


@health.get("/healthz")
def alive() -> Response:
    """The process lives."""
    return Response("ok\n", mimetype="text/plain")


@health.get("/readyz")
def ready() -> tuple[Response, int]:
    """Database and queue answer, and the schema is this version's."""
    problems = dict(_problems())
    answer = jsonify({"ready": not problems, "problems": problems})
    return answer, 503 if problems else 200


@health.get("/metrics")
def metrics() -> Response:
    """Prometheus text, counted when asked: the rows are the truth for all processes together. With
    `LTI_BADGES_METRICS_TOKEN`, for its bearer; without, for this machine alone."""
    _check_metrics_token()
    registry = CollectorRegistry()
    awards = Gauge("lti_badges_awards", "Awards by state", ["state"], registry=registry)
    due = Gauge("lti_badges_awards_due", "Awards that a worker should take now", registry=registry)
    courses = Gauge("lti_badges_courses", "Courses seen in launches", registry=registry)
    failing = Gauge("lti_badges_courses_failing", "Courses that can't be read", registry=registry)
    crashed = Gauge(
        "lti_badges_readings_crashed",
        "Readings that ended by a mistake of this tool, ever",
        registry=registry,
    )
    late = Gauge(
        "lti_badges_courses_due", "Courses whose time to be read has come", registry=registry
    )
    paused = Gauge("lti_badges_backends_paused", "Backends held back", registry=registry)
    queued = Gauge("lti_badges_queue_waiting", "Nudges that nobody has taken", registry=registry)
    now = clock.now()
    with services().installation.sessions() as session:
        for state in State:
            awards.labels(state.value).set(0)
        for name, count in session.execute(select(Award.state, func.count()).group_by(Award.state)):
            awards.labels(name).set(count)
        due.set(
            session.scalar(
                select(func.count()).where(
                    Award.state.in_([state.value for state in DUE_STATES]),
                    Award.next_attempt_at <= now,
                )
            )
            or 0
        )
        courses.set(session.scalar(select(func.count(Course.id))) or 0)
        failing.set(
            session.scalar(select(func.count(Course.id)).where(Course.sync_error.is_not(None))) or 0
        )
        crashed.set(session.scalar(select(func.sum(Course.sync_crashes))) or 0)
        late.set(
            session.scalar(select(func.count(Course.id)).where(Course.next_sync_at <= now)) or 0
        )
        paused.set(
            session.scalar(select(func.count(BackendRow.id)).where(BackendRow.paused_until > now))
            or 0
        )
    queued.set(services().queue.waiting())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


@health.get("/robots.txt")
def robots() -> Response:
    """What programs may fetch: the pages of badges, for the cards of networks. Which of them a
    search engine may list, each answer says itself (`X-Robots-Tag`): those that their learners
    made public."""
    allowed = "".join(f"Allow: {path}\n" for path in ROBOTS_MAY)
    return Response(f"User-agent: *\n{allowed}Disallow: /\n", mimetype="text/plain")


@health.get("/.well-known/security.txt")
def security() -> Response:
    """Whom to tell of a hole (RFC 9116); 404 until `LTI_BADGES_SECURITY_CONTACT` names somebody."""
    settings = services().installation.settings
    if not settings.security_contact:
        abort(404)
    ends = clock.now().replace(hour=0, minute=0, second=0) + timedelta(days=180)
    lines = (
        f"Contact: {settings.security_contact}",
        f"Expires: {clock.iso(ends)}",
        f"Canonical: {settings.url('/.well-known/security.txt')}",
        "Preferred-Languages: en",
    )
    return Response("\n".join(lines) + "\n", mimetype="text/plain")


def _check_metrics_token() -> None:
    expected = services().installation.settings.metrics_token.get_secret_value()
    if not expected:
        # A proxy on this machine comes from loopback, too: whom it speaks for is not known.
        proxied = request.environ.get(PROXIED) or not is_loopback(request.host_url)
        if is_loopback_host(request.remote_addr or "") and not proxied:
            return
        raise NotAllowed("Set LTI_BADGES_METRICS_TOKEN to read the figures from elsewhere.")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = token if scheme.lower() == "bearer" else ""
    if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
        raise LaunchError("These figures need their token.", code="metrics_token", status=401)


def _problems() -> Iterator[tuple[str, str]]:
    try:
        if not is_current(services().installation.database):
            yield "database", "the schema is not up to date; run: lti-badges db upgrade"
    except SQLAlchemyError:
        yield "database", "does not answer"
    try:
        services().queue.waiting()
    except SettingsError:
        yield "queue", "does not answer"
