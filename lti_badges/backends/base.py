"""The interface every badge backend stands behind; everything above it is written once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from lti_badges.core.errors import Refused
from lti_badges.core.http import Http
from lti_badges.store import Sessions
from lti_badges.store.signing_keys import SigningKeys
from lti_badges.values.badge import AchievementRef, Issuance, ListedAward, Receipt
from lti_badges.values.settings import Setting

YES_NO = ("no", "yes")
PACE = (
    Setting(
        "at_once", "Awards sent at the same time", "No limit if empty", required=False, counts=True
    ),
    Setting(
        "a_minute", "Awards sent in a minute", "No limit if empty", required=False, counts=True
    ),
    Setting("shadow", "Send nothing, only show what would be sent", default="no", choices=YES_NO),
)
"""What every remote backend can be set to, besides its own settings."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a backend can and needs. Pages offer only what the traits allow.

    `guards_duplicates`: it never makes a second one for the same learner; `marks`: what we issued
    can be told there from what others did; `looks_first`: it would make a second one beside what
    others issued, so it is asked even before the first send. `lists`: it has badges of its own to
    choose from; `signs_here`: its credentials carry this tool's signature; `is_local`: nothing
    leaves the tool.
    """

    needs_email: bool = True
    needs_name: bool = False
    needs_other_id: bool = False
    finds: bool = True
    revokes: bool = True
    creates_achievements: bool = True
    takes_evidence: bool = True
    takes_expiry: bool = True
    takes_score: bool = False
    guards_duplicates: bool = False
    marks: bool = False
    looks_first: bool = False
    sends_mail: bool = False
    lists: bool = True
    signs_here: bool = False
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """One configured backend and its collaborators.

    `profile` is what its institution says of itself, where its own settings say nothing.
    `load_secrets` reads them anew (another worker may have rotated them), `save_secrets` stores
    rotated ones at once: refresh tokens work a single time.
    """

    id: str
    name: str
    base_url: str
    http: Http
    sessions: Sessions
    keys: SigningKeys
    settings: Mapping[str, str] = field(default_factory=dict)
    institution_id: str = ""
    profile: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    load_secrets: Callable[[], Mapping[str, str]] = field(default=dict)
    save_secrets: Callable[[Mapping[str, str]], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True)
class AchievementDraft:
    """A badge to be created: texts are plain or Markdown (criteria), `image` PNG or SVG or None."""

    name: str
    description: str
    criteria: str
    image: bytes | None = None
    image_type: str | None = None


class Backend(ABC):
    """One vendor, one file. Methods raise only the BackendError family:

    Refused, Unauthorized, NeedsRecipient (a person must act), Unavailable (nothing was stored,
    repeat later), OutcomeUnknown (perhaps stored: `find` before any resend).
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    docs: ClassVar[str] = ""
    settings: ClassVar[tuple[Setting, ...]] = ()
    traits: Traits = Traits()
    earned_secrets: ClassVar[frozenset[str]] = frozenset()
    """Secrets that it obtained itself and that outlive an edit, as long as the address stays."""

    def __init__(self, config: BackendConfig) -> None:
        self.config = config

    @classmethod
    def options(cls) -> tuple[Setting, ...]:
        """All settings: its own, and how fast it may be called."""
        return cls.settings if cls.traits.is_local else (*cls.settings, *PACE)

    @classmethod
    def asks_consent(cls, settings: Mapping[str, str]) -> bool:
        """Whether a person signs in at the backend to let us in, with these settings."""
        return False

    def consent_url(self, redirect_uri: str, state: str) -> str | None:
        """Where a person lets us in (OAuth 2 authorization code); None where that is not the way,
        or not set up."""
        return None

    def take_consent(self, code: str, redirect_uri: str) -> None:
        """Exchange the code that came back for tokens, and keep them."""
        raise Refused(f"{self.label} is not connected that way.")

    @abstractmethod
    def check(self) -> str:
        """Prove that the connection works, without changing anything; a sentence that says what
        was reached and as whom."""

    @abstractmethod
    def achievements(self) -> Iterator[AchievementRef]:
        """All badges that can be awarded there, streamed. `id` is empty: ids are ours."""

    def awards_itself(self) -> Sequence[str]:
        """Names of what the server awards by itself for other badges held: shown, never issued."""
        return ()

    @abstractmethod
    def create(self, draft: AchievementDraft) -> AchievementRef:
        """Create a badge there and return it as stored."""

    @abstractmethod
    def find(self, issuance: Issuance) -> Receipt | None:
        """The award as the backend has it now, told by our marker, or None. Changes nothing."""

    def holdings(self, achievement_ref: str) -> Iterator[ListedAward] | None:
        """Everybody's awards of a badge as the backend has them, streamed, revoked ones too; None
        where it has no such list, so that each award is looked up by itself."""
        return None

    @abstractmethod
    def issue(self, issuance: Issuance) -> Receipt:
        """Issue it. Called only after `find` answered None or on a first attempt."""

    @abstractmethod
    def revoke(self, issuance: Issuance, receipt_ref: str, reason: str) -> None:
        """Revoke it; silently done when it is revoked already."""
