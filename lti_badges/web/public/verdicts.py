"""The verdict that the public page shows: made by verifying the stored document as any stranger
would, and kept until the document, the issuer's keys, the status or a date changes it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from threading import Lock

from cachetools import LRUCache

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.openbadges.verify import Verification, verify_document
from lti_badges.queries import documents
from lti_badges.store import BackendRow, IssuedCredential

KEPT = 5_000
_kept: LRUCache[tuple[object, ...], Verification] = LRUCache(KEPT)
_lock = Lock()


def verdict(tool: ToolContext, row: IssuedCredential, backend: BackendRow) -> Verification:
    """From the stored bytes, by the same checks that anyone else would make."""
    now = clock.now()
    key = (
        str(tool.database.url),
        row.award_id,
        hashlib.sha256(json.dumps(row.document).encode()).digest(),
        row.revoked_at,
        tuple((each.kid, each.retired_at) for each in tool.keys.issuer_keys()),
        json.dumps(backend.settings, sort_keys=True),
        tuple(_is_past(row.document.get(name), now) for name in ("validFrom", "validUntil")),
    )
    with _lock:
        found = _kept.get(key)
    if found is None:
        found = verify_document(row.document, lambda url: documents.resolve(tool, url), now)
        with _lock:
            _kept[key] = found
    return found


def _is_past(date: object, now: datetime) -> bool | None:
    try:
        return datetime.fromisoformat(str(date)) <= now
    except (ValueError, TypeError):
        return None
