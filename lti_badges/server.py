"""The production server: gunicorn with threads, waitress where there is no fork."""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.jobs import open_queue, start_background
from lti_badges.jobs.background import WORKERS
from lti_badges.jobs.queue import is_embedded
from lti_badges.people.admins import setup_link
from lti_badges.settings import Settings
from lti_badges.web.services import EXTENSION


def serve_forever(settings: Settings, host: str, port: int, threads: int, workers: int) -> None:
    """Serve until told to stop. Several threads are needed: an LMS fetches our keys while it
    answers us. Raises SettingsError."""
    app = create_app(settings)  # a bad setting or schema stops the start here, with its one line
    _greet(app, settings)
    if sys.platform == "win32":
        _serve_waitress(settings, host, port, threads, workers)
    else:
        _serve_gunicorn(settings, host, port, threads, workers)


def _greet(app: Flask, settings: Settings) -> None:
    """On a fresh installation, the one address from where everything else is done."""
    secret = setup_link(app.extensions[EXTENSION].installation)
    if secret is not None:
        print(f"Set this installation up at {settings.base_url}/admin/#{secret}", flush=True)


def application(settings: Settings, workers: int = WORKERS) -> Flask:
    """The application with, for the embedded queue, its background work running: so many tasks at a
    time."""
    queue = open_queue(ToolContext.build(settings))
    app = create_app(queue=queue)
    if is_embedded(settings):
        app.extensions["lti_badges_background"] = start_background(queue, workers)
    return app


def _serve_gunicorn(settings: Settings, host: str, port: int, threads: int, workers: int) -> None:
    from gunicorn.app.base import BaseApplication  # noqa: PLC0415 - not on Windows

    class Server(BaseApplication):
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": f"{host}:{port}",
                # One process: the embedded queue's workers run in it, and state is in the database.
                "workers": 1,
                "threads": threads,
                "worker_class": "gthread",
                "timeout": 120,
                "graceful_timeout": 8,  # a stop is over within ten seconds
                "keepalive": 5,
                "loglevel": "warning",
                "worker_exit": _stop_background,
            }
            for name, value in options.items():
                self.cfg.set(name, value)  # type: ignore[union-attr]

        def load(self) -> Flask:
            return application(settings, workers)

    Server().run()  # type: ignore[no-untyped-call]


def _stop_background(_server: Any, worker: Any) -> None:
    app = getattr(worker, "wsgi", None)
    background = getattr(app, "extensions", {}).get("lti_badges_background")
    if background is not None:
        background.stop()


def _serve_waitress(settings: Settings, host: str, port: int, threads: int, workers: int) -> None:
    import waitress  # type: ignore[import-untyped]  # noqa: PLC0415 - on Windows only

    waitress.serve(application(settings, workers), host=host, port=port, threads=threads)
