"""Assignment and Grade Services 2.0: line items, results, scores."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from threading import Lock
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from lti_badges.core import clock, text
from lti_badges.core.errors import Gone, HttpError, NoRight, PlatformDown
from lti_badges.core.links import with_query
from lti_badges.lti.service import Service, limited
from lti_badges.values.course import Gradable, Kind, Result, ResultState
from lti_badges.values.score import exact

SCOPES = "https://purl.imsglobal.org/spec/lti-ags/scope/"
LINEITEM = f"{SCOPES}lineitem"
LINEITEM_READONLY = f"{SCOPES}lineitem.readonly"
RESULT_READONLY = f"{SCOPES}result.readonly"
SCORE = f"{SCOPES}score"

LINEITEM_TYPE = "application/vnd.ims.lis.v2.lineitem+json"
CONTAINER_TYPE = "application/vnd.ims.lis.v2.lineitemcontainer+json"
RESULTS_TYPE = "application/vnd.ims.lis.v2.resultcontainer+json"
SCORE_TYPE = "application/vnd.ims.lis.v1.score+json"

OWN_TAG = "lti-badges"
NO_ID = " "
"""The key of a line item that came without one."""
SOURCE = "LTI gradebook service"


@dataclass(frozen=True, slots=True)
class Score:
    """A score to write (AGS 2.0 §3.4); `given` None takes back what was written. `extensions` are a
    platform's own keys."""

    sub: str
    given: Fraction | None
    maximum: Fraction
    comment: str = ""
    activity_progress: str = "Completed"
    grading_progress: str = "FullyGraded"
    extensions: Mapping[str, Any] = field(default_factory=dict, hash=False)


def service_path(url: str, tail: str) -> str:
    """Appends `tail` to the path, before the query: Moodle's line items end in `?type_id=3`.
    AGS 2.0 §3.2."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{tail}"))


def listing_scope(scopes: frozenset[str]) -> str:
    """The narrowest granted scope that lists line items; Moodle wants lineitem.readonly by name,
    the certification suite grants only lineitem."""
    return LINEITEM if LINEITEM_READONLY not in scopes and LINEITEM in scopes else LINEITEM_READONLY


def line_items(
    service: Service, url: str, scopes: frozenset[str], *, limit: int | None = None
) -> Iterator[Gradable]:
    """All line items that the platform shows this tool, streamed over all pages."""
    scope = listing_scope(scopes)
    for page in service.pages(limited(url, limit), accept=CONTAINER_TYPE, scope=scope):
        if not isinstance(page, list):
            raise PlatformDown("The list of grade items can't be read.", code="unreadable")
        for item in page:
            found = _gradable(item)
            if found is not None:
                yield found


def coupled_line_items(
    service: Service, links: Mapping[str, str], scopes: frozenset[str]
) -> Iterator[Gradable]:
    """The line items of the tool's own links, where a launch names no others (AGS 2.0 §3.1.1: a
    claim with `lineitem` alone); `links` are the links' titles by line item. One that is gone is
    left out; one whose details the platform does not tell is known by its link, its maximum from
    its results."""
    scope = listing_scope(scopes)
    for url, title in links.items():
        if scope not in scopes:
            yield replace(_coupled(title), key=url)
            continue
        try:
            reply = service.send("GET", url, scope=scope, accept=LINEITEM_TYPE)
            found = _gradable(reply.json())
        except Gone:
            continue
        except HttpError as error:
            raise PlatformDown(error.message, code="unreadable") from error
        yield replace(found or _coupled(title), key=url)


def _coupled(title: str) -> Gradable:
    return Gradable(Kind.ITEM, NO_ID, title or "Badge link", None, SOURCE)


def results(
    service: Service, line_item_url: str, sub: str | None = None, *, limit: int | None = None
) -> Iterator[Result]:
    """Results of a line item, streamed over all pages; of one learner only when `sub` is given."""
    url = limited(service_path(line_item_url, "results"), limit)
    if sub is not None:
        url = with_query(url, user_id=sub)
    for page in service.pages(url, accept=RESULTS_TYPE, scope=RESULT_READONLY):
        if not isinstance(page, list):
            raise PlatformDown("The list of results can't be read.", code="unreadable")
        read_at = clock.now()
        for entry in page:
            found = _result(line_item_url, entry, read_at)
            # A platform that ignores the user_id filter answers with everybody.
            if found is not None and sub in {None, found.sub}:
                yield found


def create_line_item(
    service: Service,
    url: str,
    *,
    label: str,
    maximum: Fraction,
    resource_id: str,
    tag: str,
    extensions: Mapping[str, Any] | None = None,
) -> Gradable:
    """A column of our own. Raises NoRight where the platform allows no column management."""
    body = json.dumps(
        {
            "label": label[:200],
            "scoreMaximum": float(maximum),
            "resourceId": resource_id,
            "tag": tag,
            **(extensions or {}),
        }
    ).encode()
    reply = service.send(
        "POST", url, scope=LINEITEM, accept=LINEITEM_TYPE, content=body, content_type=LINEITEM_TYPE
    )
    try:
        made = _gradable(reply.json())
    except HttpError as error:
        raise PlatformDown(error.message, code="unreadable") from error
    if made is None or made.key == NO_ID:
        raise PlatformDown("The new grade item's answer can't be read.", code="unreadable")
    return made


class LineItemGone(Gone):
    """The line item itself was deleted, not the learner."""

    code = "line_item_gone"


def delete_line_item(service: Service, url: str) -> None:
    """Removes a column with all its results. Raises Gone when it is not there, NoRight where the
    platform does not let the tool. AGS 2.0 §3.2.8."""
    service.send("DELETE", url, scope=LINEITEM)


def line_item_exists(service: Service, url: str, scopes: frozenset[str]) -> bool:
    """Whether a column is still there. AGS 2.0 §3.2.6."""
    scope = listing_scope(scopes)
    reply = service.send("GET", url, scope=scope, accept=LINEITEM_TYPE, allow=frozenset({404, 410}))
    return reply.ok


class _Clockwork:
    """Score timestamps of one process: strictly rising by a second per line item and user, as
    platforms compare them in whole seconds (Moodle answers 409 to an equal one)."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], datetime] = {}
        self._guard = Lock()

    def next(self, line_item_url: str, sub: str) -> datetime:
        with self._guard:
            if len(self._last) > 50_000:
                self._last.clear()
            last = self._last.get((line_item_url, sub), datetime.min.replace(tzinfo=UTC))
            moment = max(clock.now(), last + timedelta(seconds=1))
            self._last[line_item_url, sub] = moment
            return moment


