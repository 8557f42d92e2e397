"""Accredible Credential API v1.

Source: Accredible's API description 25.08.
Quirks: duplicates are never refused, so a credential of the same group and address counts as the
award, ours first (told by our address among its evidence); there is no revocation: a credential is
deleted. Without paid credits it is created unpublished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
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
from lti_badges.core.paging import pages
from lti_badges.core.text import as_list
from lti_badges.values.badge import AchievementRef, Issuance, Receipt
from lti_badges.values.settings import Setting

PAGE_SIZE = "50"
HOSTS = {
    "us": "https://api.accredible.com",
    "eu": "https://eu.api.accredible.com",
    "sandbox": "https://sandbox.api.accredible.com",
}


class Accredible(Backend):
    """One account or department on Accredible; its groups are the badges."""

    kind = "accredible"
    label = "Accredible"
    docs = "docs/backends/accredible.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("region", "Region of the account", default="us", choices=tuple(HOSTS)),
        Setting("url", "API address, if not the region's", required=False),
        Setting("api_key", "API key", secret=True),
    )
    traits = Traits(
        needs_name=True, creates_achievements=False, marks=True, looks_first=True, sends_mail=True
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        region = HOSTS[config.settings.get("region", "us")]
        self._base = (config.settings.get("url") or region).rstrip("/")
        login = f"Token token={config.secrets.get('api_key', '')}"
        self.api = JsonApi(config.http, self._base, login, explain)

    def check(self) -> str:
        """Reads the groups."""
        count = sum(1 for _ in self.achievements())
        return f"{host_of(self._base)} let us in; it has {count} groups."

    def achievements(self) -> Iterator[AchievementRef]:
        """All groups."""
        for group in self._all("/v1/issuer/all_groups", "groups", {}):
            yield AchievementRef(
                id="",
                ref=ref_of(group),
                name=str(group.get("course_name") or group.get("name") or ""),
                description=str(group.get("course_description") or ""),
                criteria="",
                url=group.get("course_link"),
            )

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """Groups need a design, which is chosen on Accredible."""
        raise Refused("Groups are made on Accredible; they are listed here afterwards.")

    def find(self, issuance: Issuance) -> Receipt | None:
        """Ours by its evidence, else any of the same group and address: nobody gets two."""
        query = {"group_id": issuance.achievement.ref, "email": _email(issuance)}
        held = [
            each
            for each in self._all("/v1/all_credentials", "credentials", query)
            if _is_of(each, issuance)
        ]
        ours = [each for each in held if issuance.url in _links(each)]
        live = [each for each in held if not _has_expired(each)]  # else it would never be renewed
        for each in ours or live:
            return replace(_receipt(each), adopted=not ours)
        return None

    def issue(self, issuance: Issuance) -> Receipt:
        """Creates the credential; Accredible mails the learner as the group says."""
        reply = self.api.request("POST", "/v1/credentials", json_body=self._order(issuance))
        if not reply.ok:
            raise self.api.refusal(reply)
        answer = parsed(reply, writes=True)
        made = answer.get("credential") if isinstance(answer, dict) else None
        return _receipt(made_there(made))

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """Deletes the credential; Accredible keeps no reason."""
        reply = self.api.request("DELETE", f"/v1/credentials/{quote(receipt_ref, safe='')}")
        if not reply.ok and not (reply.status == 404 and is_api_answer(reply)):
            raise self.api.refusal(reply)

    def _order(self, issuance: Issuance) -> dict[str, Any]:
        name = (issuance.recipient.name or "").strip()
        if not name:
            raise NeedsRecipient("Accredible needs the learner's name, and the LMS sends none.")
        credential: dict[str, Any] = {
            "recipient": {"name": name, "email": _email(issuance)},
            "group_id": issuance.achievement.ref,
            "issued_on": f"{issuance.achieved_at:%Y-%m-%d}",
            "evidence_items": [
                {"description": "How it was earned", "category": "url", "url": issuance.url}
            ],
        }
        if issuance.expires_at:
            credential["expired_on"] = f"{issuance.expires_at:%Y-%m-%d}"
        return {"credential": credential}

    def _all(self, path: str, key: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:

        def fetch(page: int) -> tuple[list[Any], int | None]:
            params = {**query, "page_size": PAGE_SIZE, "page": str(page)}
            answer = self.api.json("GET", path, params=params)
            rows = answer.get(key) if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise Unavailable(f"{host_of(self._base)} sent a list that can't be read.")
            meta = answer.get("meta")
            after = meta.get("next_page") if isinstance(meta, dict) else None
            return rows, after if isinstance(after, int) else None

        for rows in pages(1, fetch, unreadable):
            yield from (each for each in rows if isinstance(each, dict))


def explain(reply: Reply) -> str:
    """Accredible's `errors` or `error`."""
    try:
        answer = reply.json()
    except LtiBadgesError:
        return ""
    said = (answer.get("errors") or answer.get("error")) if isinstance(answer, dict) else None
    if isinstance(said, dict):
        return "; ".join(f"{name}: {text}" for name, text in said.items())[:500]
    return str(said or "")[:500]


def _receipt(credential: dict[str, Any]) -> Receipt:
    issued, url = credential.get("issued_on"), credential.get("url")
    moment = clock.told(f"{str(issued)[:10]}T00:00:00Z") or clock.now()
    return Receipt(ref_of(credential), url if isinstance(url, str) else None, moment)


def _has_expired(credential: Mapping[str, Any]) -> bool:
    """Its last day, which counts, is over."""
    try:
        ends = date.fromisoformat(str(credential.get("expired_on"))[:10])
    except ValueError:
        return False
    return ends < clock.now().date()


def _is_of(credential: dict[str, Any], issuance: Issuance) -> bool:
    """A filter that the server does not know is ignored by it, so look at what came."""
    recipient, group = credential.get("recipient"), credential.get("group_id")
    email = recipient.get("email") if isinstance(recipient, dict) else None
    return (group is None or str(group) == issuance.achievement.ref) and (
        not isinstance(email, str) or email.lower() == _email(issuance)
    )


def _links(credential: dict[str, Any]) -> set[str]:
    items = credential.get("evidence_items")
    return {
        str(each.get(name))
        for each in as_list(items)
        if isinstance(each, dict)
        for name in ("link_url", "url")
    }


def _email(issuance: Issuance) -> str:
    if not issuance.recipient.email:
        raise NeedsRecipient("Accredible needs the learner's e-mail, and the LMS sends none.")
    return issuance.recipient.email.lower()
