"""Badgr API v2, as badgr-server and its hosts speak it.

Source: badgr-server (concentricsky, develop 2021-01) and its API description.
Quirks: answers are wrapped in `{"status": …, "result": […]}`; a missing right is a 404; the
duplicate guard is a plain query, so look up before each send and lower-case the address.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.backends.api import BearerApi, made_there, parsed, ref_of, token
from lti_badges.backends.badgr_answers import (
    achievement,
    evidence_urls,
    explain,
    first,
    is_duplicate,
    is_live,
    receipt,
    results,
)
from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.backends.tokens import TokenStore
from lti_badges.core import clock
from lti_badges.core.errors import (
    LtiBadgesError,
    NeedsRecipient,
    Refused,
    Unauthorized,
)
from lti_badges.core.http import host_of
from lti_badges.core.oauth import Grant, consent_url
from lti_badges.values.badge import AchievementRef, Issuance, ListedAward, Receipt
from lti_badges.values.settings import Setting

SCOPE = "rw:issuer"  # without a scope the server grants only r:profile, and all else is a 404
PAGE_SIZE = "100"
# Servers refuse an issuedOn in the future: their clock may be behind ours.
CLOCK_MARGIN = timedelta(seconds=60)


class Badgr(Backend):
    """A Badgr server, by password, or by a Connected App's refresh token."""

    kind = "badgr"
    label = "Badgr"
    docs = "docs/backends/badgr.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Server address", "For example https://api.badgr.io"),
        Setting(
            "issuer", "Issuer id", "Needed if the login may use several issuers", required=False
        ),
        Setting("username", "E-mail of the Badgr user", required=False),
        Setting("password", "Password", secret=True, required=False),
        Setting("client_id", "Connected App: client id", required=False),
        Setting("client_secret", "Connected App: secret", secret=True, required=False),
        Setting(
            "authorize_url",
            "Connected App: consent page",
            "On the host where people sign in, for example https://badgr.io/auth/oauth2/authorize",
            required=False,
        ),
        Setting("refresh_token", "Connected App: refresh token", secret=True, required=False),
        Setting("notify", "Let the server mail the learner", default="no", choices=("no", "yes")),
    )
    traits = Traits(guards_duplicates=True, marks=True)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.tokens = TokenStore(config, self._grant)
        self.api = BearerApi(config.http, self.base_url(), self.tokens, explain)

    def base_url(self) -> str:
        """The API's address, without a trailing slash."""
        return self.config.settings["url"].rstrip("/")

    @classmethod
    def asks_consent(cls, settings: Mapping[str, str]) -> bool:
        """With a Connected App, if its consent page is known."""
        return bool(settings.get("authorize_url"))

    def consent_url(self, redirect_uri: str, state: str) -> str | None:
        """The Connected App's consent page."""
        settings = self.config.settings
        if not settings.get("authorize_url") or not settings.get("client_id"):
            return None
        return consent_url(
            settings["authorize_url"],
            client_id=settings["client_id"],
            redirect_uri=redirect_uri,
            scope=SCOPE,
            state=state,
        )

    def take_consent(self, code: str, redirect_uri: str) -> None:
        """The code for a token and its refresh token."""
        self.tokens.adopt(
            lambda secrets: self._granted(
                {
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": redirect_uri,
                    "client_id": self.config.settings.get("client_id", ""),
                    "client_secret": secrets.get("client_secret", ""),
                }
            )
        )

    def check(self) -> str:
        """Logs in and reads the issuers."""
        issuers = [str(issuer.get("name", "?")) for issuer in self._all("/v2/issuers")]
        if not issuers:
            raise Refused(
                f"{host_of(self.base_url())} let us in, but this login has no issuer. "
                "Create one there, or use a login that is on an issuer's staff."
            )
        return f"{host_of(self.base_url())} let us in; issuers: {', '.join(issuers)}."

    def achievements(self) -> Iterator[AchievementRef]:
        """All badge classes of the issuer, or of all issuers of this login."""
        issuer = self.config.settings.get("issuer")
        path = f"/v2/issuers/{_id(issuer)}/badgeclasses" if issuer else "/v2/badgeclasses"
        for badge in self._all(path):
            yield achievement(badge)

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """Creates the badge class; the server wants a picture."""
        body = {
            "name": draft.name,
            "description": draft.description,
            "criteriaNarrative": draft.criteria,
            "image": _data_uri(draft),
            **self.badge_extras(draft),
        }
        path = f"/v2/issuers/{_id(self._issuer())}/badgeclasses"
        return achievement(first(self.api.json("POST", path, json_body=body)))

    def find(self, issuance: Issuance) -> Receipt | None:
        """Looked up by recipient, told apart by our evidence address; revoked ones count too."""
        ours = (held for held in self._held(issuance) if issuance.url in evidence_urls(held))
        return next((receipt(assertion) for assertion in ours), None)

    def holdings(self, achievement_ref: str) -> Iterator[ListedAward]:
        """One list for all recipients."""
        path = f"/v2/badgeclasses/{_id(achievement_ref)}/assertions"
        params = {"include_expired": "1", "include_revoked": "1", "num": PAGE_SIZE}
        for held in self._all(path, params):
            markers = frozenset(evidence_urls(held))
            yield ListedAward(ref_of(held, "entityId"), markers, bool(held.get("revoked")))

    def issue(self, issuance: Issuance) -> Receipt:
        """Issues, with the server's own guard on. A learner who holds this badge already, from
        elsewhere, keeps that one: the award then points to it."""
        path = f"/v2/badgeclasses/{_id(issuance.achievement.ref)}/assertions"
        reply = self.api.request("POST", path, json_body=self.order(issuance))
        if reply.ok:
            return receipt(made_there(first(parsed(reply, writes=True)), "entityId"))
        if reply.status == 400 and is_duplicate(reply):
            live = [held for held in self._held(issuance) if is_live(held)]
            ours = [held for held in live if issuance.url in evidence_urls(held)]
            for held in ours or live:
                return replace(receipt(held), adopted=not ours)
        raise self.api.refusal(reply)

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """The body key is `revocation_reason` and required, whatever the server's docs say."""
        path = f"/v2/assertions/{_id(receipt_ref)}"
        reply = self.api.request("DELETE", path, json_body={"revocation_reason": reason[:255]})
        if reply.ok:
            return
        gone = self.find(issuance)
        if gone is not None and gone.ref == receipt_ref and not gone.revoked:
            raise self.api.refusal(reply)
        if reply.status not in {400, 404}:
            raise self.api.refusal(reply)

    def order(self, issuance: Issuance) -> dict[str, Any]:
        """The request body that issues one award."""
        body: dict[str, Any] = {
            "recipient": {"identity": _email(issuance), "type": "email", "hashed": True},
            "issuedOn": _not_ahead(issuance.achieved_at),
            "narrative": issuance.explanation,
            "evidence": [{"url": issuance.url, "narrative": issuance.course_title or ""}],
            "notify": self.config.settings.get("notify") == "yes",
            "allowDuplicateAwards": False,
        }
        if issuance.expires_at:
            body["expires"] = clock.iso(issuance.expires_at)
        return body

    def badge_extras(self, draft: AchievementDraft) -> dict[str, Any]:
        """What else this vendor wants in a new badge class."""
        return {}

    def token_forms(self, secrets: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """The token requests to try in turn: a refresh token first, then the password."""
        settings = self.config.settings
        app = {
            name: value
            for name, value in (
                ("client_id", settings.get("client_id", "")),
                ("client_secret", secrets.get("client_secret", "")),
            )
            if value
        }
        if secrets.get("refresh_token"):
            yield {
                "grant_type": "refresh_token",
                "refresh_token": secrets["refresh_token"],
                **app,
            }
        if settings.get("username") and secrets.get("password"):
            yield {
                "username": settings["username"],
                "password": secrets["password"],
                "scope": SCOPE,
            }

    def _grant(self, secrets: Mapping[str, str]) -> Grant:
        last: LtiBadgesError = Unauthorized(
            "No login is set: give username and password, or client_id, client_secret and "
            "refresh_token of a Connected App."
        )
        for form in self.token_forms(secrets):
            try:
                return self._granted(form)
            except Unauthorized as refusal:
                last = refusal
        raise last

    def _granted(self, form: dict[str, str]) -> Grant:
        # Form-encoded only: JSON bodies and query strings are refused. No cookies are kept.
        refused = "Correct the login, or sign in again."
        return token(self.config.http, f"{self.base_url()}/o/token", form, refused=refused)

    def _issuer(self) -> str:
        configured = self.config.settings.get("issuer")
        if configured:
            return configured
        issuers = [ref_of(issuer, "entityId") for issuer in self._all("/v2/issuers")]
        if len(issuers) != 1:
            raise Refused(
                f"This login has {len(issuers)} issuers; set “issuer” to the id of the one to use"
                f"{': ' + ', '.join(issuers) if issuers else ''}."
            )
        return issuers[0]

    def _held(self, issuance: Issuance) -> Iterator[dict[str, Any]]:
        path = f"/v2/badgeclasses/{_id(issuance.achievement.ref)}/assertions"
        params = {
            "recipient": _email(issuance),
            "include_expired": "1",
            "include_revoked": "1",
            "num": PAGE_SIZE,
        }
        return self._all(path, params)

    def _all(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Every item of a list, over all pages (`Link: rel="next"`)."""
        for answer in self.api.listed(path, {"num": PAGE_SIZE} if params is None else params):
            yield from results(answer)


def _email(issuance: Issuance) -> str:
    if not issuance.recipient.email:
        raise NeedsRecipient("This backend needs the learner's e-mail, and the LMS sends none.")
    return issuance.recipient.email.lower()


def _not_ahead(moment: datetime) -> str:
    return clock.iso(min(moment, clock.now() - CLOCK_MARGIN))


def _data_uri(draft: AchievementDraft) -> str:
    if not draft.image:
        raise Refused("The server wants a picture (PNG or SVG) for each badge.")
    media_type = draft.image_type or "image/png"
    return f"data:{media_type};base64,{base64.b64encode(draft.image).decode()}"


def _id(entity_id: str) -> str:
    """An id as one path segment: never empty, so that no address means “all of them”."""
    if not entity_id:
        raise Refused("The badge or award has no id at this server.")
    return quote(entity_id, safe="")
