"""Which form of a document to answer with: a page to browsers, JSON-LD to programs (RFC 9110)."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, request
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_options_header

HTML_TYPE = "text/html"
JWT_TYPE = "application/vc+jwt"
VC_TYPE = "application/vc+ld+json"
LD_TYPE = "application/ld+json"
JSON_TYPE = "application/json"
# What a credential or status list, and any other document, can be asked for as; the first is for
# whoever takes anything.
CREDENTIAL_TYPES = (VC_TYPE, "application/vc", LD_TYPE, JSON_TYPE)
DOCUMENT_TYPES = (LD_TYPE, JSON_TYPE, VC_TYPE, "application/vc")
_DOCUMENTS = ("/credentials/", "/achievements/", "/issuers/", "/status/")


def chosen_type(offers: Sequence[str]) -> str:
    """The media type to answer with, by the Accept header's q-values; parameters such as `profile`
    don't matter. A page is for those who name `text/html` or `text/*`: `*/*`, or no header at all,
    is a program. Raises NotAcceptable (406)."""
    if not request.headers.get("Accept", "").strip():
        return _first_document(offers)
    best: tuple[float, int, int] | None = None
    chosen = None
    for place, offer in enumerate(offers):
        quality, precision = _wanted(offer)
        if quality <= 0 or (offer == HTML_TYPE and precision == 0):
            continue
        rank = (quality, precision, -place)
        if best is None or rank > best:
            best, chosen = rank, offer
    if chosen is None:
        raise NotAcceptable
    return chosen


def takes(offer: str) -> bool:
    """Whether the client takes a type at all, if only as one of any."""
    return not request.headers.get("Accept", "").strip() or _wanted(offer)[0] > 0


def allow_any_site(response: Response) -> Response:
    """Verifiers on other sites may read public documents, errors and what may be asked too."""
    if not request.path.startswith(_DOCUMENTS) or request.method == "POST":
        return response
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Expose-Headers"] = "ETag, Last-Modified"
    headers.add("Vary", "Accept")
    if request.method == "OPTIONS":
        headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
        headers["Access-Control-Allow-Headers"] = "Accept, If-None-Match, If-Modified-Since"
        headers["Access-Control-Max-Age"] = "86400"
    return response


def _wanted(offer: str) -> tuple[float, int]:
    """(q, precision) of the most precise entry of the Accept header that takes an offer."""
    kind = offer.partition("/")[0]
    found = (0.0, -1)
    for value, quality in request.accept_mimetypes:
        named = parse_options_header(value)[0].lower()
        precision = {offer: 2, f"{kind}/*": 1, "*/*": 0}.get(named, -1)
        if precision > found[1]:
            found = (float(quality), precision)
    return found


def _first_document(offers: Sequence[str]) -> str:
    return next((offer for offer in offers if offer != HTML_TYPE), offers[0])
