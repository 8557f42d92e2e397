"""Calls to a platform's LTI services: bearer tokens, exact media types, paging to the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lti_badges.core.errors import Gone, HttpError, NoRight, PlatformDown
from lti_badges.core.http import Http, Reply, host_of
from lti_badges.core.links import with_query
from lti_badges.core.paging import linked
from lti_badges.lti.tokens import PlatformEndpoint, ServiceTokens

__all__ = ["PlatformEndpoint", "Service", "limited"]


class Service:
    """One platform's services, called as this tool."""

    def __init__(self, http: Http, tokens: ServiceTokens, endpoint: PlatformEndpoint) -> None:
        self._http = http
        self._tokens = tokens
        self.endpoint = endpoint

    def assertion(self, client_id: str, audience: str) -> str:
        """Proves who we are to another server that knows our key set."""
        return self._tokens.assertion(client_id, audience)

    def pages(self, url: str, *, accept: str, scope: str) -> Iterator[Any]:
        """The parsed JSON of each page, following `rel="next"` to the end; one page in memory.

        Raises NoRight, Gone or PlatformDown, that also for a next page elsewhere or a list without
        end.
        """

        def fetch(address: str) -> Reply:
            return self.send("GET", address, accept=accept, scope=scope)

        return (_json(reply) for reply in linked(url, fetch, _unreadable))

    def send(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        accept: str | None = None,
        body: Any = None,
        content: bytes | None = None,
        content_type: str | None = None,
        allow: frozenset[int] = frozenset(),
    ) -> Reply:
        """One call; a 401 renews the token once. Statuses in `allow` are returned, other failures
        raise NoRight, Gone or PlatformDown."""
        scopes = frozenset({scope})
        token = self._tokens.get(self.endpoint, scopes)
        headers = _headers(accept, content_type)
        reply = self._once(method, url, token, headers, body, content)
        if reply.status == 401:
            self._tokens.forget(self.endpoint, scopes, token)
            token = self._tokens.get(self.endpoint, scopes)
            reply = self._once(method, url, token, headers, body, content)
        if not reply.ok and reply.status not in allow:
            raise _failure(reply)
        return reply

    def _once(
        self,
        method: str,
        url: str,
        token: str,
        headers: Mapping[str, str],
        body: Any,
        content: bytes | None,
    ) -> Reply:
        call = self._http.get if method == "GET" else None
        try:
            options: dict[str, Any] = {
                "headers": {**headers, "Authorization": f"Bearer {token}"},
                "json_body": body,
                "content": content,
            }
            return call(url, **options) if call else self._http.request(method, url, **options)
        except HttpError as error:
            raise PlatformDown(error.message, code=error.code) from error


def _headers(accept: str | None, content_type: str | None) -> dict[str, str]:
    headers = {}
    if accept:
        headers["Accept"] = accept
    if content_type:
        headers["Content-Type"] = content_type
    return headers


def _unreadable(message: str) -> PlatformDown:
    return PlatformDown(message, code="unreadable_list")


def _json(reply: Reply) -> Any:
    try:
        return reply.json()
    except HttpError as error:
        raise PlatformDown(error.message, code="unreadable") from error


def _failure(reply: Reply) -> NoRight | Gone | PlatformDown:
    host, status = host_of(reply.url), reply.status
    throttled = status == 429 or (status == 403 and b"Rate Limit" in reply.body)
    if throttled:
        return PlatformDown(
            f"{host} asks us to slow down.", retry_after=reply.retry_after, code="throttled"
        )
    if status in {404, 410}:
        return Gone(f"{host} no longer has this (error {status}).")
    if status in {401, 403, 412}:
        return NoRight(
            f"{host} refuses the tool this right (error {status}); check the services that its "
            "registration allows."
        )
    if status >= 500:
        return PlatformDown(
            f"{host} answered with the error {status}.", retry_after=reply.retry_after
        )
    return PlatformDown(f"{host} did not take our request (error {status}).", code=f"http_{status}")


def limited(url: str, limit: int | None) -> str:
    """Asks for so many rows a page, unless the address does so itself."""
    asks = "limit" in dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return url if limit is None or asks else with_query(url, limit=str(limit))