_clockwork = _Clockwork()
_CONFLICT_WAIT_S = 1.1


def post_score(service: Service, line_item_url: str, score: Score, scopes: frozenset[str]) -> None:
    """Writes a score, or takes it back. A 409 (an equal or newer timestamp is stored) is repeated
    once, later.

    Raises Gone when the platform says that this user can't be graded (left, or no learner),
    LineItemGone when the column was deleted, NoRight and PlatformDown as ever. AGS 2.0 §3.4.
    """
    url = service_path(line_item_url, "scores")
    statuses = frozenset({400, 403, 404, 409, 422})
    for attempt in (1, 2):
        moment = _clockwork.next(line_item_url, score.sub)
        reply = service.send(
            "POST",
            url,
            scope=SCORE,
            content=json.dumps(_score_body(score, moment)).encode(),
            content_type=SCORE_TYPE,
            allow=statuses,
        )
        if reply.ok:
            return
        if reply.status != 409 or attempt == 2:
            break
        time.sleep(_CONFLICT_WAIT_S)
    if reply.status == 409:
        raise PlatformDown("A newer score is stored already; ours comes later.", code="conflict")
    if reply.status == 403:
        raise NoRight("The platform refuses to take scores from this tool.")
    if reply.status == 404 and not line_item_exists(service, line_item_url, scopes):
        raise LineItemGone("The gradebook column was deleted in the LMS.")
    raise Gone(
        f"The platform takes no score for this learner (error {reply.status}); they may have left "
        "the course or can't be graded."
    )


def _score_body(score: Score, moment: datetime) -> dict[str, Any]:
    said = {
        "userId": score.sub,
        "comment": score.comment,
        "timestamp": moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        **score.extensions,
    }
    if score.given is None:
        # What clears a score everywhere (AGS 2.0 §3.4.5; Blackboard, Canvas and Moodle alike).
        return {**said, "activityProgress": "Initialized", "gradingProgress": "NotReady"}
    return {
        **said,
        "scoreGiven": float(score.given),
        "scoreMaximum": float(score.maximum),
        "activityProgress": score.activity_progress,
        "gradingProgress": score.grading_progress,
    }


def _gradable(item: Any) -> Gradable | None:
    """An entry without an id can't be read, and is left out by name: its key is a blank."""
    if not isinstance(item, dict):
        return None
    key = item.get("id")
    tag = _text(item.get("tag"))
    return Gradable(
        kind=Kind.ITEM,
        key=key if isinstance(key, str) and key else NO_ID,
        label=_text(item.get("label")) or "Untitled grade item",
        maximum=_number(item.get("scoreMaximum")),
        source=SOURCE,
        is_own=bool(tag and tag.startswith(OWN_TAG)),
        resource_link_id=_text(item.get("resourceLinkId")),
        resource_id=_text(item.get("resourceId")),
        tag=tag,
    )


def _result(line_item_url: str, entry: Any, read_at: datetime) -> Result | None:
    """An absent resultScore is no grade, not zero; an absent resultMaximum is 1 (AGS 2.0 §3.3.1).
    A score that can't be read counts as pending: it must never look like a low one."""
    if not isinstance(entry, dict):
        return None
    sub = text.as_text(entry.get("userId"))
    given = entry.get("resultScore")
    score = _number(given)
    maximum = Fraction(1) if "resultMaximum" not in entry else _number(entry["resultMaximum"])
    if given is None:
        state = ResultState.MISSING
    else:
        state = ResultState.PENDING if score is None else ResultState.GRADED
    # Moodle and others name the time of the grade besides the specification (AGS 2.0 §3.3).
    graded_at = clock.told(entry.get("timestamp"))
    return Result(line_item_url, sub, state, score, maximum, read_at, graded_at=graded_at)


def _number(value: object) -> Fraction | None:
    try:
        return None if value is None else exact(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
