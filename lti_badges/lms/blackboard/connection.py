"""What an admin, or an instructor, gives so that Blackboard's own API can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lti_badges.core.http import Http
from lti_badges.lms.blackboard.columns import API
from lti_badges.lms.oauth import token_request
from lti_badges.lms.sign_in import SignIn
from lti_badges.values.settings import Setting

CONNECTION = (
    Setting("url", "Address of your Learn", "For example https://learn.uni.edu"),
    Setting(
        "application_key",
        "REST application: key",
        "Admin, REST API Integrations, bound to a user whose role may view the gradebook "
        "(course.gradebook.MODIFY), course users (course.user.VIEW) and, for completion, the "
        "performance dashboard (course.performance.dashboard.VIEW); as you like, groups "
        "(course.group.VIEW) and merged courses (course.children.VIEW)",
    ),
    Setting("application_secret", "REST application: secret", secret=True),
    Setting(
        "read_as",
        "Whose rights count",
        "application: those of the user it is bound to; instructors: in each course an "
        "instructor signs in",
        default="application",
        choices=("application", "instructors"),
    ),
)
SIGN_IN = SignIn(
    authorize=f"{API}/v1/oauth2/authorizationcode",
    token=f"{API}/v1/oauth2/token",
    scopes="read offline",
    client=("application_key", "application_secret"),
    account=(),
    basic=True,
)


def grant(http: Http, values: Mapping[str, str]) -> Mapping[str, Any]:
    """A token for the refresh token of whoever signed in, else for the application itself."""
    form = {"grant_type": "client_credentials"}
    if values.get("refresh_token"):
        form = {
            "grant_type": "refresh_token",
            "refresh_token": values["refresh_token"],
            "redirect_uri": values.get("redirect_uri", ""),
        }
    return token_request(
        http,
        f"{values.get('url', '').rstrip('/')}{API}/v1/oauth2/token",
        form,
        basic=(values.get("application_key", ""), values.get("application_secret", "")),
    )
