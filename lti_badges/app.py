"""The application factory: settings, tool, queue and pages, wired."""

from __future__ import annotations

from flask import Flask

from lti_badges.backends import ensure_default
from lti_badges.context import ToolContext
from lti_badges.core.errors import SettingsError
from lti_badges.core.logs import configure_logs
from lti_badges.jobs import Queue, open_queue
from lti_badges.settings import Settings
from lti_badges.store import is_current, upgrade
from lti_badges.web import common, limits
from lti_badges.web.admin import admin
from lti_badges.web.instructor import instructor
from lti_badges.web.instructor.sign_in import sign_in
from lti_badges.web.learner.pages import learner
from lti_badges.web.lti.deep_linking import picker
from lti_badges.web.lti.events import events
from lti_badges.web.lti.launch import launch
from lti_badges.web.lti.registration import registration
from lti_badges.web.proxies import TrustedProxies
from lti_badges.web.public.branding import branding
from lti_badges.web.public.health import health
from lti_badges.web.public.pages import public
from lti_badges.web.public.verifying import verifying
from lti_badges.web.services import Services

MAX_REQUEST_BYTES = 3_000_000


def create_app(settings: Settings | None = None, queue: Queue | None = None) -> Flask:
    """The WSGI application. Brings a SQLite schema up to date itself; PostgreSQL's is the admin's
    to upgrade (`lti-badges db upgrade`). Raises SettingsError."""
    if queue is None:
        queue = open_queue(ToolContext.build(settings or Settings.load()))
    tool = queue.tool
    configure_logs(as_json=tool.settings.json_logs)
    if tool.database.dialect.name == "sqlite":
        upgrade(tool.database)
        ensure_default(tool.sessions)
    elif not is_current(tool.database):
        raise SettingsError("The database is not up to date; run: lti-badges db upgrade")
    tool.keys.open()
    app = Flask("lti_badges.web")
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.wsgi_app = TrustedProxies(app.wsgi_app, tool.settings.trusted_proxies)  # type: ignore[method-assign]
    Services.of(queue).attach(app)
    common.prepare(app)
    limits.prepare(app, tool.settings, tool.database)
    for blueprint in (
        launch,
        registration,
        instructor,
        learner,
        picker,
        public,
        branding,
        verifying,
        events,
        sign_in,
        admin,
        health,
    ):
        app.register_blueprint(blueprint)
    return app
