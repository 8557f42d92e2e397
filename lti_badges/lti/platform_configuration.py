"""What a platform says of itself: its OpenID configuration, read and checked (LTI-DR §3.5).

The address comes from outside, so it is read with care: https, public hosts only (unless the tool
itself runs on loopback), limits on time and size, and the issuer must own the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lti_badges.core.errors import HttpError, LaunchError
from lti_badges.core.http import Http, host_of
from lti_badges.lti.offers import names, placements
from lti_badges.settings import checked_url

PLATFORM_CONFIGURATION = "https://purl.imsglobal.org/spec/lti-platform-configuration"
MAX_BYTES = 300_000


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a platform says of itself. `family` names the product, `scopes` what it offers."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    registration_endpoint: str
    family: str
    scopes: frozenset[str]
    audience: str | None = None
    account: str | None = None
    variables: frozenset[str] = frozenset()
    """The custom parameter variables that it fills in, without their `$`; empty when it names
    none."""
    placements: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)
    """By message type, where it offers that message (empty: it names no places); no types at all
    when it does not say which messages it knows. LTI-DR §3.5.1."""


def read_configuration(
    http: Http, url: str, token: str | None, *, public_only: bool
) -> Configuration:
    """The platform's openid-configuration. Raises LaunchError saying what is wrong with it."""
    _checked(url, "openid_configuration")
    try:
        reply = http.get(
            url, headers=request_headers(token), public_only=public_only, max_bytes=MAX_BYTES
        )
        found = reply.json() if reply.ok else None
    except HttpError as error:
        raise unusable(f"{error.message}") from error
    if not isinstance(found, dict):
        raise unusable(f"{host_of(url)} answered {reply.status} without a configuration.")
    platform = found.get(PLATFORM_CONFIGURATION)
    platform = platform if isinstance(platform, dict) else {}
    scopes = found.get("scopes_supported")
    account = next((v for k, v in platform.items() if k.endswith("/account_name")), None)
    return Configuration(
        issuer=_text(found, "issuer"),
        authorization_endpoint=_checked(
            _text(found, "authorization_endpoint"), "authorization_endpoint"
        ),
        token_endpoint=_checked(_text(found, "token_endpoint"), "token_endpoint"),
        jwks_uri=_checked(_text(found, "jwks_uri"), "jwks_uri"),
        registration_endpoint=_checked(
            _text(found, "registration_endpoint"), "registration_endpoint"
        ),
        family=str(platform.get("product_family_code", "")).lower(),
        scopes=frozenset(scopes) if isinstance(scopes, list) else frozenset(),
        audience=_audience(found.get("authorization_server")),
        account=account if isinstance(account, str) else None,
        variables=frozenset(name.lstrip("$") for name in names(platform.get("variables"))),
        placements=placements(platform.get("messages_supported")),
    )


def check_owner(
    configuration: Configuration,
    url: str,
    shared_issuers: Sequence[str],
    endpoint_hosts: Sequence[str],
) -> None:
    """The issuer must be on the host that published the configuration (LTI-DR §3.5). An issuer that
    a vendor shares among its customers may be on any of their hosts, but what decides whom we
    believe, and where tokens are asked for, must be on the vendor's own (`endpoint_hosts`; a
    leading dot stands for all hosts below). Raises LaunchError."""
    issuer = configuration.issuer.rstrip("/")
    if issuer in shared_issuers:
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            endpoint = getattr(configuration, name)
            if not is_at(endpoint, endpoint_hosts):
                raise unusable(
                    f"{host_of(url)} names {host_of(endpoint)} for {issuer}, which is not one of "
                    "that LMS's own hosts. An LMS of your own needs an issuer of its own, or an "
                    "admin registers it by hand."
                )
    elif urlsplit(issuer).hostname != urlsplit(url).hostname:
        raise unusable(
            f"{host_of(url)} speaks for another platform, {issuer[:200]}; that is not allowed."
        )
    if host_of(configuration.registration_endpoint) != host_of(url):
        raise unusable(f"{host_of(url)} sends the registration to another host.")


def is_at(url: str, hosts: Sequence[str]) -> bool:
    """Whether an address lies at one of the hosts; a leading dot stands for all hosts below."""
    host = (urlsplit(url).hostname or "").lower()
    return any(host.endswith(each) if each.startswith(".") else host == each for each in hosts)


def request_headers(token: str | None) -> dict[str, str]:
    """Those of each request to the platform, with the registration token if it gave one."""
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def unusable(reason: str) -> LaunchError:
    """The error for a platform that can't be registered as it answers."""
    return LaunchError(
        f"The registration did not work, and nothing was stored. {reason}", code="registration"
    )


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value or len(value) > 2000:
        raise unusable(f"Its configuration lacks “{name}”.")
    return value


def _audience(server: Any) -> str | None:
    """An absolute address; a bare host, as one vendor publishes, is none."""
    return server if isinstance(server, str) and "://" in server and len(server) < 2000 else None


def _checked(url: str, name: str) -> str:
    try:
        return checked_url(url, f"“{name}”")
    except ValueError as error:
        raise unusable(f"{error}.") from None
