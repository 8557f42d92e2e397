"""Open Badge Factory, API version 2 (OAuth2).

Source: moodle-local_obf 2.0.0 (its client and recorded answers), openbadgefactory.com/obf-api-v2.
Quirks: one new token in ten seconds at most; a token that no longer counts is 403, there is no
401; each issue makes an event and mails the learner, duplicates are never refused, so our award
id is planted in `log_entry` and looked up there before any resend.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from lti_badges.backends.api import BearerApi, made_there, parsed, ref_of, said, token, unreadable
from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.backends.tokens import TokenStore
from lti_badges.core import clock
from lti_badges.core.errors import (
    NeedsRecipient,
    Refused,
    Unavailable,
)
from lti_badges.core.http import Reply, host_of
from lti_badges.core.oauth import Grant
from lti_badges.core.paging import by_offset
from lti_badges.core.text import as_text
from lti_badges.values.badge import AchievementRef, Issuance, Receipt
from lti_badges.values.settings import Setting

CONSUMER = "lti-badges"
PAGE_SIZE = 200
TOKEN_SPACING = timedelta(seconds=10)
MOST_DIGITS = 12
EMAIL = re.compile(r"^[^@<]{1,64}@[^@>]{1,255}$")
ID = re.compile(r"^\w+$")


class OBF(Backend):
    """One client (organisation) of Open Badge Factory, Pro level."""

    kind = "obf"
    label = "Open Badge Factory"
    docs = "docs/backends/obf.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Server address", default="https://openbadgefactory.com"),
        Setting("client_id", "Client id", "From Admin tools → API key, OAuth2"),
        Setting("client_secret", "Client secret", secret=True),
        Setting("send_email", "Mail the learner", default="yes", choices=("yes", "no")),
    )
    traits = Traits(needs_name=True, takes_evidence=False, marks=True, sends_mail=True)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._base_url = config.settings["url"].rstrip("/")
        self._client = segment(config.settings["client_id"], "client_id")
        self.tokens = TokenStore(config, self._grant, spacing=TOKEN_SPACING)
        self.api = BearerApi(
            config.http, self._base_url, self.tokens, explain, expired=frozenset({401, 403})
        )

    def check(self) -> str:
        """Reads the organisation."""
        client = self.api.json("GET", f"/v2/client/{self._client}")
        name = client.get("name", self._client) if isinstance(client, dict) else self._client
        left = client.get("issuing_limit") if isinstance(client, dict) else None
        limit = f"; {left} badges can still be issued" if isinstance(left, int) else ""
        return f"{host_of(self._base_url)} let us in as {name}{limit}."

    def achievements(self) -> Iterator[AchievementRef]:
        """All badges that are no drafts."""
        params = {"draft": "false", "external": "false"}
        for badge in self._pages(f"/v2/badge/{self._client}", params):
            yield listed(badge)

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """Creates a badge with its texts in one language; the server wants a picture."""
        if not draft.image:
            raise Refused("The server wants a picture (PNG or SVG) for each badge.")
        media_type = draft.image_type or "image/png"
        content = {
            "language": "en",
            "name": draft.name,
            "description": draft.description,
            "criteria": draft.criteria,
            "tag": [],
        }
        body = {
            "primary_language": "en",
            "image": f"data:{media_type};base64,{base64.b64encode(draft.image).decode()}",
            "content": [content],
            "category": [],
            "draft": False,
        }
        made = self.api.json("POST", f"/v2/badge/{self._client}", json_body=body)
        return AchievementRef("", _made(made), draft.name, draft.description, draft.criteria)

    def find(self, issuance: Issuance) -> Receipt | None:
        """By our award id in `log_entry`; a list leaves that field out, so the event's name, which
        carries the id as well, is compared too."""
        params = {
            "badge_id": issuance.achievement.ref,
            "email": email_of(issuance),
            "api_consumer_id": CONSUMER,
            "log_entry": f"award_id:{issuance.award_id}",
        }
        for event in self._pages(f"/v2/event/{self._client}", params):
            if issuance.award_id in str(event.get("name")) or self._is_ours(event, issuance):
                return self._receipt(ref_of(event), issuance)
        return None

    def issue(self, issuance: Issuance) -> Receipt:
        """One event for one award, so that it can be revoked by itself."""
        badge = segment(issuance.achievement.ref, "badge")
        path = f"/v2/event/{self._client}/{badge}/issue"
        reply = self.api.request("POST", path, json_body=self._order(issuance))
        if not reply.ok:
            raise self.api.refusal(reply)
        event = _made(parsed(reply, writes=True))
        try:
            found = self._receipt(event, issuance)
        except (Unavailable, Refused):  # it is issued; its address can be read later
            found = None
        return found or Receipt(event, None, clock.now())

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """Per event and e-mail; the server keeps no reason."""
        event = segment(receipt_ref, "award")
        path = f"/v2/event/{self._client}/{event}/revoke"
        reply = self.api.request("PUT", path, json_body={"recipient": [email_of(issuance)]})
        if reply.ok:
            return
        stands = self._receipt(event, issuance)
        if stands is None or not stands.revoked:
            raise self.api.refusal(reply)

    def _order(self, issuance: Issuance) -> dict[str, Any]:
        email = email_of(issuance)
        order: dict[str, Any] = {
            "api_consumer_id": CONSUMER,
            # Both keys are required; where the LMS sends no name, the address stands in.
            "recipient": [{"email": email, "name": issuance.recipient.name or email.split("@")[0]}],
            "issued_on": int(issuance.achieved_at.timestamp()),
            "event_name": f"{issuance.achievement.name[:100]} – award {issuance.award_id}",
            "send_email": self.config.settings.get("send_email") != "no",
            "show_report": False,
            "log_entry": {"award_id": issuance.award_id, "course": issuance.course_title or ""},
            "criteria_add": f"{issuance.explanation} {issuance.url}",
        }
        if issuance.expires_at:
            order["expires_on"] = int(issuance.expires_at.timestamp())
        return order

    def _is_ours(self, event: dict[str, Any], issuance: Issuance) -> bool:
        log_entry = event.get("log_entry")
        if log_entry is None:
            single = self.api.json(
                "GET", f"/v2/event/{self._client}/{segment(ref_of(event), 'event')}"
            )
            log_entry = single.get("log_entry") if isinstance(single, dict) else None
        return issuance.award_id in str(log_entry)

    def _receipt(self, event: str, issuance: Issuance) -> Receipt | None:
        params = {"event_id": event, "email": email_of(issuance)}
        for row in self._pages(f"/v2/event/{self._client}/recipient", params):
            if str(row.get("email", "")).lower() == email_of(issuance):
                url = row.get("assertion_json_url") or row.get("receive_url")
                issued = moment_of(row.get("issued_on"))
                return Receipt(event, url, issued, revoked=bool(row.get("revoked")))
        return None

    def _pages(self, path: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        def fetch(offset: int) -> list[Any]:
            query = {**params, "limit": str(PAGE_SIZE), "offset": str(offset)}
            answer = self.api.json("GET", path, params=query)
            # The description says a bare list for recipients, running servers send an object.
            rows = answer.get("result") if isinstance(answer, dict) else answer
            if not isinstance(rows, list):
                raise Unavailable(f"{host_of(self._base_url)} sent a list that can't be read.")
            return rows

        rows = by_offset(PAGE_SIZE, fetch, unreadable)
        return (row for row in rows if isinstance(row, dict))

    def _grant(self, secrets: Mapping[str, str]) -> Grant:
        return log_in(self.config, f"{self._base_url}/v2/client/oauth2/token", secrets)


def log_in(config: BackendConfig, url: str, secrets: Mapping[str, str]) -> Grant:
    """A token for client id and secret. Raises Unauthorized and Unavailable."""
    form = {
        "grant_type": "client_credentials",
        "client_id": config.settings["client_id"],
        "client_secret": secrets.get("client_secret", ""),
    }
    refused = (
        "Make a new API key there (version 2 needs Pro level) and enter client id and secret here."
    )
    return token(config.http, url, form, refused=refused)


def listed(badge: Mapping[str, Any]) -> AchievementRef:
    """A badge as lists tell it, in both versions of the API: without its criteria."""
    if not badge.get("id"):
        raise Unavailable("The server sent a list of badges that can't be read.")
    name, text = str(badge.get("name") or ""), str(badge.get("description") or "")
    return AchievementRef("", ref_of(badge), name, text, "")


def explain(reply: Reply) -> str:
    """`message`, else `error`, of the server's JSON; its 403 is plain text."""
    return said(reply, "message", "error")


def _made(answer: Any) -> str:
    return ref_of(made_there(answer, "resource_id"), "resource_id")


def moment_of(value: object) -> datetime:
    """Seconds since 1970, as a number or its digits; now where the server tells none."""
    text = as_text(value)
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else value
    return clock.told(seconds) or clock.now()


def email_of(issuance: Issuance) -> str:
    """The learner's address in lower case. Raises NeedsRecipient."""
    email = (issuance.recipient.email or "").lower()
    if not EMAIL.match(email):
        raise NeedsRecipient("This backend needs the learner's e-mail, and the LMS sends none.")
    return email


def segment(value: str, what: str) -> str:
    """One path segment of word characters, never empty: `DELETE …/badge/{client}/` with an empty
    badge id would mean every badge of the organisation."""
    if not ID.match(value):
        raise Refused(f"“{value[:40]}” is not a {what} of Open Badge Factory.")
    return value
