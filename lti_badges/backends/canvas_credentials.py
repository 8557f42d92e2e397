"""Canvas Credentials, also sold as Parchment Digital Badges: the Badgr protocol by region.

Source: developerdocs.instructure.com, services/credentials and services/parchment-digital-badges.
Quirks: accounts, issuers and tokens belong to one region; new terms of use stop an account until
somebody accepts them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from lti_badges.backends.badgr import Badgr
from lti_badges.backends.base import BackendConfig
from lti_badges.core.errors import Refused
from lti_badges.values.badge import Issuance
from lti_badges.values.settings import Setting

HOSTS = {
    "us": "https://api.badgr.io",
    "eu": "https://api.eu.badgr.io",
    "au": "https://api.au.badgr.io",
    "ca": "https://api.ca.badgr.io",
    "sg": "https://api.sg.badgr.io",
    "demo": "https://api.demo.badgr.com",
    "test": "https://api.test.badgr.com",
    "parchment-us": "https://api.badges.parchment.com",
    "parchment-eu": "https://api.badges.parchment.eu",
    "parchment-au": "https://api.badges.parchment.au",
    "parchment-ca": "https://api.badges.parchment.ca",
    "parchment-sg": "https://api.badges.parchment.sg",
    "parchment-demo": "https://api.demo.badges.parchment.com",
    "parchment-test": "https://api.test.badges.parchment.com",
}


class CanvasCredentials(Badgr):
    """The hosted service: a region, or an address where Instructure names another."""

    kind = "canvas-credentials"
    label = "Canvas Credentials / Parchment Digital Badges"
    docs = "docs/backends/canvas-credentials.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("region", "Region of the account", default="us", choices=tuple(HOSTS)),
        Setting("url", "API address, if not the region's", required=False),
        *(setting for setting in Badgr.settings if setting.name != "url"),
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.api.stops = _unaccepted_terms

    def base_url(self) -> str:
        """The region's host, unless an address is given."""
        given = self.config.settings.get("url")
        return (given or HOSTS[self.config.settings.get("region", "us")]).rstrip("/")

    def order(self, issuance: Issuance) -> dict[str, Any]:
        """Evidence carries its address under both names that this service's documents use."""
        body = super().order(issuance)
        for evidence in body["evidence"]:
            evidence["id"] = evidence["url"]
        return body


def _unaccepted_terms(answer: Any) -> None:
    """A refusal that names `latestTermsVersion` waits for a person to accept the new terms."""
    if not isinstance(answer, dict) or "latestTermsVersion" not in answer:
        return
    status = answer.get("status")
    if isinstance(status, dict) and status.get("success") is False:
        raise Refused(
            "The account has not accepted the newest terms of use "
            f"(version {answer['latestTermsVersion']}). Sign in to the badge service once, accept "
            "them, then retry.",
            code="terms",
        )
