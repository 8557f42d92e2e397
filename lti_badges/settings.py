"""Settings from the environment (prefix `LTI_BADGES_`) and a TOML file; the environment wins."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from lti_badges.core.errors import SettingsError
from lti_badges.core.links import LOOPBACK_HOSTS, web_origin

PREFIX = "LTI_BADGES_"
DEFAULT_CONFIG = Path("config/lti-badges.toml")
SECRET_PREFIX = "LTI_BADGES_SECRET_"  # noqa: S105 - `platforms connect --secret key` reads these


class Settings(BaseModel):
    """All settings, checked. Build with `Settings.load()`; raises SettingsError with one line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = "http://127.0.0.1:5000"
    database_url: str = "sqlite:///var/lti-badges.db"
    database_connections: int = Field(default=18, ge=2, le=1000)
    """At most so many connections of each process to PostgreSQL, whose own default limit is 100:
    one web process and four workers take 90."""
    queue_url: str = ""
    keys_dir: Path = Path("keys")
    secret_key: SecretStr = SecretStr("")
    frame_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    private_networks: tuple[str, ...] = ()
    metrics_token: SecretStr = SecretStr("")
    security_contact: str = ""
    sso_issuer: str = ""
    sso_client_id: str = ""
    sso_client_secret: SecretStr = SecretStr("")
    sso_label: str = "single sign-on"
    limits: int = 1
    json_logs: bool = False

    @field_validator("frame_origins", "trusted_proxies", "private_networks", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(filter(None, re.split(r"[\s,]+", given))) if isinstance(given, str) else given

    @field_validator("security_contact")
    @classmethod
    def _check_contact(cls, given: str) -> str:
        if given and not re.match(r"(mailto:\S+@\S+|https://\S+)$", given):
            raise ValueError("must be mailto:… or https://…")
        return given

    @field_validator("frame_origins")
    @classmethod
    def _check_frame_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for origin in given:
            if web_origin(origin) != origin:
                raise ValueError(
                    "must be origins like https://lms.example.edu, separated by commas"
                )
        return given

    @field_validator("trusted_proxies", "private_networks")
    @classmethod
    def _check_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for network in given:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(
                    "must be addresses or networks like 127.0.0.1 or 10.0.0.0/8, "
                    "separated by commas"
                ) from None
        return given

    @field_validator("sso_issuer")
    @classmethod
    def _check_sso_issuer(cls, given: str) -> str:
        return checked_url(given, "the provider's issuer address") if given else given

    @model_validator(mode="after")
    def _check_sso(self) -> Self:
        if bool(self.sso_issuer) is not bool(self.sso_client_id):
            raise ValueError("LTI_BADGES_SSO_ISSUER and LTI_BADGES_SSO_CLIENT_ID go together")
        return self

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        return checked_url(url.rstrip("/"), "the tool's own address")

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: str) -> str:
        scheme, _, rest = url.partition("://")
        if scheme in {"postgres", "postgresql", "postgresql+psycopg"} and rest:
            return f"postgresql+psycopg://{rest}"
        if scheme == "sqlite" and rest:
            return url
        raise ValueError(
            "must begin with sqlite:/// or postgresql:// "
            "(for example sqlite:///var/lti-badges.db or postgresql://user@host/name)"
        )

    @field_validator("queue_url")
    @classmethod
    def _check_queue_url(cls, url: str) -> str:
        if url and url.partition("://")[0] not in {"sqlite", "redis", "rediss", "unix"}:
            raise ValueError("must be empty, sqlite:///FILE or redis://HOST:PORT/N")
        return url

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the tool over TLS; only loopback may do without."""
        return self.base_url.startswith("https:")

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The private networks whose LMSes and badge servers may be called."""
        return tuple(ipaddress.ip_network(each, strict=False) for each in self.private_networks)

    def url(self, path: str) -> str:
        """The public address of `path`, which begins with a slash."""
        return f"{self.base_url}{path}"

    @classmethod
    def load(cls, environ: dict[str, str] | None = None, **overrides: Any) -> Self:
        """Read file and environment. Raises SettingsError naming each wrong setting and why."""
        environ = dict(os.environ) if environ is None else environ
        values = _from_file(environ) | _from_environment(environ) | overrides
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(_sentence(error)) from None


def checked_url(url: str, what: str) -> str:
    """The address, if it is https, or http on a loopback host. Raises ValueError that says so."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS:
        return url
    raise ValueError(f"{what} must be an https:// address (http:// is for loopback hosts only)")


def _from_file(environ: dict[str, str]) -> dict[str, Any]:
    named = environ.get(f"{PREFIX}CONFIG")
    path = Path(named) if named else DEFAULT_CONFIG
    if not path.exists():
        if named:
            raise SettingsError(f"The settings file {path} that {PREFIX}CONFIG names is not there.")
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"The settings file {path} can't be read: {error}.") from None


def _from_environment(environ: dict[str, str]) -> dict[str, Any]:
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and not _is_no_setting(name)
    }


def _is_no_setting(name: str) -> bool:
    secret_of_a_command = name.startswith(SECRET_PREFIX) and name != f"{PREFIX}SECRET_KEY"
    return secret_of_a_command or name == f"{PREFIX}CONFIG"


def _sentence(error: ValidationError) -> str:
    reasons = []
    for problem in error.errors():
        name = PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
        if problem["type"] == "extra_forbidden":
            reasons.append(f"{name} is not a setting of lti-badges")
        else:
            reasons.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(reasons) + "."
