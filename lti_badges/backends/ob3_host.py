"""Any host with the standard Open Badges 3.0 API: it stores credentials that are signed here.

Source: Open Badges 3.0, the API's service description, OAuth 2.0 authorization code with dynamic
registration (RFC 7591) and PKCE (RFC 7636).
Quirks: the host replaces a credential of the same issuer and id, so sending one again is harmless;
it has no call to revoke, verifiers read our status list; a refresh token may work a single time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import func, select

from lti_badges.backends.api import BearerApi, call, parsed, said, token
from lti_badges.backends.base import AchievementDraft, Backend, BackendConfig, Traits
from lti_badges.backends.signer import ISSUER_SETTINGS, Signer
from lti_badges.backends.tokens import TokenStore
from lti_badges.core.errors import Refused, Unauthorized, Unavailable
from lti_badges.core.http import Reply, host_of
from lti_badges.core.oauth import (
    Grant,
    TokenRefused,
    TokenUnavailable,
    consent_url,
    new_verifier,
    register,
)
from lti_badges.store import Achievement, Award, IssuedCredential, new_id
from lti_badges.values.badge import AchievementRef, Issuance, ListedAward, Receipt
from lti_badges.values.settings import Setting

SCOPE_BASE = "https://purl.imsglobal.org/spec/ob/v3p0/scope/"
SCOPES = " ".join(SCOPE_BASE + name for name in ("credential.readonly", "credential.upsert"))
PAGE_SIZE = "100"


@dataclass(frozen=True, slots=True)
class Host:
    """What the host's service description says about signing in."""

    title: str
    authorization_url: str
    token_url: str
    refresh_url: str
    registration_url: str | None


