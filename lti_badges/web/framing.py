"""Who may show our pages in a frame: the registered platforms' own origins, and nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from threading import Lock

from flask import g, request
from sqlalchemy import select

from lti_badges import lms
from lti_badges.core.links import web_origin
from lti_badges.lti.claims import Launch
from lti_badges.store import Platform, Sessions
from lti_badges.web.services import services

LEARNED = "frame_origins"
"""Where a platform's row keeps the origins that its signed launches named."""
MAX_LEARNED = 20
MAX_NAMED = 60
KEEP_S = 30.0

_known: dict[int, tuple[float, list[str]]] = {}
_guard = Lock()


def allow_frames(sessions: Sessions, platform: Platform, launch: Launch) -> None:
    """From now on this answer may be framed by this platform alone. What its signed launches name
    (schools have domains of their own at hosted LMSes) is kept for the pages before the next."""
    told = list(dict.fromkeys(_of_launch(launch)))
    learned = list(platform.product.get(LEARNED, ()))
    new = [origin for origin in told if origin not in learned and origin not in _of_row(platform)]
    if new and len(learned) < MAX_LEARNED:
        learned = [*learned, *new][:MAX_LEARNED]
        with sessions.begin() as session:
            row = session.get_one(Platform, platform.id, with_for_update=True)
            row.product = {**row.product, LEARNED: learned}
    g.frame_origins = list(dict.fromkeys([*_of_platform(platform), *told]))


def allow_initiator(storage_origin: str) -> None:
    """A login's page may be framed by the page that began it, whoever that is: it holds nothing but
    a secret that is posted to the platform's own origin only."""
    began = web_origin(request.headers.get("Referer", "")) or ""
    g.frame_origins = [origin for origin in (*_all(), storage_origin, began) if origin]


def allow_form_to(url: str) -> None:
    """This answer's form may be sent to that address."""
    origin = web_origin(url)
    g.form_origins = [origin] if origin else []


def frame_ancestors() -> str:
    """The `frame-ancestors` sources for this answer."""
    return " ".join(["'self'", *(g.get("frame_origins") or _all())])


def form_action() -> str:
    """The `form-action` sources for this answer."""
    return " ".join(["'self'", *g.get("form_origins", ())])


def _all() -> list[str]:
    """All platforms' origins, for answers that belong to no launch; read anew twice a minute."""
    database = services().installation.sessions
    with _guard:
        at, found = _known.get(id(database), (float("-inf"), []))
    if time.monotonic() - at < KEEP_S:
        return found
    with database() as session:
        rows = session.scalars(
            select(Platform).order_by(Platform.last_launch_at.desc()).limit(MAX_NAMED)
        )
        named = [origin for row in rows for origin in _of_platform(row)]
    found = list(dict.fromkeys(named))[:MAX_NAMED]
    with _guard:
        _known.clear()  # one application, but for tests
        _known[id(database)] = time.monotonic(), found
    return found


def _of_platform(platform: Platform) -> list[str]:
    vendor = lms.LMSES.get(platform.lms, lms.LMS)
    hosted = vendor.hosted_origins if platform.issuer in vendor.shared_issuers else ()
    settings = services().installation.settings.frame_origins
    return [*_of_row(platform), *platform.product.get(LEARNED, ()), *hosted, *settings]


def _of_row(platform: Platform) -> list[str]:
    return list(_origins((platform.issuer, platform.auth_login_url)))


def _of_launch(launch: Launch) -> Iterator[str]:
    picker = launch.deep_linking.return_url if launch.deep_linking else None
    return _origins((launch.return_url, picker, launch.memberships_url, launch.line_items_url))


def _origins(urls: Iterable[str | None]) -> Iterator[str]:
    return (origin for url in urls if url and (origin := web_origin(url)))
