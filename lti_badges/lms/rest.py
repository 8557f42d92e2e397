"""What the LMSes' own REST APIs have in common: tokens kept with the connection, clear errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any
from urllib.parse import urljoin

from lti_badges.core.errors import (
    Gone,
    HttpError,
    NoRight,
    NotConnected,
    PlatformDown,
    PlatformError,
)
from lti_badges.core.http import Http, Reply, host_of
from lti_badges.core.links import same_origin
from lti_badges.core.paging import addressed, linked
from lti_badges.core.text import NO_ID, as_text
from lti_badges.lms.calls import Quota
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.oauth import TOKEN, is_fresh, parsed
from lti_badges.values.score import exact

Grant = Callable[[Http, Mapping[str, str]], Mapping[str, str]]
"""Fetches a token with the connection's values; returns what to keep: token, `expires_in`, and a
refresh token if a new one came."""

Refusal = Callable[[Reply], PlatformError | None]
"""What a vendor's own answers mean that look like another's: None leaves it to the status."""


class Rest:
    """One institution's API, called with the token that the connection holds or can get."""

    def __init__(
        self,
        course: CourseHandle,
        base_url: str,
        grant: Grant | None,
        refusal: Refusal = lambda _reply: None,
        quota: Quota | None = None,
    ) -> None:
        self._course = course
        self._base_url = base_url.rstrip("/")
        self._grant = grant
        self._refusal = refusal
        self._quota = quota

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        """One answer. Raises NotConnected, NoRight, Gone or PlatformDown."""
        url = self._url(path)
        if not same_origin(url, self._base_url):
            raise unreadable(f"{host_of(self._base_url)} names a page on another host or port.")
        token = self._token(renew=None)
        reply = self._once(url, params, token)
        refused = None if reply.ok else self._refusal(reply)
        if refused is None and reply.status == 401 and self._grant is not None:
            reply = self._once(url, params, self._token(renew=token))
            refused = None if reply.ok else self._refusal(reply)
        if not reply.ok:
            raise refused or _failure(reply)
        return reply

    def json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The parsed answer."""
        return parsed(self.get(path, params))

    def linked(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Each page of a list, by the `Link` header."""
        first = self._url(path)
        replies = linked(
            first, lambda url: self.get(url, params if url == first else None), unreadable
        )
        return (parsed(reply) for reply in replies)

    def addressed(
        self, path: str, params: Mapping[str, str] | None, following: Callable[[Any], Any]
    ) -> Iterator[Any]:
        """Each page of a list whose answers name the next page's address: `following` finds it."""
        first = self._url(path)

        def fetch(url: str) -> tuple[Any, Any]:
            answer = self.json(url, params if url == first else None)
            return answer, following(answer) if isinstance(answer, dict) else None

        return addressed(first, fetch, unreadable)

    def _url(self, path: str) -> str:
        return urljoin(f"{self._base_url}/", path)

    def _once(self, url: str, params: Mapping[str, str] | None, token: str) -> Reply:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if self._quota is not None:
            self._quota.ask()
        self._course.calls.made += 1
        try:
            reply = self._course.http.get(url, params=params, headers=headers)
        except HttpError as error:
            raise PlatformDown(error.message, code=error.code) from error
        if self._quota is not None:
            self._quota.note(reply)
        return reply

    def _token(self, renew: str | None) -> str:
        """The token in the connection, or a new one: fetched by one worker at a time, and stored in
        the same transaction, because a refresh token may work only once."""
        held = self._course.connection
        if self._grant is None or (held.get("token") and not held.get("refresh_token")):
            if not held.get("token"):
                raise NotConnected(
                    "The LMS's own interface is not connected; an admin can do that."
                )
            return held["token"]
        if is_fresh(held) and held[TOKEN] != renew:
            return held[TOKEN]
        grant = self._grant

        def change(values: Mapping[str, str]) -> Mapping[str, str]:
            if is_fresh(values) and values[TOKEN] not in {renew, held.get(TOKEN)}:
                return values  # another worker was faster
            return {**values, **grant(self._course.http, values)}

        fresh = self._course.update_connection(change)
        self._course.connection = fresh
        return fresh[TOKEN]


def unreadable(message: str) -> PlatformDown:
    """The error for a list that can't be read to its end."""
    return PlatformDown(message, code="unreadable_list")


def rows(answer: Any, name: str | None = None) -> list[dict[str, Any]]:
    """The objects of a list, or of the list under `name`. Raises PlatformDown."""
    found = answer
    if name is not None:
        found = answer.get(name) if isinstance(answer, dict) else None
    return [row for row in listed(found) if isinstance(row, dict)]


def listed(value: Any) -> list[Any]:
    """A list as it came. Raises PlatformDown: what can't be read never counts as “nobody”."""
    if not isinstance(value, list):
        raise PlatformDown("The LMS's answer can't be read: a list is missing.", code="unreadable")
    return value


def id_of(row: Mapping[str, Any], name: str = "id") -> str:
    """The id of something listed. Raises PlatformDown for one without."""
    found = as_text(row.get(name))
    if not found:
        raise PlatformDown("The LMS's answer can't be read: an id is missing.", code="unreadable")
    return found


def key_of(prefix: str, row: Mapping[str, Any], name: str = "id") -> str:
    """The key of something listed. A row without an id gets one that can't be stored: it is left
    out and named to the instructor, and stops no other."""
    return f"{prefix}{as_text(row.get(name)) or NO_ID}"


def number(value: object) -> Fraction | None:
    """The exact number, or None for what is none."""
    try:
        return None if value is None else exact(value)
    except ValueError:
        return None


def _failure(reply: Reply) -> NoRight | Gone | PlatformDown:
    host, status = host_of(reply.url), reply.status
    if status == 429 or (status == 403 and b"Rate Limit" in reply.body):
        return PlatformDown(
            f"{host} asks us to slow down.", retry_after=reply.retry_after, code="throttled"
        )
    if status == 401:
        return NoRight(f"{host} no longer takes the connection's credentials; connect it anew.")
    if status == 403:
        return NoRight(
            f"{host} refuses the connection this right (error 403); check its scopes and role."
        )
    if status in {404, 410}:
        return Gone(f"{host} no longer has this (error {status}).")
    return PlatformDown(f"{host} answered with the error {status}.", retry_after=reply.retry_after)