class OB3Host(Backend):
    """One account at one host, let in once by a person."""

    kind = "ob3-host"
    label = "Open Badges 3.0 host"
    docs = "docs/backends/ob3-host.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Address of its API", "For example https://host.example/ims/ob/v3p0"),
        Setting("client_id", "Client id", "Empty if the host lets tools register", required=False),
        Setting("client_secret", "Client secret", secret=True, required=False),
        Setting("refresh_token", "Refresh token, if you have one", secret=True, required=False),
        *ISSUER_SETTINGS,
    )
    traits = Traits(
        needs_email=False,
        lists=False,
        finds=False,
        takes_score=True,
        guards_duplicates=True,
        signs_here=True,
    )
    earned_secrets = frozenset({"registered_id", "registered_secret"})

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._base_url = config.settings["url"].rstrip("/")
        self.signer = Signer(config)
        self.tokens = TokenStore(config, self._refreshed)
        self.api = BearerApi(config.http, self._base_url, self.tokens, explain)

    @classmethod
    def asks_consent(cls, settings: Mapping[str, str]) -> bool:
        """Always: the standard knows no other way in."""
        return True

    def consent_url(self, redirect_uri: str, state: str) -> str | None:
        """The host's consent page; the tool registers there first if nobody gave it an id."""
        host = self._host()
        verifier = new_verifier()
        with self.tokens.alone():
            held = dict(self.config.load_secrets())
            if not self._client(held)[0]:
                held |= self._registered(host, redirect_uri)
            held["code_verifier"] = verifier
            self.config.save_secrets(held)
        return consent_url(
            host.authorization_url,
            client_id=self._client(held)[0],
            redirect_uri=redirect_uri,
            scope=SCOPES,
            state=state,
            verifier=verifier,
        )

    def take_consent(self, code: str, redirect_uri: str) -> None:
        """The code for a token and its refresh token; a verifier serves once."""

        def exchanged(held: Mapping[str, str]) -> Grant:
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "scope": SCOPES,
                "code_verifier": held.get("code_verifier", ""),
            }
            return self._granted(self._host().token_url, form, held)

        self.tokens.adopt(exchanged)

    def check(self) -> str:
        """Reads the service description and one credential."""
        title = self._host().title
        answer = self.api.json("GET", "/credentials", params={"limit": "1", "offset": "0"})
        if not isinstance(answer, dict):
            raise Refused(f"{host_of(self._base_url)} is no Open Badges 3.0 API.")
        return f"{title} let us in; credentials are signed as “{self.signer.profile.name}”."

    def achievements(self) -> Iterator[AchievementRef]:
        """A host keeps credentials; badges are made here."""
        return iter(())

    def create(self, draft: AchievementDraft) -> AchievementRef:
        """The badge exists in the tool; it goes out inside each credential."""
        return AchievementRef("", new_id(), draft.name, draft.description, draft.criteria)

    def find(self, issuance: Issuance) -> Receipt | None:
        """Not needed: the host replaces a credential of the same id."""
        return None

    def holdings(self, achievement_ref: str) -> Iterator[ListedAward]:
        """Those of the account's credentials that are of this badge, page by page. One of ours that
        we have no row of is listed too: it is told by its issuer and achievement."""
        signed, achievement = self._signed(achievement_ref)
        for answer in self.api.listed("/credentials", {"limit": PAGE_SIZE, "offset": "0"}):
            for credential in _credentials(answer):
                ref = str(credential.get("id"))
                if ref in signed or self._is_ours(credential, achievement):
                    yield ListedAward(ref)

    def issue(self, issuance: Issuance) -> Receipt:
        """Signs once, then sends it. Any 2xx is the receipt: a host may echo nothing."""
        row = self.signer.issue(issuance)
        reply = self.api.request("POST", "/credentials", json_body=row.document)
        if not reply.ok:
            raise self.api.refusal(reply)
        return Receipt(str(row.document["id"]), None, row.issued_at)

    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """In our status list, which the stored credential names."""
        self.signer.revoke(issuance.award_id, reason)

    def _signed(self, achievement_ref: str) -> tuple[set[str], str | None]:
        """The addresses of what was signed for a badge, and the badge's own."""
        base = self.config.base_url
        badge = func.coalesce(Award.achievement_ref, Achievement.ref)
        with self.config.sessions() as session:
            signed = session.scalars(
                select(IssuedCredential.award_id)
                .join(Award, Award.id == IssuedCredential.award_id)
                .join(Achievement, Achievement.id == Award.achievement_id)
                .where(IssuedCredential.backend_id == self.config.id, badge == achievement_ref)
            )
            found = session.scalar(
                select(Achievement.id).where(
                    Achievement.backend_id == self.config.id, Achievement.ref == achievement_ref
                )
            )
            own = f"{base}/achievements/{found}" if found else None
            return {f"{base}/credentials/{award_id}" for award_id in signed}, own

    def _is_ours(self, credential: Mapping[str, Any], achievement: str | None) -> bool:
        issuer, subject = credential.get("issuer"), credential.get("credentialSubject")
        named = issuer.get("id") if isinstance(issuer, dict) else issuer
        badge = subject.get("achievement") if isinstance(subject, dict) else None
        ours = isinstance(badge, dict) and badge.get("id") == achievement is not None
        return named == self.signer.profile.id and ours

    def _host(self) -> Host:
        reply = call(self.config.http, "GET", f"{self._base_url}/discovery", writes=False)
        if not reply.ok:
            raise self.api.refusal(reply)
        answer: Any = parsed(reply, writes=False)
        try:
            scheme = answer["components"]["securitySchemes"]["OAuth2ACG"]
            flow = scheme["flows"]["authorizationCode"]
            host = Host(
                str(answer["info"]["title"]),
                self._own(flow["authorizationUrl"]),
                self._own(flow["tokenUrl"]),
                self._own(flow.get("refreshUrl") or flow["tokenUrl"]),
                self._own(scheme["x-imssf-registrationUrl"])
                if scheme.get("x-imssf-registrationUrl")
                else None,
            )
        except (KeyError, TypeError):
            raise Refused(
                f"{host_of(self._base_url)} gives no service description at …/discovery; "
                "check the address, which ends in /ims/ob/v3p0."
            ) from None
        return host

    def _own(self, address: Any) -> str:
        """Open Badges 3.0: all addresses of a host lie on one host; a secret goes nowhere else."""
        url = str(address)
        url = f"{self._base_url}{url}" if url.startswith("/") else url
        if host_of(url) != host_of(self._base_url):
            raise Refused("The service description sends sign-ins to another host than the API's.")
        return url

    def _registered(self, host: Host, redirect_uri: str) -> dict[str, str]:
        if host.registration_url is None:
            raise Refused("The host takes no registrations; enter the client id it gave you.")
        base = self.config.base_url
        wish = {
            "client_name": f"{self.signer.profile.name} (lti-badges)",
            "client_uri": base,
            "logo_uri": f"{base}/static/medal.svg",
            "tos_uri": base,
            "policy_uri": base,
            "software_id": "lti-badges",
            "software_version": "1",
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": SCOPES,
        }
        try:
            client_id, secret = register(self.config.http, host.registration_url, wish)
        except TokenRefused as error:
            raise Refused(error.message) from error
        except TokenUnavailable as error:
            raise Unavailable(error.message, retry_after=error.retry_after) from error
        return {"registered_id": client_id, "registered_secret": secret}

    def _client(self, held: Mapping[str, str]) -> tuple[str, str]:
        given = self.config.settings.get("client_id")
        if given:
            return given, held.get("client_secret", "")
        return held.get("registered_id", ""), held.get("registered_secret", "")

    def _refreshed(self, held: Mapping[str, str]) -> Grant:
        if not held.get("refresh_token"):
            raise Unauthorized(
                "Nobody has let this tool in at the host yet, or the permission has ended: press "
                "“Sign in” beside this backend in the admin console."
            )
        form = {
            "grant_type": "refresh_token",
            "refresh_token": held["refresh_token"],
            "scope": SCOPES,
        }
        return self._granted(self._host().refresh_url, form, held)

    def _granted(self, url: str, form: Mapping[str, str], held: Mapping[str, str]) -> Grant:
        refused = "Press “Sign in” beside this backend in the admin console."
        return token(self.config.http, url, form, basic=self._client(held), refused=refused)


def _credentials(answer: Any) -> list[dict[str, Any]]:
    """Those with an embedded proof; a page may hold VC-JWTs alone, which are none of ours."""
    rows = answer.get("credential") if isinstance(answer, dict) else None
    if rows is None and isinstance(answer, dict) and "compactJwsString" in answer:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unavailable("The host sent a list of credentials that can't be read.")
    return rows


def explain(reply: Reply) -> str:
    """`imsx_description` of an Imsx_StatusInfo, else OAuth's description or error."""
    return said(reply, "imsx_description", "error_description", "error")
