"""An institution's style sheet and logo, for its pages and for whoever shows its credentials."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.catalogue.branding import logo_of, style_of
from lti_badges.web.services import services

branding = Blueprint("branding", __name__, url_prefix="/institutions")
A_WHILE, FOR_EVER = "public, max-age=300", "public, max-age=31536000, immutable"


@branding.get("/<uuid:institution>/style.css")
def style(institution: Any) -> AnyResponse:
    """The colours over ours. Pages name it with its colour: a changed one has another address."""
    response = Response(style_of(services().installation, str(institution)), mimetype="text/css")
    response.headers["Cache-Control"] = FOR_EVER if request.args.get("v") else A_WHILE
    return response


@branding.get("/<uuid:institution>/logo")
def logo(institution: Any) -> AnyResponse:
    """The logo; credentials name this address as their issuer's picture."""
    content, media_type, tag = logo_of(services().installation, str(institution))
    response = Response(content, mimetype=media_type)
    response.headers["Cache-Control"] = A_WHILE
    # An SVG opened by itself must not be able to do anything.
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    response.set_etag(tag)
    return response.make_conditional(request)
