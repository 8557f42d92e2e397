"""The bearer token that a launch hands to its pages: who, in which course, as what, for twenty
minutes, and as long as the page goes on asking.

Pages need no cookie. Each request carries the token in a header or a form field, never in an
address; so there is no ambient authority, and nothing for another site to ride on.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from flask import Request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from lti_badges.core.crypto import Cipher
from lti_badges.core.errors import LaunchError
from lti_badges.values.course import Role
from lti_badges.values.permission import Permission

LIFE_S = 20 * 60
RENEW_AFTER_S = 5 * 60
LONGEST_S = 12 * 60 * 60
"""A page can be renewed for so long after its launch."""
TICKET_LIFE_S = 10 * 60
FIELD = "access"


@dataclass(frozen=True, slots=True)
class Access:
    """What its holder may see: one course, as one member, in one role. `deep_link` holds what the
    platform's content picker wants to know, when that is what was opened."""

    institution_id: str
    platform_id: str
    sub: str
    role: Role
    course_id: str = ""
    member_id: str = ""
    name: str = ""
    achievement_id: str = ""
    deep_link: dict[str, Any] | None = None
    read_only: bool = False
    permissions: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    launched_at: float = 0.0

    @property
    def is_renewable(self) -> bool:
        """Whether its launch is not too long ago to go on with the page."""
        return time.time() - self.launched_at < LONGEST_S

    @property
    def may_do(self) -> frozenset[Permission]:
        """As permissions; ones of another version count for nothing."""
        return frozenset(Permission(each) for each in self.permissions if each in set(Permission))

    @property
    def actor(self) -> str:
        """How the audit trail names them."""
        return (self.name or f"{self.role.value} {self.sub}")[:255]


class AdminTokens:
    """What the admin console sends through a backend's consent page and back."""

    def __init__(self, cipher: Cipher) -> None:
        secret = cipher.derive("admin console")
        self._states = URLSafeTimedSerializer(secret, salt="consent")

    def state(self, backend_id: str) -> str:
        """What travels through a backend's consent page and back, for ten minutes."""
        return str(self._states.dumps(backend_id))

    def backend_of(self, state: str) -> str:
        """Whose consent came back. Raises LaunchError."""
        return str(self._checked(self._states, state, TICKET_LIFE_S))

    def _checked(self, serializer: URLSafeTimedSerializer, token: str, life_s: int) -> object:
        try:
            return serializer.loads(token, max_age=life_s)
        except BadSignature:
            raise LaunchError(
                "The console needs a fresh address: run “lti-badges admin” where the tool runs, "
                "and open what it prints.",
                code="admin",
                status=401,
            ) from None


class AccessTokens:
    """Makes and reads tokens, signed with a key derived from the tool's secret."""

    def __init__(self, cipher: Cipher) -> None:
        secret = cipher.derive("access tokens")
        self._serializer = URLSafeTimedSerializer(secret, salt="access")
        self._states = URLSafeTimedSerializer(secret, salt="sign in")

    def make(self, access: Access) -> str:
        """The access as a signed token, to be carried from page to page."""
        return str(self._serializer.dumps(asdict(access)))

    def sign_in(self, access: Access) -> str:
        """What travels through an LMS's consent page and back, for ten minutes."""
        return str(self._states.dumps([access.institution_id, access.course_id, access.actor]))

    def signing_in(self, state: str) -> tuple[str, str, str]:
        """Institution, course and person whose consent came back. Raises LaunchError."""
        try:
            institution_id, course_id, actor = self._states.loads(state, max_age=TICKET_LIFE_S)
        except BadSignature:
            raise LaunchError(
                "This sign-in took too long, or was not begun in a course. Open the tool from your "
                "course and sign in from there.",
                code="sign_in",
                status=401,
            ) from None
        return institution_id, course_id, actor

    def read(self, request: Request) -> tuple[Access, str | None]:
        """The holder of the request's token, and a new token once it is some minutes old. Raises
        LaunchError without a good one."""
        scheme, _, header = request.headers.get("Authorization", "").partition(" ")
        token = header if scheme.lower() == "bearer" else request.form.get(FIELD, "")
        if not token:
            raise LaunchError(
                "Open this page from your course in the LMS: it needs to know who you are.",
                code="no_access",
                status=401,
            )
        try:
            stored, made_at = self._serializer.loads(token, max_age=LIFE_S, return_timestamp=True)
        except SignatureExpired:
            raise LaunchError(
                "This page was not used for more than twenty minutes. Open the tool from your "
                "course again; what you saved is safe.",
                code="access_expired",
                status=401,
            ) from None
        except BadSignature:
            raise LaunchError(
                "This page is not valid any more. Open the tool from your course again.",
                code="bad_access",
                status=401,
            ) from None
        lists = {name: tuple(stored[name]) for name in ("permissions", "observed")}
        access = Access(**{**stored, **lists, "role": Role(stored["role"])})
        old = time.time() - made_at.timestamp() > RENEW_AFTER_S
        return access, self.make(access) if old and access.is_renewable else None
