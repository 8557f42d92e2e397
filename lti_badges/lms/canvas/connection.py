"""What an admin or instructor gives so that Canvas's own API can be read, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lti_badges.core.http import Http
from lti_badges.lms.canvas.scopes import OPTIONAL, REQUIRED, scope
from lti_badges.lms.oauth import token_request
from lti_badges.lms.sign_in import SignIn
from lti_badges.values.course import Kind
from lti_badges.values.settings import Setting

SCOPES = " ".join(scope(path) for path in REQUIRED)
"""The least that is needed: Canvas refuses a sign-in for more than the key has."""
SIGN_IN = SignIn(
    authorize="/login/oauth2/auth",
    token="/login/oauth2/token",  # noqa: S106 - an address
    scopes=SCOPES,
    client=("client_id", "client_secret"),
    account=("token", "refresh_token"),
)
CONNECTION = (
    Setting("url", "Address of your Canvas", "For example https://uni.instructure.com"),
    Setting(
        "token",
        "Access token of a service user who may view all grades",
        "or the three below; the key's scopes: "
        f"{', '.join(scope(path) for path in REQUIRED)}; as you like, each by itself: "
        + "; ".join(
            f"{label}: {', '.join(map(scope, paths))}" for label, paths in OPTIONAL.items()
        ),
        secret=True,
        required=False,
    ),
    Setting("client_id", "API developer key: id", required=False),
    Setting("client_secret", "API developer key: key", secret=True, required=False),
    Setting("refresh_token", "Refresh token of the service user", secret=True, required=False),
    Setting("events_key_set", "Key set of Live Events, if not Instructure's", required=False),
    Setting(
        "scopes",
        "Scopes to ask instructors for",
        "Only without a token and refresh token: then each instructor signs in for their course",
        required=False,
    ),
)
TELLS = (
    (Kind.ITEM, "Every published assignment, once its grade is posted."),
    (
        Kind.COURSE_GRADE,
        (
            "The final score: what is not handed in counts as zero; an override wins. Besides "
            "it the grade so far, the override alone, and each grading period."
        ),
    ),
    (Kind.COMPLETION, "Module requirements; a course without them can't be completed."),
    (
        Kind.GROUP,
        (
            "Modules, assignment groups, sections, groups, outcomes and grading periods, as "
            "far as the connection's scopes allow; they are listed once a day."
        ),
    ),
)
"""What rules can use then, in sentences for instructors."""


def grant(http: Http, values: Mapping[str, str]) -> Mapping[str, Any]:
    """A token for the refresh token, which stays the same."""
    form = {
        "grant_type": "refresh_token",
        "client_id": values.get("client_id", ""),
        "client_secret": values.get("client_secret", ""),
        "refresh_token": values.get("refresh_token", ""),
    }
    return token_request(http, f"{values.get('url', '').rstrip('/')}/login/oauth2/token", form)
