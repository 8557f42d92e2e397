"""What comes in with a request: queries, forms and addresses cleaned before any page sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Request, abort, request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from lti_badges.core.errors import NotAllowed
from lti_badges.core.links import origin_of, same_origin
from lti_badges.core.text import clean, is_clean

MAX_FIELDS = 2_000


class CleanParameters(ImmutableMultiDict[str, Any]):
    """Query or form without control characters and lone surrogates. One with a NUL is refused
    whole (400): no person types one, and what is left without it may be another id."""

    def __init__(self, mapping: Any = None) -> None:
        super().__init__([(clean(name), _cleaned(value)) for name, value in _pairs(mapping)])


class CleanRequest(Request):
    """A request whose parameters are clean."""

    parameter_storage_class = CleanParameters
    max_form_parts = MAX_FIELDS


def prepare(app: Flask) -> None:
    """Clean all that comes in; an address with odd characters is nobody's (404)."""
    app.request_class = CleanRequest
    app.before_request(_refuse_odd_addresses)


def _refuse_odd_addresses() -> None:
    for value in (request.view_args or {}).values():
        if isinstance(value, str) and not is_clean(value):
            abort(404)


def _pairs(mapping: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(mapping, MultiDict):
        return mapping.items(multi=True)
    if isinstance(mapping, Mapping):
        return mapping.items()
    return mapping or ()


def _cleaned(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if "\0" in value:
        abort(400)
    return clean(value)


def check_same_origin(base_url: str) -> None:
    """Refuse a form that another site's page sent from this browser. Raises NotAllowed.

    Browsers tell by `Sec-Fetch-Site`, older ones by `Origin`; what sends neither is no browser, and
    carries nobody's session. Source: https://web.dev/articles/fetch-metadata.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign = site not in {"same-origin", "none"} if site else False
    if not site and origin:
        foreign = origin_of(origin) is None or not same_origin(origin, base_url)
    if foreign:
        raise NotAllowed(
            "This was sent by another site's page. Open the tool from your course again.",
            code="cross_site",
        )
