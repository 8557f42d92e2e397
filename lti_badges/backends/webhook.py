"""A signed JSON POST for whatever has no adapter of its own.

Each call carries `X-LTI-Badges-Timestamp` (seconds since 1970) and `X-LTI-Badges-Signature`:
`v1=` and the hex HMAC-SHA256 of `<timestamp>.<body>` with the shared secret. The receiver answers
2xx and may return `{"id": …, "url": …}`. The award's id is in the body and in `Idempotency-Key`:
a receiver that sees it again must answer as before, which is what makes a resend safe here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any, ClassVar

from lti_badges.backends.api import call
from lti_badges.backends.base import AchievementDraft, Backend, Traits
from lti_badges.core import clock
from lti_badges.core.errors import LtiBadgesError, Refused, Unauthorized
from lti_badges.core.http import Reply, host_of
from lti_badges.settings import checked_url
from lti_badges.store import new_id
from lti_badges.values.badge import AchievementRef, Issuance, Receipt
from lti_badges.values.settings import Setting


class Webhook(Backend):
    """Posts `award.issue`, `award.revoke` and `ping` events to one address."""

    kind = "webhook"
    label = "Webhook (signed JSON)"
    docs = "docs/backends/webhook.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Address that receives the events"),
        Setting("signing_secret", "Shared secret for the signature", secret=True),
    )
    traits = Traits(
        needs_email=False, lists=False, finds=False, takes_score=True, guards_duplicates=True
    )

    def check(self) -> str:
        """Posts a `ping` event."""
        self._post("ping", {}, key=f"ping-{new_id()}", writes=False)
        return f"{host_of(self._url())} took a signed ping."

    def achievements(self) -> Iterator[AchievementRef]:
        """A webhook has no list of its own: badges are made here."""
        return iter(())

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """The badge exists in the tool only; its id goes out with each award."""
        return AchievementRef("", new_id(), draft.name, draft.description, draft.criteria)

    def find(self, issuance: Issuance) -> Receipt | None:
        """A webhook can't be asked; the receiver tells repeated events apart by the award's id."""
        return None

    def issue(self, issuance: Issuance) -> Receipt:
        """Posts `award.issue`; the receiver's own id and address are kept if it returns some."""
        reply = self._post("award.issue", _award(issuance), key=issuance.award_id, writes=True)
        answer = _object(reply)
        url = answer.get("url")
        return Receipt(
            ref=str(answer.get("id") or issuance.award_id),
            url=url if isinstance(url, str) else None,
            issued_at=clock.now(),
        )

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """Posts `award.revoke`."""
        body = {**_award(issuance), "id": receipt_ref, "reason": reason}
        self._post("award.revoke", body, key=f"{issuance.award_id}-revoke", writes=True)

    def _url(self) -> str:
        try:
            return checked_url(self.config.settings["url"], "the webhook's address")
        except ValueError as error:
            raise Refused(f"The address can't be called: {error}.") from None

    def _post(self, event: str, award: dict[str, Any], *, key: str, writes: bool) -> Reply:
        body = json.dumps({"event": event, "award": award}, separators=(",", ":")).encode()
        timestamp = str(int(clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "X-LTI-Badges-Event": event,
            "X-LTI-Badges-Timestamp": timestamp,
            "X-LTI-Badges-Signature": "v1=" + self._signature(timestamp, body),
        }
        url = self._url()
        reply = call(self.config.http, "POST", url, writes=writes, headers=headers, content=body)
        if reply.status in {401, 403}:
            raise Unauthorized(f"{host_of(url)} refuses our signature; compare the shared secret.")
        if not reply.ok:
            raise Refused(f"{host_of(url)} refused the event with the error {reply.status}.")
        return reply

    def _signature(self, timestamp: str, body: bytes) -> str:
        secret = self.config.secrets.get("signing_secret", "").encode()
        return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _award(issuance: Issuance) -> dict[str, Any]:
    recipient, achievement = issuance.recipient, issuance.achievement
    return {
        "award_id": issuance.award_id,
        "number": issuance.number,
        "url": issuance.url,
        "achievement": {
            "id": achievement.ref,
            "name": achievement.name,
            "description": achievement.description,
            "criteria": achievement.criteria,
        },
        "recipient": {
            "email": recipient.email,
            "name": recipient.name,
            "lti_user_id": recipient.lti_user_id,
            "sourcedid": recipient.sourcedid,
        },
        "achieved_at": clock.iso(issuance.achieved_at),
        "expires_at": clock.iso(issuance.expires_at) if issuance.expires_at else None,
        "explanation": issuance.explanation,
        "results": [
            {"label": measure.label, "value": measure.value, "needed": measure.needed}
            for measure in issuance.measures
        ],
        "course": issuance.course_title,
    }


def _object(reply: Reply) -> dict[str, Any]:
    """The receiver need not answer anything: a 2xx is the receipt."""
    try:
        answer = reply.json()
    except LtiBadgesError:
        return {}
    return answer if isinstance(answer, dict) else {}
