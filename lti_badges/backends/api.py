"""A JSON API behind a bearer token, with every failure told in the BackendError family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from lti_badges.backends.tokens import TokenStore
from lti_badges.core.errors import (
    NotSent,
    OutcomeUnknown,
    Refused,
    ReplyLost,
    Unauthorized,
    Unavailable,
)
from lti_badges.core.http import Http, Reply, host_of
from lti_badges.core.links import same_origin
from lti_badges.core.oauth import Grant, TokenRefused, TokenUnavailable, request_token
from lti_badges.core.paging import linked
from lti_badges.core.text import OddText, identifier

MOST_WAIT_S = 86_400.0
MAX_REF = 500
ABOUT_THE_AWARD = frozenset({400, 409, 411, 412, 413, 414, 415, 422})
"""Refusals of this request itself, for a person to correct. All others (a lost right, a collection
that is not found, a certificate that ended, payment) are about the backend, and may pass."""
Explain = Callable[[Reply], str]
"""Finds the server's own words for a refusal in its answer; empty when there are none."""


def call(http: Http, method: str, url: str, *, writes: bool, **options: Any) -> Reply:
    """One call. Raises Unavailable when nothing can have been stored, OutcomeUnknown when a
    write may have been; 4xx answers are returned for the vendor to judge, save 408/425/429.

    A redirect is the backend's trouble, not the award's: servers lead to a maintenance page by 302
    (badgr-server does), and go on by themselves."""
    try:
        reply = http.request(method, url, **options)
    except NotSent as error:
        raise Unavailable(error.message, code=error.code) from error
    except ReplyLost as error:
        raise lost(error.message, writes=writes) from error
    if reply.status == 429:
        raise Unavailable(
            f"{host_of(url)} asks us to slow down.", retry_after=asked_wait(reply), code="throttled"
        )
    if reply.status >= 500 or reply.status in {408, 425}:
        message = f"{host_of(url)} answered with the error {reply.status}."
        if reply.status == 503 and reply.retry_after is not None:
            raise Unavailable(message, retry_after=reply.retry_after)
        raise lost(message, writes=writes)
    if reply.status == 303:
        raise lost(f"{host_of(url)} answers by leading elsewhere.", writes=writes)
    if 300 <= reply.status < 400:
        raise Unavailable(
            f"{host_of(url)} leads to another address: it may be under maintenance. If this goes "
            "on, check the backend's address.",
            code="redirected",
        )
    return reply


def asked_wait(reply: Reply) -> float | None:
    """Seconds that a throttling server wants us to wait: by `Retry-After`, else by the time its
    rate limit begins anew."""
    if reply.retry_after is not None:
        return reply.retry_after
    reset = reply.headers.get("ratelimit-reset", "").strip()
    return min(float(reset), MOST_WAIT_S) if reset.isascii() and reset.isdigit() else None


def is_api_answer(reply: Reply) -> bool:
    """Whether the API itself speaks: a web page or an empty body may come from a server before it
    that is in trouble, and says nothing about the award."""
    try:
        return isinstance(reply.json(), dict)
    except ReplyLost:
        return False


def lost(message: str, *, writes: bool) -> OutcomeUnknown | Unavailable:
    """The error for an answer that did not come or can't be read."""
    return OutcomeUnknown(message) if writes else Unavailable(message)


def unreadable(message: str) -> Unavailable:
    """The error for a list that can't be read to its end: never taken for a whole one."""
    return Unavailable(message, code="unreadable_list")


def parsed(reply: Reply, *, writes: bool) -> Any:
    """The JSON of a 2xx answer; a web page in its place is named for what it is."""
    try:
        return reply.json()
    except ReplyLost:
        message = (
            f"{host_of(reply.url)} answered with something that is not JSON; "
            "check the backend's address."
        )
        raise lost(message, writes=writes) from None


def ref_of(row: Mapping[str, Any], name: str = "id") -> str:
    """The backend's own id of something it names. Raises Unavailable for one without, or with one
    that can't be kept."""
    try:
        return identifier(row.get(name), MAX_REF)
    except OddText:
        raise unreadable(f"The backend names something without a usable id (“{name}”).") from None


def made_there(row: Any, name: str = "id") -> dict[str, Any]:
    """What a write has made, as its answer tells it, with a usable id under `name`. Raises
    OutcomeUnknown where it tells nothing of the sort."""
    found: dict[str, Any] = row if isinstance(row, dict) else {}
    try:
        ref_of(found, name)
    except Unavailable:
        raise OutcomeUnknown("The server's answer names nothing that it made.") from None
    return found


def said(reply: Reply, *names: str) -> str:
    """The first of these members of the answer that says something; empty when none does."""
    try:
        answer = reply.json()
    except ReplyLost:
        return ""
    found = (answer.get(name) for name in names) if isinstance(answer, dict) else ()
    return next((str(each)[:500] for each in found if each), "")


