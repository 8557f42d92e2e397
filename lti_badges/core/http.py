"""The HTTP client: every outbound call, with limits on time, size, address and redirect.

No other module imports httpx. A call either returns a `Reply` of any status, or raises
`NotSent` (nothing arrived: safe to repeat) or `ReplyLost` (it may have been carried out).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

from lti_badges.core import clock
from lti_badges.core.errors import HttpError, NotSent, ReplyLost
from lti_badges.core.links import LOOPBACK_HOSTS, is_loopback_host
from lti_badges.core.network import CheckedBackend, Network, until
from lti_badges.core.text import read_json

USER_AGENT = "lti-badges/1 (LTI 1.3 tool; +https://pypi.org/project/lti-badges/)"
CONNECT_S = 5.0
READ_S = 20.0
TOTAL_S = 30.0
MAX_BYTES = 5_000_000
MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status. `headers` look names up in any case; `url` is the final address."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as UTF-8, unreadable bytes replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON whatever its media type. Raises ReplyLost when it is not JSON."""
        try:
            return read_json(self.body)
        except ValueError:
            raise ReplyLost(
                f"{host_of(self.url)} answered {self.status} with something that is not JSON.",
                code="not_json",
            ) from None

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait by `Retry-After` (seconds or HTTP date, RFC 9110 §10.2.3), or None."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return min(float(value), 86_400.0)
        until = _http_date(value)
        if until is None:
            return None
        return min(max(0.0, (until - clock.now()).total_seconds()), 86_400.0)

    @property
    def ahead_s(self) -> float | None:
        """How many seconds the server's clock is ahead of ours, by `Date` (RFC 9110 §6.6.1)."""
        dates = self.headers.get_list("date")  # a server before the application may add its own
        told = _http_date(dates[-1]) if dates else None
        return None if told is None else (told - clock.now()).total_seconds()


