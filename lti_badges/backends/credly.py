"""Credly (Acclaim) API v1.

Source: credly.com/docs/issued_badges and /docs/badge_templates.
Quirks: HTTP Basic with the organisation's token as user name; both names are required; by default
the same badge for the same address is refused with 422; a marker of ours does not come back in
lists, so a live badge of the same template and address counts as the award.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.backends.api import JsonApi, is_api_answer, made_there, parsed, ref_of, unreadable
from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.core import clock
from lti_badges.core.errors import (
    LtiBadgesError,
    NeedsRecipient,
    Refused,
    Unavailable,
)
from lti_badges.core.http import Reply, host_of
from lti_badges.core.paging import addressed
from lti_badges.core.text import as_list
from lti_badges.values.badge import AchievementRef, Issuance, Receipt
from lti_badges.values.settings import Setting


class Credly(Backend):
    """One organisation on Credly."""

    kind = "credly"
    label = "Credly"
    docs = "docs/backends/credly.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "API address", default="https://api.credly.com/v1"),
        Setting("organization", "Organization id"),
        Setting("token", "Authorization token of the organization", secret=True),
        Setting("notify", "Let Credly mail the learner", default="yes", choices=("yes", "no")),
    )
    traits = Traits(
        needs_name=True, creates_achievements=False, guards_duplicates=True, sends_mail=True
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        login = base64.b64encode(f"{config.secrets.get('token', '')}:".encode()).decode()
        self._base = config.settings["url"].rstrip("/")
        self._path = f"/organizations/{quote(config.settings['organization'], safe='')}"
        self.api = JsonApi(config.http, self._base, f"Basic {login}", explain)

    def check(self) -> str:
        """Reads the organization."""
        found = self.api.json("GET", self._path)
        data = found.get("data") if isinstance(found, dict) else None
        if not isinstance(data, dict):
            raise Unavailable(f"{host_of(self._base)} answered with something that is not Credly.")
        return f"{host_of(self._base)} let us in as {data.get('name', 'an organization')}."

    def achievements(self) -> Iterator[AchievementRef]:
        """The organization's active badge templates."""
        for badge in self._all(f"{self._path}/badge_templates", {"filter": "state::active"}):
            yield AchievementRef(
                id="",
                ref=ref_of(badge),
                name=str(badge.get("name") or ""),
                description=str(badge.get("description") or ""),
                criteria="",
                url=badge.get("url"),
            )

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """Templates are designed and released on Credly."""
        raise Refused("Badge templates are made on Credly; they are listed here afterwards.")

    def find(self, issuance: Issuance) -> Receipt | None:
        """The live badge of this template and address, whoever issued it; an expired one never
        stands in the way of its renewal."""
        wanted = (
            f"recipient_email::{_email(issuance)}|badge_template_id::{issuance.achievement.ref}"
        )
        live = (
            badge
            for badge in self._all(f"{self._path}/badges", {"filter": wanted})
            if badge.get("state") != "revoked" and _is_of(badge, issuance)
        )
        found = (_receipt(badge) for badge in live if not _has_expired(badge))
        for receipt in found:
            ours = _moment(receipt.issued_at) == _moment(_issued_at(issuance))  # as we sent it
            return replace(receipt, adopted=not ours)
        return None

    def issue(self, issuance: Issuance) -> Receipt:
        """Issues; where Credly says that the learner has it already, that one is the award."""
        path = f"{self._path}/badges"
        reply = self.api.request("POST", path, json_body=self._order(issuance))
        if reply.ok:
            answer = parsed(reply, writes=True)
            made = answer.get("data") if isinstance(answer, dict) else None
            return _receipt(made_there(made))
        if reply.status == 422 and (held := self.find(issuance)):
            return held
        raise self.api.refusal(reply)

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """With its reason."""
        path = f"{self._path}/badges/{quote(receipt_ref, safe='')}"
        reply = self.api.request("PUT", f"{path}/revoke", json_body={"reason": reason[:500]})
        if reply.ok or (reply.status == 404 and is_api_answer(reply)):
            return
        gone = self.find(issuance)
        if gone is not None and gone.ref == receipt_ref:
            raise self.api.refusal(reply)

    def _order(self, issuance: Issuance) -> dict[str, Any]:
        first, last = _names(issuance)
        order: dict[str, Any] = {
            "recipient_email": _email(issuance),
            "badge_template_id": issuance.achievement.ref,
            "issued_at": _moment(_issued_at(issuance)),
            "issued_to_first_name": first,
            "issued_to_last_name": last,
            "suppress_badge_notification_email": self.config.settings.get("notify") == "no",
            "evidence": [
                {
                    "type": "UrlEvidence",
                    "name": issuance.course_title or "How it was earned",
                    "description": issuance.explanation[:500],
                    "url": issuance.url,
                }
            ],
        }
        if issuance.expires_at:
            order["expires_at"] = _moment(issuance.expires_at)
        return order

    def _all(self, path: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        first = self.api.url(path)

        def fetch(url: str) -> tuple[list[Any], Any]:
            answer = self.api.json("GET", url, params=params if url == first else None)
            data = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(data, list):
                raise Unavailable(f"{host_of(self._base)} sent a list that can't be read.")
            metadata = answer.get("metadata")
            return data, metadata.get("next_page_url") if isinstance(metadata, dict) else None

        for page in addressed(first, fetch, unreadable):
            yield from (each for each in page if isinstance(each, dict))


def explain(reply: Reply) -> str:
    """Credly's `data.message` and `data.errors`."""
    try:
        answer = reply.json()
    except LtiBadgesError:
        return ""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        return ""
    errors = data.get("errors")
    said = [
        f"{each.get('attribute', '')}: {', '.join(map(str, as_list(each.get('messages'))))}"
        for each in as_list(errors)
        if isinstance(each, dict)
    ]
    return "; ".join(said or [str(data.get("message") or "")])[:500]


def _receipt(badge: dict[str, Any]) -> Receipt:
    url = badge.get("badge_url")
    return Receipt(
        ref_of(badge),
        url if isinstance(url, str) else None,
        clock.told(badge.get("issued_at")) or clock.now(),
        badge.get("state") == "revoked",
    )


def _has_expired(badge: Mapping[str, Any]) -> bool:
    ended = clock.told(badge.get("expires_at"))
    return ended <= clock.now() if ended else badge.get("state") == "expired"


def _is_of(badge: dict[str, Any], issuance: Issuance) -> bool:
    """A filter that the server does not know is ignored by it, so look at what came."""
    template = badge.get("badge_template")
    ref = template.get("id") if isinstance(template, dict) else badge.get("badge_template_id")
    email = badge.get("recipient_email")
    return (ref is None or str(ref) == issuance.achievement.ref) and (
        not isinstance(email, str) or email.lower() == _email(issuance)
    )


def _email(issuance: Issuance) -> str:
    if not issuance.recipient.email:
        raise NeedsRecipient("Credly needs the learner's e-mail, and the LMS sends none.")
    return issuance.recipient.email.lower()


def _names(issuance: Issuance) -> tuple[str, str]:
    first, _, last = (issuance.recipient.name or "").strip().rpartition(" ")
    if not last:
        raise NeedsRecipient("Credly needs the learner's name, and the LMS sends none.")
    return first or last, last


def _issued_at(issuance: Issuance) -> datetime:
    return min(issuance.achieved_at, clock.now())


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} +0000"
