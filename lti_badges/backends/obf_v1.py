"""Open Badge Factory, API version 1: for keys made before version 2, and levels below Pro.

Source: obf-moodle (2023-09), obf-wordpress, obc 2.1.0, the vendor's guide to version 1.
Quirks: lists are one JSON object a line; what was made is named by `Location` alone; an API key is
exchanged once, within ten minutes, for a TLS client certificate (495 and 496 when it no longer
counts), unless the account has an OAuth2 login of this version (403 when a token ended); a
`DELETE` without an id would mean every badge, so no such address is ever built.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.backends.api import BearerApi, JsonApi, ref_of, unreadable
from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.backends.obf import (
    CONSUMER,
    TOKEN_SPACING,
    email_of,
    listed,
    log_in,
    moment_of,
    segment,
)
from lti_badges.backends.obf_v1_certificate import ClientCertificate, explain
from lti_badges.backends.tokens import TokenStore
from lti_badges.core import clock
from lti_badges.core.errors import OutcomeUnknown, Refused, Unavailable
from lti_badges.core.http import Reply, host_of
from lti_badges.core.paging import by_offset
from lti_badges.core.text import as_list, read_json
from lti_badges.values.badge import AchievementRef, Issuance, Receipt
from lti_badges.values.settings import Setting

PAGE_SIZE = 1000
LINES = re.compile(r"\r?\n")  # `splitlines` would also cut at U+2028 and U+0085, inside texts
MADE_AT = re.compile(r"/v1/(?:badge|event)/\w+/(\w+)/?$")


class OBFv1(Backend):
    """One client (organisation) by its older API."""

    kind = "obf-v1"
    label = "Open Badge Factory (API version 1)"
    docs = "docs/backends/obf.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Server address", default="https://openbadgefactory.com"),
        Setting(
            "api_key",
            "API key",
            "From Admin tools → API key; it works for ten minutes: test the connection at once",
            secret=True,
            required=False,
        ),
        Setting("client_id", "OAuth2: client id, in place of a key", required=False),
        Setting("client_secret", "OAuth2: client secret", secret=True, required=False),
        Setting("send_email", "Mail the learner", default="yes", choices=("yes", "no")),
    )
    traits = Traits(takes_evidence=False, marks=True, sends_mail=True)
    earned_secrets = frozenset({"certificate", "private_key", "exchanged_key"})

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._base_url = config.settings["url"].rstrip("/")
        self.tokens = TokenStore(config, self._grant, spacing=TOKEN_SPACING)
        self._certificate = ClientCertificate(config, self._base_url, self.tokens)

    @cached_property
    def api(self) -> JsonApi:
        """By OAuth2 where there is a login; else by the certificate, which the key is exchanged for
        the first time it is used."""
        if self.config.settings.get("client_id"):
            gone = frozenset({401, 403})
            http = self.config.http
            return BearerApi(http, self._base_url, self.tokens, explain, expired=gone)
        certificate, private_key = self._certificate.pem()
        http = self.config.http.with_certificate(certificate, private_key)
        return JsonApi(http, self._base_url, "", explain)

    def check(self) -> str:
        """Asks for its own client id; a certificate's end is told."""
        client = self._client
        reply = self.api.request("GET", f"/v1/ping/{client}")
        if not reply.ok:
            raise self.api.refusal(reply)
        if client not in reply.text:
            raise Refused(f"{host_of(self._base_url)} is not Open Badge Factory.")
        return f"{host_of(self._base_url)} let us in as {client}{self._ends()}."

    def achievements(self) -> Iterator[AchievementRef]:
        """All badges that are no drafts."""
        for badge in self._lines(f"/v1/badge/{self._client}", {"draft": "0"}):
            yield listed(badge)

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """Creates a badge with the texts of the mail that the server sends."""
        if not draft.image:
            raise Refused("The server wants a picture (PNG) for each badge.")
        body = {
            "name": draft.name,
            "description": draft.description,
            "image": base64.b64encode(draft.image).decode(),
            "criteria_html": draft.criteria,
            "tags": [],
            "draft": 0,
            **MAIL,
        }
        reply = self.api.request("POST", f"/v1/badge/{self._client}", json_body=body)
        return AchievementRef("", self._made(reply), draft.name, draft.description, draft.criteria)

    def find(self, issuance: Issuance) -> Receipt | None:
        """By our award id in the events' `log_entry`."""
        for event in self._events(self._sent(issuance)):
            if issuance.award_id in json.dumps(event.get("log_entry")):
                return self._receipt(event, issuance)
        return None

    def issue(self, issuance: Issuance) -> Receipt:
        """One event for one award, so that it can be revoked by itself."""
        badge = segment(issuance.achievement.ref, "badge")
        path = f"/v1/badge/{self._client}/{badge}"
        order = self._order(issuance)
        reply = self.api.request("POST", path, json_body=order)
        if reply.status == 400 and "email_" in explain(reply):
            # No texts are stored with the badge, so the order must bring some.
            reply = self.api.request("POST", path, json_body=order | MAIL)
        event = self._made(reply)
        try:
            address = self._address(event, issuance)
        except (Unavailable, Refused):  # it is issued; its address can be read later
            address = None
        return Receipt(event, address, clock.now())

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """Per event and e-mail; the server keeps no reason. 410: it is gone already, and so is an
        event that the server does not know (404) while its list can be read without it."""
        event = segment(receipt_ref, "award")
        path = f"/v1/event/{self._client}/{event}/?email={quote(email_of(issuance), safe='')}"
        reply = self.api.request("DELETE", path)
        if reply.ok or reply.status == 410:
            return
        if reply.status == 404:
            listed = {str(each.get("id")) for each in self._events(self._sent(issuance))}
            if event not in listed:
                return
        raise self.api.refusal(reply)

    @property
    def _client(self) -> str:
        """The organisation's id: entered, or read from the certificate."""
        given = self.config.settings.get("client_id")
        if given:
            return segment(given, "client_id")
        return segment(self._certificate.organisation(), "client_id")

    def _sent(self, issuance: Issuance) -> dict[str, str]:
        """The filter for events of this badge and address since the award."""
        return {
            "api_consumer_id": CONSUMER,
            "badge_id": issuance.achievement.ref,
            "email": email_of(issuance),
            "begin": str(int(issuance.achieved_at.timestamp()) - 1),
        }

    def _order(self, issuance: Issuance) -> dict[str, Any]:
        email, name = email_of(issuance), issuance.recipient.name
        named = f"{re.sub('[<>]', '', name)} <{email}>" if name else email
        order: dict[str, Any] = {
            "recipient": [named],
            "issued_on": int(issuance.achieved_at.timestamp()),
            "badge_override": {"criteria_add": f"{issuance.explanation} {issuance.url}"},
            "log_entry": {"award_id": issuance.award_id, "course": issuance.course_title or ""},
            "api_consumer_id": CONSUMER,
            "send_email": int(self.config.settings.get("send_email") != "no"),
            "show_report": 0,
        }
        if issuance.expires_at:
            order["expires"] = int(issuance.expires_at.timestamp())
        return order

    def _receipt(self, event: Mapping[str, Any], issuance: Issuance) -> Receipt:
        ref, email = segment(ref_of(event), "event"), email_of(issuance)
        answer = self.api.json("GET", f"/v1/event/{self._client}/{ref}/revoked")
        gone = answer.get("revoked") if isinstance(answer, dict) else None
        # An object by address, or a list of addresses.
        addresses = gone if isinstance(gone, dict) else as_list(gone)
        revoked = any(str(address).lower() == email for address in addresses)
        issued = moment_of(event.get("issued_on"))
        return Receipt(ref, self._address(ref, issuance), issued, revoked=revoked)

    def _address(self, event: str, issuance: Issuance) -> str | None:
        """Where the assertion is public; answered by 410 once it is revoked."""
        path = f"/v1/event/{self._client}/{event}/assertion"
        for row in self._lines(path, {"email": email_of(issuance)}):
            return str(row["json"]) if row.get("json") else None
        return None

    def _events(self, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        def fetch(offset: int) -> list[dict[str, Any]]:
            query = {**params, "limit": str(PAGE_SIZE), "offset": str(offset)}
            return list(self._lines(f"/v1/event/{self._client}", query))

        return by_offset(PAGE_SIZE, fetch, unreadable)

    def _lines(self, path: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """A list is one object a line, ended by LF or CRLF; the last may be empty."""
        reply = self.api.request("GET", path, params=params)
        if not reply.ok:
            raise self.api.refusal(reply)
        for line in LINES.split(reply.text):
            if not line.strip():
                continue
            try:
                row = read_json(line.encode())
            except ValueError:
                row = None
            if not isinstance(row, dict) or not row.get("id"):
                raise Unavailable(f"{host_of(self._base_url)} sent a list that can't be read.")
            yield row

    def _made(self, reply: Reply) -> str:
        """What a 201 names in `Location`."""
        if not reply.ok:
            raise self.api.refusal(reply)
        found = MADE_AT.search(reply.headers.get("location", ""))
        if reply.status != 201 or not found:
            raise OutcomeUnknown("The server's answer names nothing that it made.")
        return found[1]

    def _ends(self) -> str:
        if self.config.settings.get("client_id"):
            return ""
        return f"; the certificate ends on {self._certificate.end()}"

    def _grant(self, held: Mapping[str, str]) -> Any:
        return log_in(self.config, f"{self._base_url}/v1/client/oauth2/token", held)


MAIL = {
    "email_subject": "You have earned a badge",
    "email_body": "You have earned a badge. It is waiting for you.",
    "email_link_text": "Get your badge",
    "email_footer": "",
}
"""The server's mail to the learner: each badge made here carries one; a badge's own goes first."""
