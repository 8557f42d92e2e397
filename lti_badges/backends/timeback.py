"""Timeback's OpenBadge API (1EdTech OB 3.0 host of the Alpha / Timeback platform).

Source: its OpenAPI description (2025-09) and integration guides.
Quirks: learners are OneRoster users, not e-mails; the definitions are `/achievements`, whatever
the seed guide says; a repeated issue makes a second badge, and nothing of ours can be planted in
it, so (achievement, learner) is the marker; nothing revokes. The other way in, `/credentials`,
takes credentials that are signed here and replaces one of the same id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.backends.api import BearerApi, made_there, parsed, ref_of, said, token, unreadable
from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.backends.signer import ISSUER_SETTINGS, Signer
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
from lti_badges.core.text import as_list
from lti_badges.store import new_id
from lti_badges.values.badge import AchievementRef, Issuance, Receipt
from lti_badges.values.settings import Setting

OB = "/ims/ob/v3p0"
PAGE_SIZE = 100
_COGNITO = "https://{}.auth.{}.amazoncognito.com/oauth2/token"
GENERATIONS = {
    "alpha": (
        "https://api.alpha-1edtech.com",
        _COGNITO.format("alpha-auth-production-idp", "us-west-2"),
    ),
    "alpha-staging": (
        "https://api.staging.alpha-1edtech.com",
        _COGNITO.format("alpha-auth-development-idp", "us-west-2"),
    ),
    "beyond": (
        "https://api.alpha-1edtech.ai",
        _COGNITO.format("prod-beyond-timeback-api-2-idp", "us-east-1"),
    ),
    "platform": (
        "https://platform.timeback.com",
        "https://platform.timeback.com/auth/1.0/token",
    ),
}
ISSUE_BADGE, CREDENTIALS = "issue-badge", "credentials"
USER_SOURCES = ("sourcedid", "sub", "custom", "oneroster")


class Timeback(Backend):
    """One Timeback environment."""

    kind = "timeback"
    label = "Timeback OpenBadge API"
    docs = "docs/backends/timeback.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("generation", "Environment", default="alpha", choices=tuple(GENERATIONS)),
        Setting("url", "API address, if not the environment's", required=False),
        Setting("token_url", "Token address, if not the environment's", required=False),
        Setting("scope", "Scope to ask for", required=False),
        Setting("client_id", "Client id"),
        Setting("client_secret", "Client secret", secret=True),
        Setting(
            "user_id",
            "Where the learner's OneRoster id comes from",
            "sourcedid: what the LMS sends as person_sourcedid; sub: the LTI user id; "
            "custom: the custom parameter named below; oneroster: looked up by e-mail",
            default="sourcedid",
            choices=USER_SOURCES,
        ),
        Setting("user_id_custom", "Name of the custom parameter", required=False),
        Setting(
            "way",
            "How awards go there",
            "issue-badge: Timeback signs; credentials: signed here as the issuer below, and stored "
            "there, so that they can be revoked and carry results",
            default=ISSUE_BADGE,
            choices=(ISSUE_BADGE, CREDENTIALS),
        ),
        *ISSUER_SETTINGS,
    )
    traits = Traits(
        needs_email=False,
        needs_other_id=True,
        takes_evidence=False,
        revokes=False,
        looks_first=True,
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        base, token_url = GENERATIONS[config.settings.get("generation", "alpha")]
        self._base_url = (config.settings.get("url") or base).rstrip("/")
        self._token_url = config.settings.get("token_url") or token_url
        self._signer = Signer(config) if config.settings.get("way") == CREDENTIALS else None
        if self._signer:
            own = {"finds": False, "revokes": True, "signs_here": True, "takes_score": True}
            self.traits = replace(type(self).traits, **own)
        self.tokens = TokenStore(config, self._grant)
        self.api = BearerApi(config.http, self._base_url, self.tokens, explain)

    def check(self) -> str:
        """Reads one achievement definition."""
        answer = self.api.json("GET", f"{OB}/achievements/", params={"limit": "1", "offset": "0"})
        total = answer.get("totalCount") if isinstance(answer, dict) else None
        if total is None:
            raise Refused(f"{host_of(self._base_url)} is no OpenBadge API: check the address.")
        return f"{host_of(self._base_url)} let us in; it has {total} achievements."

    def achievements(self) -> Iterator[AchievementRef]:
        """All definitions, page by page."""

        def fetch(offset: int) -> list[Any]:
            params = {"limit": str(PAGE_SIZE), "offset": str(offset)}
            answer = self.api.json("GET", f"{OB}/achievements/", params=params)
            rows = answer.get("achievements") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise Unavailable(f"{host_of(self._base_url)} sent a list that can't be read.")
            return rows

        rows = by_offset(PAGE_SIZE, fetch, unreadable)
        return (_achievement(row) for row in rows if isinstance(row, dict))

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """Creates a definition under an id of our own; the server may allocate another."""
        wished = new_id()
        achievement = {
            "sourcedId": wished,
            "name": draft.name,
            "description": draft.description,
            "criteria": draft.criteria,
            "achievementType": "Badge",
        }
        answer = self.api.json(
            "POST", f"{OB}/achievements/", json_body={"achievement": achievement}
        )
        pair = answer.get("sourcedIdPairs") if isinstance(answer, dict) else None
        ref = pair.get("allocatedSourcedId") if isinstance(pair, dict) else None
        return AchievementRef("", str(ref or wished), draft.name, draft.description, draft.criteria)

    def find(self, issuance: Issuance) -> Receipt | None:
        """The learner's live badge of this achievement, whoever issued it. What is signed here has
        a fixed id: sent again, it replaces itself."""
        student = self._student(issuance)
        if self._signer:
            return None
        path = f"{OB}/achievements/students/{quote(student, safe='')}"
        reply = self.api.request("GET", path)
        if reply.status == 404 and "student not found" in explain(reply).lower():
            return None  # nothing was ever issued to them; any other 404 is no answer to that
        if not reply.ok:
            raise self.api.refusal(reply)
        for badge in _issued(parsed(reply, writes=False), issuance):
            return badge
        return None

    def issue(self, issuance: Issuance) -> Receipt:
        """`issue-badge`: the service signs; it takes neither e-mail, evidence nor score. Else the
        credential that was signed here."""
        if self._signer:
            row = self._signer.issue(issuance, roster_id=self._student(issuance))
            reply = self.api.request("POST", f"{OB}/credentials/", json_body=row.document)
            if not reply.ok:
                raise self.api.refusal(reply)
            return Receipt(str(row.document["id"]), None, row.issued_at)
        order = {
            "achievementId": issuance.achievement.ref,
            "userId": self._student(issuance),
            "awardedDate": clock.iso(issuance.achieved_at),
            "validFrom": clock.iso(issuance.achieved_at),
        }
        if issuance.expires_at:
            order["validUntil"] = clock.iso(issuance.expires_at)
        answer = self.api.json("POST", f"{OB}/issue-badge/", json_body=order)
        credential = answer.get("credential", answer) if isinstance(answer, dict) else {}
        ref = ref_of(made_there(credential))
        return Receipt(ref, ref if ref.startswith("https:") else None, clock.now())

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """The API has no way to revoke; a person must do it in Timeback. What was signed here is
        revoked in our status list."""
        signer = Signer(self.config)
        if signer.credential(issuance.award_id):
            signer.revoke(issuance.award_id, reason)
            return
        raise Refused("Timeback's API can't revoke a badge; withdraw it in Timeback itself.")

    def _student(self, issuance: Issuance) -> str:
        recipient, source = issuance.recipient, self.config.settings.get("user_id", "sourcedid")
        if source == "oneroster":
            return self._student_by_email(recipient.email)
        name = self.config.settings.get("user_id_custom", "")
        found = {
            "sourcedid": recipient.sourcedid,
            "sub": recipient.lti_user_id,
            "custom": recipient.custom.get(name),
        }[source]
        if not found:
            what = f"the custom parameter “{name}”" if source == "custom" else "a person_sourcedid"
            raise NeedsRecipient(f"The LMS sends no {what} for this learner.")
        return found

    def _student_by_email(self, email: str | None) -> str:
        if not email:
            raise NeedsRecipient("The LMS sends no e-mail to look the learner up by.")
        params = {"filter": "email='{}'".format(email.replace("'", "")), "limit": "2"}
        answer = self.api.json("GET", "/ims/oneroster/rostering/v1p2/users", params=params)
        rows = answer.get("users") if isinstance(answer, dict) else None
        users = [
            user
            for user in as_list(rows)
            if isinstance(user, dict) and str(user.get("email", "")).lower() == email.lower()
        ]
        if len(users) != 1:
            raise NeedsRecipient(f"OneRoster knows {len(users)} users with this learner's e-mail.")
        return ref_of(users[0], "sourcedId")

    def _grant(self, secrets: Mapping[str, str]) -> Grant:
        settings = self.config.settings
        form = {
            "grant_type": "client_credentials",
            "client_id": settings["client_id"],
            "client_secret": secrets.get("client_secret", ""),
        }
        if settings.get("scope"):
            form["scope"] = settings["scope"]
        refused = "Check client id and secret, and that they are of this environment."
        return token(self.config.http, self._token_url, form, refused=refused)


def explain(reply: Reply) -> str:
    """`imsx_description` and the field values of an Imsx_StatusInfo, or Cognito's `error`."""
    return said(reply, "imsx_description", "message", "error")


