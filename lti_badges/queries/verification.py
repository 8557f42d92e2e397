"""Verifying a badge of anybody, for the public page and the command: what it says, and each check.

Documents of others are fetched by the HTTP client with limits on number, size and time, never from
private networks; our own are read from the database.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import HttpError
from lti_badges.core.http import Reply, host_of
from lti_badges.core.links import origin_of, same_origin, web_address
from lti_badges.core.text import line, paragraph, read_json
from lti_badges.openbadges import verify_ob2
from lti_badges.openbadges.errors import CredentialError, NotChecked
from lti_badges.openbadges.presented import OB2, Presented, address_in, read, text_of
from lti_badges.openbadges.strangers import hash_apart
from lti_badges.openbadges.verify import (
    Check,
    Verification,
    matches_recipient,
    parse,
    verify_document,
    verify_jwt,
)
from lti_badges.queries import documents

MAX_FETCHES = 8
MAX_FETCHED = 1_000_000
TOTAL_S = 25.0
ONE_S = 10.0
ACCEPT = "application/vc+ld+json, application/ld+json, application/json;q=0.9"
ACCEPT_BADGE = f"{ACCEPT}, application/vc+jwt;q=0.8, image/png;q=0.5, image/svg+xml;q=0.5"
VALID, NOT_VALID, OPEN = "valid", "not valid", "open"


@dataclass(frozen=True, slots=True)
class Report:
    """What a badge says of itself, and what was found. `verdict` is “valid”, “not valid”, or “open”
    where nothing speaks against it and not all could be checked. `issuer_id` is what was checked,
    `issuer` what it calls itself; `issuer_url` leads nowhere but to where that id is."""

    verdict: str
    version: str
    name: str
    description: str
    criteria: str
    issuer: str
    issuer_id: str
    issuer_url: str | None
    address: str | None
    issued: datetime | None
    expires: datetime | None
    checks: tuple[Check, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        dates = {"issued": self.issued, "expires": self.expires}
        told = {name: clock.iso(date) if date else None for name, date in dates.items()}
        checks = [
            {
                "name": each.name,
                "result": "passed" if each.passed else "not checked" if each.is_open else "failed",
                "why": each.sentence,
            }
            for each in self.checks
        ]
        return {**asdict(self), **told, "checks": checks}


def verify_presented(tool: ToolContext, content: bytes, email: str = "") -> Report:
    """Check a baked picture, JSON, a token, or an address of any of these; with `email`, also
    whether it was issued to that person. Raises CredentialError for what is no badge."""
    resolve = _Documents(tool)
    text = text_of(content)
    if address := address_in(text):
        text = resolve.badge_at(address)
        if address_in(text):  # a picture with nothing but the assertion's address inside
            text = resolve.badge_at(text)
    badge, now = read(text), clock.now()
    if badge.version == OB2:
        parts = verify_ob2.parts_of(badge.document, resolve)
        found = verify_ob2.verify_assertion(parts, resolve, now, badge.token)
        if email:
            found = _with_recipient(found, verify_ob2.matches_recipient(badge.document, email))
        return _report_ob2(parts, found)
    if badge.token:
        found = verify_jwt(badge.token, resolve, now, hash_apart)
    else:
        found = verify_document(badge.document, resolve, now, hash_apart)
    if email:
        found = _with_recipient(found, _is_recipient(badge.document, email))
    return _report(badge, found)


class _Documents:
    """Documents by their addresses for one verification, each fetched once."""

    def __init__(self, tool: ToolContext) -> None:
        self._tool = tool
        self._ends = time.monotonic() + TOTAL_S
        self._left = MAX_FETCHES
        self._known: dict[str, dict[str, Any] | NotChecked | None] = {}

    def __call__(self, url: str) -> dict[str, Any] | None:
        """Raises NotChecked for what can't be read now; None for what is not there."""
        address = url.partition("#")[0]
        if address not in self._known:
            try:
                self._known[address] = self._read(address)
            except NotChecked as error:
                self._known[address] = error
        found = self._known[address]
        if isinstance(found, NotChecked):
            raise found
        return found

    def badge_at(self, url: str) -> str:
        """The text of the badge at an address. Raises CredentialError."""
        if self._is_ours(url):
            found = documents.resolve(self._tool, url)
            if found is None:
                raise CredentialError("There is no such badge here.")
            return json.dumps(found)
        reply = self._fetch(url, ACCEPT_BADGE)
        if not reply.ok and reply.status != 410:  # OB 2.0: a revoked assertion
            raise CredentialError(f"{host_of(url)} answers {reply.status}: no badge is there.")
        text = text_of(reply.body)
        with suppress(CredentialError):  # not fetched again for the checks
            self._known[url] = parse(text)
        return text

    def _read(self, url: str) -> dict[str, Any] | None:
        if url.startswith("did:"):
            return self._did(url)
        if web_address(url) is None:
            return None
        if self._is_ours(url):
            return documents.resolve(self._tool, url)
        reply = self._fetch(url, ACCEPT)
        if reply.status == 404:
            return None
        if not reply.ok and reply.status != 410:
            raise NotChecked(f"{host_of(url)} answers {reply.status}.")
        try:
            found = read_json(reply.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise NotChecked(f"{host_of(url)} answers with something that is no document.")
        return found

    def _did(self, did: str) -> dict[str, Any] | None:
        """`did:key` is its own document, `did:web` stands at a web address."""
        method, _, name = did.removeprefix("did:").partition(":")
        if method == "key":
            key_id = f"{did}#{name}"
            key = {"id": key_id, "publicKeyMultibase": name}
            return {"id": did, "verificationMethod": [key], "assertionMethod": [key_id]}
        if method != "web":
            raise NotChecked(f"Issuers of the kind did:{method[:20]} are not known here.")
        host, *path = name.split(":")
        folder = "/".join(path) or ".well-known"
        found = self._read(f"https://{host.replace('%3A', ':')}/{folder}/did.json")
        return None if found is None else _absolute(did, found)

    def _is_ours(self, url: str) -> bool:
        return origin_of(url) == origin_of(self._tool.settings.base_url)

    def _fetch(self, url: str, accept: str) -> Reply:
        left = self._ends - time.monotonic()
        if self._left <= 0 or left <= 0:
            raise NotChecked("It points to more documents than can be read here.")
        self._left -= 1
        try:
            return self._tool.http.get(
                url,
                headers={"Accept": accept},
                public_only=True,
                max_bytes=MAX_FETCHED,
                total_s=min(left, ONE_S),
            )
        except HttpError as error:
            raise NotChecked(error.message) from None


def _absolute(did: str, document: dict[str, Any]) -> dict[str, Any]:
    """A DID document with whole names: they may be written relative to its id, and keys inside
    the list that uses them (DID Core 1.0 §3.2.2, §5.3)."""

    def whole(name: Any) -> str:
        return f"{did}{name}" if str(name).startswith("#") else str(name)

    methods = [each for each in _listed(document, "verificationMethod") if isinstance(each, dict)]
    used = []
    for each in _listed(document, "assertionMethod"):
        if isinstance(each, dict):
            methods.append(each)
        used.append(whole(each.get("id") if isinstance(each, dict) else each))
    methods = [each | {"id": whole(each.get("id"))} for each in methods]
    return document | {"verificationMethod": methods, "assertionMethod": used}


def _listed(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    return found if isinstance(found, list) else []


def _is_recipient(document: dict[str, Any], email: str) -> bool:
    try:
        return matches_recipient(document, email)
    except (AttributeError, TypeError, ValueError):
        return False


def _with_recipient(found: Verification, matches: bool) -> Verification:
    sentence = (
        "It was issued to this e-mail address."
        if matches
        else "It does not say that it was issued to this e-mail address."
    )
    return Verification((*found.checks, Check("Recipient", matches, sentence)))


def _clean(found: Verification) -> tuple[Check, ...]:
    """The checks; what they quote was written by others."""
    return tuple(replace(each, sentence=line(each.sentence) or "") for each in found.checks)


def _verdict(found: Verification) -> str:
    return VALID if found.passed else NOT_VALID if found.failed else OPEN


def _report(badge: Presented, found: Verification) -> Report:
    document = badge.document
    subject = _part(document, "credentialSubject")
    achievement, issuer = _part(subject, "achievement"), _part(document, "issuer")
    return Report(
        verdict=_verdict(found),
        version=badge.version,
        name=line(achievement.get("name")) or line(document.get("name")) or "A badge without name",
        description=paragraph(achievement.get("description"), 2000) or "",
        criteria=paragraph(_part(achievement, "criteria").get("narrative"), 4000) or "",
        issuer=line(issuer.get("name")) or line(issuer.get("id")) or "not said",
        **_identified(issuer),
        address=web_address(document.get("id")),
        issued=_date(document.get("awardedDate") or document.get("validFrom")),
        expires=_date(document.get("validUntil")),
        checks=_clean(found),
    )


def _report_ob2(parts: verify_ob2.Parts, found: Verification) -> Report:
    badge, issuer = parts.badge, parts.issuer
    return Report(
        verdict=_verdict(found),
        version=OB2,
        name=line(badge.get("name")) or "A badge without name",
        description=paragraph(badge.get("description"), 2000) or "",
        criteria=paragraph(_part(badge, "criteria").get("narrative"), 4000) or "",
        issuer=line(issuer.get("name")) or "not said",
        **_identified(issuer),
        address=web_address(parts.assertion.get("id")),
        issued=_date(parts.assertion.get("issuedOn")),
        expires=_date(parts.assertion.get("expires")),
        checks=_clean(found),
    )


def _identified(issuer: Mapping[str, Any]) -> dict[str, Any]:
    identity, site = line(issuer.get("id")) or "", web_address(issuer.get("url"))
    own_site = site if site and same_origin(site, identity) else None
    return {"issuer_id": identity, "issuer_url": own_site or web_address(identity)}


def _part(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name)
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, str):
        return {"id": found}
    return found if isinstance(found, dict) else {}


def _date(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
