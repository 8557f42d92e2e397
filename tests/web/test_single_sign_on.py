"""Single sign-on for the console: who gets in, and that nothing bent does."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import time_machine
from click.testing import CliRunner
from sqlalchemy import select

from lti_badges.catalogue.institutions import add_institution
from lti_badges.cli.main import cli
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, SettingsError
from lti_badges.people.admins import admin_link
from lti_badges.settings import Settings
from lti_badges.store import Admin, AdminSession
from tests.support.campus import Campus, campus
from tests.support.sign_on_provider import CLIENT, SECRET, SignOnProvider

GRACE = {"sub": "g-1", "email": "Grace@Example.edu", "email_verified": True}


@pytest.fixture
def provider() -> Iterator[SignOnProvider]:
    with SignOnProvider(claims=dict(GRACE)).running() as running:
        yield running


@pytest.fixture
def signed_on(sqlite_settings: Settings, provider: SignOnProvider) -> Iterator[Campus]:
    """A campus whose tool has the provider; Grace is known by her address."""
    given = sqlite_settings.model_dump() | {
        "sso_issuer": provider.base,
        "sso_client_id": CLIENT,
        "sso_client_secret": SECRET,
        "sso_label": "Example login",
    }
    provider.redirect_uri = f"{sqlite_settings.base_url}/admin/sso/back"
    with campus(Settings(**given)) as both:
        admin_link(both.context, "Grace", None, by="a test", email="grace@example.edu")
        yield both


def sign_in(tool: str) -> httpx.Response:
    """As a browser does: there, and back."""
    with httpx.Client(follow_redirects=True) as browser:
        return browser.get(f"{tool}/admin/sso")


def test_an_admin_signs_in_at_the_provider(signed_on: Campus, provider: SignOnProvider) -> None:
    assert "Sign in with Example login" in httpx.get(f"{signed_on.tool}/admin/").text
    page = sign_in(signed_on.tool)
    assert page.status_code == 200
    assert "Audit log" in page.text
    found = re.search(r"hx-headers='([^']+)'", page.text)
    assert found
    headers = json.loads(html.unescape(found.group(1)))
    assert httpx.get(f"{signed_on.tool}/admin/overview", headers=headers).status_code == 200
    with signed_on.context.sessions() as session:
        (admin,) = session.scalars(select(Admin).where(Admin.name == "Grace"))
        assert admin.subject == f"{provider.base}#g-1"
        assert session.scalars(select(AdminSession.way)).all() == ["sso"]
    # From now on it is her id there that counts, whatever address she has.
    provider.claims["email"] = "else@example.edu"
    assert sign_in(signed_on.tool).status_code == 200
    # And nobody else becomes her by taking her old address there.
    provider.claims |= {"sub": "mallory", "email": "grace@example.edu"}
    assert sign_in(signed_on.tool).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "eve", "email": "eve@example.edu"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email": None},
        {"email": ["grace@example.edu"]},
    ],
)
def test_who_is_not_known_by_a_verified_address_stays_out(
    signed_on: Campus, provider: SignOnProvider, claims: dict[str, Any]
) -> None:
    provider.claims |= claims
    page = sign_in(signed_on.tool)
    assert page.status_code == 403
    assert "no admin of this console is known by your address" in page.text
    with signed_on.context.sessions() as session:
        assert session.scalars(select(AdminSession)).all() == []


@pytest.mark.parametrize(
    "bent",
    [
        {"iss": "https://other.example"},
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(time.time()) - 3600, "iat": int(time.time()) - 7200},
        {"sub": ""},
        {"sub": 7.5},
    ],
)
def test_a_bent_answer_opens_nothing(
    signed_on: Campus, provider: SignOnProvider, bent: dict[str, Any]
) -> None:
    provider.bent = bent
    page = sign_in(signed_on.tool)
    assert page.status_code == 401, bent
    assert "The sign-in did not work" in page.text


def test_another_key_another_provider_and_no_provider(
    signed_on: Campus, provider: SignOnProvider
) -> None:
    provider.key = "somebody else's"
    assert sign_in(signed_on.tool).status_code == 401
    provider.key, provider.named = "provider", "https://other.example"
    assert sign_in(signed_on.tool).status_code == 401


def test_an_answer_counts_once_soon_and_in_its_own_browser(
    signed_on: Campus, provider: SignOnProvider
) -> None:
    with httpx.Client() as browser:
        there = browser.get(f"{signed_on.tool}/admin/sso").headers["location"]
        back = httpx.get(there).headers["location"]
        assert httpx.get(back).status_code == 401  # another browser
        mine = browser.cookies.get("lti_badges_sso")
        other = {"cookie": "lti_badges_sso=x"}
        assert httpx.get(back, headers=other).status_code == 401
        with time_machine.travel(clock.now().timestamp() + 601, tick=True):
            late = httpx.get(back, headers={"cookie": f"lti_badges_sso={mine}"})
            assert late.status_code == 401
        assert "Audit log" in browser.get(back).text
        spent = httpx.get(back, headers={"cookie": f"lti_badges_sso={mine}"})
        assert spent.status_code == 401
        refused = f"{signed_on.tool}/admin/sso/back?error=access_denied&state=x"
        assert httpx.get(refused).status_code == 401


def test_an_institutions_admin_sees_their_own(signed_on: Campus, provider: SignOnProvider) -> None:
    other = add_institution(signed_on.context, "Other university", by="a test")
    admin_link(signed_on.context, "Olga", other, by="a test", email="olga@example.edu")
    provider.claims |= {"sub": "o-1", "email": "olga@example.edu"}
    page = sign_in(signed_on.tool).text
    assert "Other university" in page
    assert "Sandbox campus" not in page


def test_an_address_belongs_to_one_admin(lite: Campus) -> None:
    admin_link(lite.context, "Grace", None, by="a test", email="grace@example.edu")
    for wrong in ("GRACE@example.edu", "nobody", ""):
        with pytest.raises(InvalidInput):
            admin_link(lite.context, "Eve", None, by="a test", email=wrong)
    settings = lite.context.settings
    env = {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }
    done = CliRunner().invoke(cli, ["admin", "--name", "Ada", "--email", "ada@x.org"], env=env)
    assert done.exit_code == 0, done.output
    with lite.context.sessions() as session:
        assert session.scalar(select(Admin.email).where(Admin.name == "Ada")) == "ada@x.org"


def test_without_settings_there_is_no_such_way(lite: Campus) -> None:
    assert "Sign in with" not in httpx.get(f"{lite.tool}/admin/").text
    assert httpx.get(f"{lite.tool}/admin/sso").status_code == 404
    for wrong in (
        {"LTI_BADGES_SSO_ISSUER": "http://login.example.edu", "LTI_BADGES_SSO_CLIENT_ID": "x"},
        {"LTI_BADGES_SSO_ISSUER": "https://login.example.edu"},
    ):
        with pytest.raises(SettingsError):
            Settings.load(wrong)