def _achievement(row: dict[str, Any]) -> AchievementRef:
    criteria = row.get("criteria")
    words = criteria.get("narrative") if isinstance(criteria, dict) else criteria
    return AchievementRef(
        id="",
        ref=ref_of(row, "sourcedId" if "sourcedId" in row else "id"),
        name=str(row.get("name") or ""),
        description=str(row.get("description") or ""),
        criteria=str(words or ""),
    )


def _issued(answer: Any, issuance: Issuance) -> Iterator[Receipt]:
    rows = answer.get("achievementsWithIssuedBadges") if isinstance(answer, dict) else None
    if not isinstance(rows, list):  # taking it for “none” would issue a second badge
        raise Unavailable("Timeback sent a list of badges that can't be read.")
    for row in rows:
        if not isinstance(row, dict):
            raise Unavailable("Timeback sent a list of badges that can't be read.")
        if row.get("sourcedId") != issuance.achievement.ref:
            continue
        badges = row.get("issuedBadges") or []
        if not isinstance(badges, list) or not all(isinstance(badge, dict) for badge in badges):
            raise Unavailable("Timeback sent a list of badges that can't be read.")
        for badge in badges:
            if badge.get("status", "active") != "active":
                continue
            stored = badge.get("data")
            ref = ref_of(stored) if isinstance(stored, dict) and stored.get("id") else None
            if isinstance(stored, dict) and _has_expired(stored):
                continue  # it would stand in the way of its renewal
            earned = clock.told(badge.get("dateEarned")) or clock.now()
            ours = clock.iso(earned) == clock.iso(issuance.achieved_at)  # as we sent it
            yield Receipt(ref or issuance.achievement.ref, None, earned, adopted=not ours)


def _has_expired(credential: Mapping[str, Any]) -> bool:
    ended = clock.told(credential.get("validUntil"))
    return ended is not None and ended <= clock.now()
