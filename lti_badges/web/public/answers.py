"""Public documents and pictures as answers: kept by whoever likes, 304 while they are the same."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from flask import Response, jsonify, request
from werkzeug.wrappers import Response as AnyResponse


def document_answer(
    document: dict[str, Any], media_type: str, modified: datetime | None = None
) -> AnyResponse:
    """A document, as the media type that was asked for."""
    response = jsonify(document)
    response.mimetype = media_type
    return _cacheable(response, modified)


def text_answer(text: str, media_type: str, modified: datetime) -> AnyResponse:
    """A text such as a token."""
    return _cacheable(Response(text, mimetype=media_type), modified)


def picture_answer(image: bytes, media_type: str, tag: str) -> AnyResponse:
    """A picture; `tag` names exactly these bytes."""
    response = Response(image, mimetype=media_type)
    response.headers["Cache-Control"] = "public, max-age=300"
    # An SVG opened by itself must not be able to do anything.
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    response.set_etag(tag)
    return response.make_conditional(request)


def _cacheable(response: Response, modified: datetime | None) -> AnyResponse:
    """Kept by whoever likes, asked for again each time: 304 while it is the same."""
    response.headers["Cache-Control"] = "no-cache"
    if modified is not None:
        response.last_modified = modified
    tag = hashlib.sha256(response.get_data() + (response.mimetype or "").encode()).hexdigest()
    response.set_etag(tag[:32])
    return response.make_conditional(request)
