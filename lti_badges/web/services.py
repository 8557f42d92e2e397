"""What the pages are handed: the engine, the queue and the desk that accepts launches."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from lti_badges import lms
from lti_badges.context import Engine
from lti_badges.jobs import Queue
from lti_badges.lti.launches import Desk
from lti_badges.web.access import AccessTokens, AdminTokens

EXTENSION = "lti_badges"


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of one running application."""

    engine: Engine
    queue: Queue
    desk: Desk
    access: AccessTokens
    admin: AdminTokens

    @classmethod
    def of(cls, queue: Queue) -> Services:
        """From a queue and its engine."""
        engine = queue.engine
        desk = Desk(
            sessions=engine.sessions,
            cipher=engine.cipher,
            key_sets=engine.key_sets,
            base_url=engine.settings.base_url,
            audience_hint=lambda platform: lms.LMSES.get(platform.lms, lms.LMS).audience_hint,
        )
        return cls(engine, queue, desk, AccessTokens(engine.cipher), AdminTokens(engine.cipher))

    def attach(self, app: Flask) -> None:
        """Make them known to the application's pages."""
        app.extensions[EXTENSION] = self


def services() -> Services:
    """Those of the application that serves this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
