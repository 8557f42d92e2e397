"""The world that the running sandbox shows."""

from __future__ import annotations

from flask import current_app

from lti_badges.sandbox.world import World

EXTENSION = "sandbox_world"


def world() -> World:
    """That of the application which serves this request."""
    found: World = current_app.extensions[EXTENSION]
    return found