def _http_date(value: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(value)
    except ValueError:
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


class Http:
    """A client shared by all threads of a process. `allow_loopback` is for a tool that itself
    runs on loopback (development, demo, tests): otherwise the tool never calls its own host."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        total_s: float = TOTAL_S,
        read_s: float = READ_S,
        certificate: tuple[str, str] | None = None,
        networks: Sequence[Network] = (),
    ) -> None:
        self._allow_loopback = allow_loopback
        self._total_s = total_s
        self._read_s = read_s
        self._known_by: dict[tuple[str, str], Http] = {}
        context = ssl.create_default_context()
        if certificate:
            _load(context, *certificate)
        self._networks = networks
        self._client = self._opened(context, networks)
        self._public = self._opened(context, ())

    def _opened(self, context: ssl.SSLContext, networks: Sequence[Network]) -> httpx.Client:
        limits = httpx.Limits(max_connections=64, keepalive_expiry=4.0)
        transport = httpx.HTTPTransport(verify=context, limits=limits)
        backend = CheckedBackend(loopback=self._allow_loopback, networks=networks)
        transport._pool._network_backend = backend  # noqa: SLF001
        return httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(self._read_s, connect=CONNECT_S),
            follow_redirects=False,
            headers={"User-Agent": USER_AGENT},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        for each in self._known_by.values():
            each.close()
        self._client.close()
        self._public.close()

    def with_certificate(self, certificate: str, private_key: str) -> Http:
        """A client of the same limits that shows a TLS client certificate (PEM texts)."""
        shown = (certificate, private_key)
        if shown not in self._known_by:
            self._known_by[shown] = Http(
                allow_loopback=self._allow_loopback,
                total_s=self._total_s,
                read_s=self._read_s,
                certificate=shown,
                networks=self._networks,
            )
        return self._known_by[shown]

    def get(self, url: str, **options: Any) -> Reply:
        """`request("GET", …)`, repeated once when nothing was sent."""
        try:
            return self.request("GET", url, **options)
        except NotSent as error:
            if error.code == "address":
                raise
            return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Reply:
        """`request("POST", …)`: never repeated, never redirected."""
        return self.request("POST", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json_body: Any = None,
        content: bytes | None = None,
        public_only: bool = False,
        max_bytes: int = MAX_BYTES,
        total_s: float | None = None,
    ) -> Reply:
        """One call, with GET redirects followed to addresses that pass the same checks.

        A call with `Authorization` is never led to another host: the redirect itself is the answer
        then, for the caller to refuse. `public_only` refuses private networks also where the admin
        let them be called. The address that was checked is the address connected.
        `total_s` shortens the whole call.
        """
        deadline = time.monotonic() + min(self._total_s, total_s or self._total_s)
        given = dict(headers or {})
        for _ in range(MAX_REDIRECTS + 1):
            reply = self._once(
                method,
                url,
                given,
                params,
                form,
                json_body,
                content,
                public_only,
                max_bytes,
                deadline,
            )
            target = reply.headers.get("location")
            if method != "GET" or reply.status not in _REDIRECTS or not target:
                return reply
            try:
                following = urljoin(url, target)
                leads_away = _origin(following) != _origin(url)
            except ValueError:
                raise NotSent(
                    f"{host_of(url)} leads to no usable address.", code="address"
                ) from None
            if leads_away and "authorization" in map(str.lower, given):
                return reply
            url, params = following, None
        raise NotSent(f"{host_of(url)} redirects in circles.", code="redirects")

    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        params: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
        json_body: Any,
        content: bytes | None,
        public_only: bool,
        max_bytes: int,
        deadline: float,
    ) -> Reply:
        host = host_of(url)
        client = self._public if public_only else self._client
        try:
            if params:  # beside the address's own query, not in its place
                url = str(httpx.URL(url).copy_merge_params(params))
            self._check(url)
            with (
                until(deadline),
                client.stream(
                    method, url, headers=headers, data=form, json=json_body, content=content
                ) as answer,
            ):
                body = _read(answer, max_bytes, deadline, host)
                return Reply(answer.status_code, answer.headers, body, url)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSent(f"{host} can't be reached ({_cause(error)}).") from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise NotSent(f"{url[:200]} is not an address that can be called.") from error
        except UnicodeError as error:  # an id in the address, or a token, that a server made up
            raise NotSent(
                f"{host} gave something that can't be sent back to it.", code="address"
            ) from error
        except httpx.TimeoutException as error:
            raise ReplyLost(f"{host} did not answer in time.", code="timeout") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise ReplyLost(f"{host} broke off its answer ({_cause(error)}).") from error

    def _check(self, url: str) -> None:
        """Raises NotSent for an address that is not called, whatever its name leads to."""
        try:
            parts = urlsplit(url)
            host = parts.hostname
            _ = parts.port
        except ValueError:
            raise NotSent("That is not a usable address.", code="address") from None
        if not host or parts.scheme not in {"http", "https"}:
            raise NotSent("Only https:// addresses can be called.", code="address")
        if is_loopback_host(host) and not self._allow_loopback:
            raise NotSent(f"{host} is this machine itself.", code="address")
        if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
            raise NotSent(f"{host} must be called by https://.", code="address")


def _load(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """The ssl module reads client certificates from files only: one that only we can read, gone
    as soon as it is read."""
    with NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{private_key}")
        file.flush()
        context.load_cert_chain(file.name)


def host_of(url: str) -> str:
    """The host name for messages: never the whole address, which may hold secrets."""
    try:
        return urlsplit(url).hostname or "the server"
    except ValueError:
        return "the server"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _read(answer: httpx.Response, max_bytes: int, deadline: float, host: str) -> bytes:
    chunks, size = [], 0
    for chunk in answer.iter_bytes():
        size += len(chunk)
        if size > max_bytes:
            raise ReplyLost(f"{host} sent more than {max_bytes // 1000} kB.", code="too_large")
        if time.monotonic() > deadline:
            raise ReplyLost(f"{host} did not finish its answer in time.", code="timeout")
        chunks.append(chunk)
    return b"".join(chunks)


def _cause(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:120]


__all__ = ["Http", "HttpError", "Reply", "host_of"]
