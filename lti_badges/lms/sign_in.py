"""OAuth 2 authorization code at an LMS's own API: an instructor lets the tool read as them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from lti_badges.core.http import Http
from lti_badges.core.oauth import consent_url
from lti_badges.lms.oauth import token_request


@dataclass(frozen=True, slots=True)
class SignIn:
    """How one LMS does it. `client` names the settings of the application's id and secret,
    `account` those by which the admin's own account reads everything instead; addresses without a
    host are the institution's. `basic`: the secret travels in the header, not in the form;
    `token_setting` names a setting that may hold another token address."""

    authorize: str
    token: str
    scopes: str
    client: tuple[str, str]
    account: tuple[str, ...]
    basic: bool = False
    token_setting: str = ""

    def is_wanted(self, connection: Mapping[str, str]) -> bool:
        """Whether an application is there, and no account of the admin's."""
        has_application = all(connection.get(name) for name in ("url", *self.client))
        return has_application and not any(connection.get(name) for name in self.account)

    def url(self, connection: Mapping[str, str], redirect_uri: str, state: str) -> str:
        """The address of the LMS's consent page, which sends people back to `redirect_uri`."""
        return consent_url(
            _at(connection, self.authorize),
            client_id=connection[self.client[0]],
            redirect_uri=redirect_uri,
            scope=connection.get("scopes") or self.scopes,
            state=state,
        )

    def exchanged(
        self, http: Http, connection: Mapping[str, str], code: str, redirect_uri: str
    ) -> Mapping[str, str]:
        """Tokens for the code, to be kept with the course. Raises NoRight and PlatformDown."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
        }
        client = (connection.get(self.client[0], ""), connection.get(self.client[1], ""))
        if not self.basic:
            form |= {"client_id": client[0], "client_secret": client[1]}
        basic = client if self.basic else None
        answer = token_request(
            http,
            _at(connection, connection.get(self.token_setting) or self.token),
            form,
            basic=basic,
        )
        return {**answer, "redirect_uri": redirect_uri}


def _at(connection: Mapping[str, str], address: str) -> str:
    return urljoin(f"{connection.get('url', '').rstrip('/')}/", address)
