"""Badge pictures as they are served: drawn once, kept in the database and in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from lti_badges.context import ToolContext
from lti_badges.core.errors import NotFound
from lti_badges.openbadges.drawing import draw_svg
from lti_badges.openbadges.picture import SIZE, generated_svg, png_from_svg
from lti_badges.store import Achievement
from lti_badges.store.issuing import DrawnPicture

PNG, SVG = "image/png", "image/svg+xml"
KEPT_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and its media type; `tag` names exactly these bytes."""

    content: bytes
    media_type: str
    tag: str


_kept: LRUCache[tuple[object, ...], Picture] = LRUCache(
    KEPT_BYTES, getsizeof=lambda picture: len(picture.content)
)
_lock = Lock()


def picture_of(tool: ToolContext, achievement_id: str, media_type: str) -> Picture:
    """A badge's picture as PNG or SVG: the uploaded one, else a generated one. An uploaded PNG
    stays a PNG whatever was asked for. Raises NotFound."""
    columns = (Achievement.name, Achievement.image_type, Achievement.updated_at)
    with tool.sessions() as session:
        row = session.execute(select(*columns).where(Achievement.id == achievement_id)).first()
    if row is None:
        raise NotFound("There is no such badge.")
    key = (str(tool.database.url), achievement_id, *row, media_type)
    with _lock:
        found = _kept.get(key)
    if found is None:
        content, kind = _made(tool, achievement_id, row.name, row.image_type, media_type)
        found = Picture(content, kind, hashlib.sha256(content).hexdigest()[:32])
        with _lock:
            if len(content) <= KEPT_BYTES // 8:
                _kept[key] = found
    return found


def _made(
    tool: ToolContext, achievement_id: str, name: str, image_type: str | None, media_type: str
) -> tuple[bytes, str]:
    image = None
    if image_type is not None:
        with tool.sessions() as session:
            image = session.scalar(
                select(Achievement.image).where(Achievement.id == achievement_id)
            )
    if image is not None and (image_type == PNG or media_type == SVG):
        return image, image_type or PNG
    svg = generated_svg(name) if image is None else image.decode()
    if media_type == SVG:
        return svg.encode(), SVG
    return _drawn(tool, svg, is_ours=image is None), PNG


def _drawn(tool: ToolContext, svg: str, *, is_ours: bool) -> bytes:
    """From the database, or drawn and stored; of two at once, either will do."""
    svg_hash = hashlib.sha256(svg.encode()).hexdigest()
    with tool.sessions() as session:
        kept = session.scalar(select(DrawnPicture.png).where(DrawnPicture.svg_hash == svg_hash))
    if kept is not None:
        return kept
    png = png_from_svg(svg) if is_ours else draw_svg(svg, SIZE)
    table = postgresql if tool.database.dialect.name == "postgresql" else sqlite
    with tool.sessions.begin() as session:
        session.execute(
            table.insert(DrawnPicture).values(svg_hash=svg_hash, png=png).on_conflict_do_nothing()
        )
    return png