def token(
    http: Http,
    url: str,
    form: Mapping[str, str],
    *,
    refused: str,
    basic: tuple[str, str] | None = None,
) -> Grant:
    """A backend's token. Raises Unauthorized with the server's words and the sentence `refused`,
    which says what to do, and Unavailable."""
    try:
        return request_token(http, url, form, basic=basic)
    except TokenRefused as error:
        raise Unauthorized(f"{error.message} {refused}") from error
    except TokenUnavailable as error:
        raise Unavailable(error.message, retry_after=error.retry_after, code=error.code) from error


class JsonApi:
    """Calls with a fixed `Authorization` header, or none where a TLS certificate says who we are;
    `refused` are the statuses by which this vendor refuses our login."""

    def __init__(
        self,
        http: Http,
        base_url: str,
        authorization: str,
        explain: Explain,
        *,
        refused: frozenset[int] = frozenset({401}),
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._authorization = authorization
        self._explain = explain
        self._refused = refused
        self.stops: Callable[[Any], None] = lambda _answer: None
        """Looks at each refused answer and raises Refused for a cause only a person can correct."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json_body: Any = None,
        writes: bool | None = None,
    ) -> Reply:
        """Any answer below 500 but 408, 425, 429 and 3xx. Raises Unauthorized when the server
        refuses our login. `path` may be a whole address of the same host (next-page links)."""
        writes = method != "GET" if writes is None else writes
        reply = self._send(method, path, self._authorization, params, json_body, writes=writes)
        if reply.status in self._refused:
            raise self._unauthorized(reply)
        return reply

    def url(self, path: str) -> str:
        """The whole address of a path; an address stays what it is."""
        return path if path.startswith(("http:", "https:")) else f"{self._base_url}{path}"

    def listed(self, path: str, params: Mapping[str, str]) -> Iterator[Any]:
        """The parsed answer of each page of a list, by its `Link` header. Raises Refused with the
        server's words, Unavailable for a list that can't be read to its end."""
        first = self.url(path)

        def fetch(url: str) -> Reply:
            reply = self.request("GET", url, params=params if url == first else None)
            if not reply.ok:
                raise self.refusal(reply)
            return reply

        replies = linked(first, fetch, unreadable)
        return (parsed(reply, writes=False) for reply in replies)

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The parsed answer of a call that must succeed. Raises Refused with the server's words."""
        reply = self.request(method, path, **options)
        if not reply.ok:
            raise self.refusal(reply)
        return parsed(reply, writes=method != "GET")

    def refusal(self, reply: Reply) -> Refused | Unavailable:
        """The server's no, in its own words where it gave some: Refused for what it says about this
        award, Unavailable for trouble of the backend itself."""
        with suppress(ReplyLost):
            self.stops(reply.json())
        said = self._explain(reply) or f"error {reply.status}"
        code, host = f"http_{reply.status}", host_of(self._base_url)
        if reply.status in ABOUT_THE_AWARD and is_api_answer(reply):
            return Refused(f"{host} refused: {said}.", code=code)
        return Unavailable(
            f"{host} does not do its work now: {said}. It is tried again by itself; if this goes "
            "on, check there whether the badge still exists and the login still has its rights.",
            code=code,
        )

    def _unauthorized(self, reply: Reply) -> Unauthorized:
        said = self._explain(reply)
        return Unauthorized(
            f"{host_of(self._base_url)} refuses our login"
            f"{f' (“{said}”)' if said else ''}. Check the connection's credentials and rights."
        )

    def _send(
        self,
        method: str,
        path: str,
        authorization: str,
        params: Mapping[str, str] | None,
        json_body: Any,
        *,
        writes: bool,
    ) -> Reply:
        url = self.url(path)
        if not same_origin(url, self._base_url):
            raise Refused("The server names a page on another host; our token does not go there.")
        headers = {"Accept": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        return call(
            self._http,
            method,
            url,
            writes=writes,
            headers=headers,
            params=params,
            json_body=json_body,
        )


class BearerApi(JsonApi):
    """Calls with the backend's token; renews it once when refused. `expired` are the statuses by
    which this vendor says that a token no longer counts. 403 among them means one resource's right
    as well: a token that was fetched just now is not fetched again for it."""

    def __init__(
        self,
        http: Http,
        base_url: str,
        tokens: TokenStore,
        explain: Explain,
        *,
        expired: frozenset[int] = frozenset({401}),
    ) -> None:
        super().__init__(http, base_url, "", explain, refused=expired)
        self._tokens = tokens

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json_body: Any = None,
        writes: bool | None = None,
    ) -> Reply:
        """As for a fixed header. Raises Unauthorized when a fresh token is refused too, Unavailable
        when that is by 403: then the login counts, and this resource may not be used."""
        writes = method != "GET" if writes is None else writes
        token = self._tokens.token()
        reply = self._send(method, path, f"Bearer {token}", params, json_body, writes=writes)
        if reply.status in self._refused and not (
            reply.status == 403 and self._tokens.is_new(token)
        ):
            token = self._tokens.renewed(instead_of=token)
            reply = self._send(method, path, f"Bearer {token}", params, json_body, writes=writes)
        if reply.status in self._refused and reply.status == 403:
            raise self.refusal(reply)
        if reply.status in self._refused:
            raise self._unauthorized(reply)
        return reply
