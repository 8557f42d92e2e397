"""Open Educational Badges (openbadges.education): a Badgr server with extensions of its own.

Source: mint-o-badges/badgr-server (2026-01) and a running server of it.
Quirks: the scope must be asked for, or everything is a 404; tokens can't be refreshed; badge
classes with `tags` or `alignments` are answered 500, and so are awards of badges that lack the
Category and Competency extensions, the latter AFTER the award was stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from lti_badges.backends.api import parsed
from lti_badges.backends.badgr import SCOPE, Badgr
from lti_badges.backends.base import AchievementDraft, Traits
from lti_badges.core.errors import InvalidInput, Refused
from lti_badges.values.badge import AchievementRef, Issuance
from lti_badges.values.settings import Setting

CONTEXTS = "https://api.openbadges.education/static/extensions"


class OEB(Badgr):
    """Open Educational Badges, by client credentials that the institution makes in its account."""

    kind = "oeb"
    label = "Open Educational Badges"
    docs = "docs/backends/oeb.md"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Server address", default="https://api.openbadges.education"),
        Setting("client_id", "Client id"),
        Setting("client_secret", "Client secret", secret=True),
        Setting("issuer", "Institution id", "Needed if several", required=False),
        Setting("notify", "Let the server mail the learner", default="no", choices=("no", "yes")),
        Setting(
            "category",
            "Category of badges made here",
            default="participation",
            choices=("participation", "competency"),
        ),
        Setting("study_load", "Study load in minutes of badges made here", default="60"),
        Setting(
            "competency",
            "Competency of badges made here",
            'JSON: {"name", "description", "studyLoad", "category": "skill" or "knowledge", '
            '"framework_identifier": an ESCO address}',
            required=False,
        ),
    )
    traits = Traits(guards_duplicates=True, marks=True, sends_mail=True)

    def token_forms(self, secrets: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Client credentials, each time anew: there is no refresh for them."""
        yield {
            "grant_type": "client_credentials",
            "client_id": self.config.settings["client_id"],
            "client_secret": secrets.get("client_secret", ""),
            "scope": SCOPE,
        }

    def achievements(self) -> Iterator[AchievementRef]:
        """All badges but the learning paths' own: the server awards those by itself."""
        paths = {str(path.get("participationBadge_id", "")) for path in self._paths}
        return (badge for badge in super().achievements() if badge.ref not in paths)

    def awards_itself(self) -> Sequence[str]:
        """The micro-degrees."""
        return [str(path.get("name", "")) for path in self._paths]

    def order(self, issuance: Issuance) -> dict[str, Any]:
        """The learner's name travels as `recipientProfile`, the course as `course_url`."""
        body = super().order(issuance)
        if issuance.recipient.name:
            profile = _extension("recipientProfile", "RecipientProfile")
            profile["name"] = issuance.recipient.name
            body["extensions"] = {"extensions:recipientProfile": profile}
        if issuance.course_url:
            body["course_url"] = issuance.course_url
        return body

    def badge_extras(self, draft: AchievementDraft) -> dict[str, Any]:
        """Without Category and Competency the server fails to issue the badge later."""
        settings = self.config.settings
        try:
            minutes = int(settings.get("study_load", "60"))
        except ValueError:
            raise InvalidInput("“study_load” must be a whole number of minutes.") from None
        category = _extension("CategoryExtension")
        category["Category"] = settings.get("category", "participation")
        study_load = _extension("StudyLoadExtension")
        study_load["StudyLoad"] = minutes
        return {
            "extensions": {
                "extensions:CategoryExtension": category,
                "extensions:StudyLoadExtension": study_load,
                "extensions:CompetencyExtension": self._competencies(draft, minutes),
            }
        }

    def _competencies(self, draft: AchievementDraft, minutes: int) -> list[dict[str, Any]]:
        """None for participation: the server takes an empty list, and a skill that nobody named
        would stand in the learner's backpack."""
        given = self.config.settings.get("competency")
        if not given and self.config.settings.get("category") == "competency":
            raise InvalidInput(
                "Badges of the category “competency” need one: enter “competency” with this "
                "backend, or choose “participation”."
            )
        return [self._competency(given, draft, minutes)] if given else []

    def _competency(self, given: str, draft: AchievementDraft, minutes: int) -> dict[str, Any]:
        competency = _extension("CompetencyExtension")
        competency |= {
            "name": draft.name,
            "description": draft.description,
            "studyLoad": minutes,
            "category": "skill",
            "source": "manual",
            "framework": "esco",
            "framework_identifier": "",
        }
        try:
            competency |= dict(json.loads(given))
        except (ValueError, TypeError):
            raise InvalidInput("“competency” must be a JSON object.") from None
        return competency

    @cached_property
    def _paths(self) -> list[dict[str, Any]]:
        reply = self.api.request("GET", f"/v1/issuer/issuers/{self._issuer()}/learningpath")
        if reply.status == 404:  # an older server without learning paths
            return []
        if not reply.ok:
            raise self.api.refusal(reply)
        answer = parsed(reply, writes=False)
        if not isinstance(answer, list):
            raise Refused("The server's list of learning paths can't be read.")
        return [path for path in answer if isinstance(path, dict)]


def _extension(name: str, kind: str | None = None) -> dict[str, Any]:
    return {
        "@context": f"{CONTEXTS}/{name}/context.json",
        "type": ["Extension", f"extensions:{kind or name}"],
    }
