"""Parts of a page that are asked for again while it is open, and sent only when they changed."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Response, json, render_template, request

_SEEN = "__seen__"
ARGUMENT = "seen"


def polled(template: str, **values: Any) -> str:
    """The template rendered; its `{{ seen }}` becomes the digest of what it shows, which the page
    sends along when it asks again."""
    html = render_template(template, seen=_SEEN, **values)
    return html.replace(_SEEN, hashlib.sha256(html.encode()).hexdigest()[:12])


def unless_seen(html: str) -> str | Response:
    """The part, or 204 (nothing to swap) when the page shows it already."""
    seen = request.args.get(ARGUMENT)
    return Response(status=204) if seen and seen in html else html


def announce(response: Response | str, text: str) -> Response:
    """The same answer, with a sentence that screen readers say once."""
    made = response if isinstance(response, Response) else Response(response)
    made.headers["HX-Trigger-After-Settle"] = json.dumps({"announce": text}, ensure_ascii=True)
    return made
