"""Signing in to the console at the operator's OpenID Connect provider."""

from __future__ import annotations

from flask import make_response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.people.admins import open_for
from lti_badges.people.single_sign_on import LIFE_S, begin, finish
from lti_badges.web.admin.blueprint import admin, open_console
from lti_badges.web.admin.opening import console
from lti_badges.web.services import services

COOKIE, PATH = "lti_badges_sso", "/admin/sso"


@admin.get("/sso")
def sso() -> AnyResponse:
    """To the provider; what comes back is taken in this browser only."""
    tool = services().installation
    url, kept = begin(tool, _back())
    response = make_response(redirect(url))
    response.set_cookie(
        COOKIE,
        kept,
        max_age=LIFE_S,
        path=PATH,
        secure=tool.settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


@admin.get("/sso/back")
def sso_back() -> AnyResponse:
    """From the provider: the console of an admin whom it vouches for."""
    tool = services().installation
    vouched = finish(tool, request.args, request.cookies.get(COOKIE, ""), _back())
    opened, who = open_for(
        tool, vouched.subject, vouched.email, browser=request.headers.get("User-Agent", "")
    )
    open_console(who, None)
    response = make_response(console(opened))
    response.delete_cookie(COOKIE, path=PATH)
    return response


def _back() -> str:
    return services().installation.settings.url(f"{PATH}/back")
