"""Whose badges these are: the institution's profile in what is signed, its logo and colour on
pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from lti_badges.catalogue.branding import save_colour
from lti_badges.catalogue.configuration import save_backend
from lti_badges.catalogue.institutions import add_institution, save_profile, share
from lti_badges.cli.main import cli
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.openbadges.verify import verify_document
from lti_badges.people.display import set_display
from lti_badges.store import DEFAULT_INSTITUTION, BackendRow
from lti_badges.values.colour import DARK, DARK_INK, LIGHT, accents, contrast
from tests.support.campus import Campus
from tests.web.test_public import BEN, fetch

PROFILE = {
    "name": "University of Example",
    "url": "https://www.example.edu",
    "email": "badges@example.edu",
    "address": "1 Main Street\nExample",
}
LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>'
PAGE = {"Accept": "text/html"}


def unnamed(campus: Campus) -> None:
    """The built-in issuer without settings of its own, as `serve` makes it."""
    with campus.context.sessions.begin() as session:
        for row in session.query(BackendRow):
            row.settings = {}


def issued_to(campus: Campus, sub: str, badge: str | None = None) -> str:
    """The address of a credential of a new rule."""
    campus.rule(badge=badge)
    campus.grade(sub, 46)
    campus.sync()
    campus.deliver()
    return f"{campus.tool}/credentials/{campus.award_of(sub).id}"


def run(campus: Campus, *arguments: str) -> Any:
    settings = campus.context.settings
    env = {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }
    return CliRunner().invoke(cli, ["institutions", *arguments], env=env)


def test_credentials_are_issued_in_the_institutions_name(lite: Campus, tmp_path: Path) -> None:
    unnamed(lite)
    before = issued_to(lite, BEN)
    assert fetch(f"{before}.json")["issuer"]["name"] == "Badges"  # type: ignore[index]
    given = [f"--set={key}={value}" for key, value in PROFILE.items()]
    assert run(lite, "profile", "default", *given).exit_code == 0
    logo = tmp_path / "logo.svg"
    logo.write_bytes(LOGO)
    done = run(lite, "branding", "default", "--logo", str(logo), "--colour", "#7A1FA2")
    assert done.exit_code == 0, done.output

    # What was signed before keeps its issuer, and verifies; what is signed now names the new one.
    old = fetch(f"{before}.json")
    assert old is not None
    assert old["issuer"]["name"] == "Badges"  # type: ignore[index]
    assert "Issued by <a" in httpx.get(before, headers=PAGE).text
    assert ">Badges</a>" in httpx.get(before, headers=PAGE).text
    assert verify_document(old, fetch, clock.now()).passed
    new = issued_to(lite, "6", lite.badge("Another"))
    document = fetch(f"{new}.json")
    assert document is not None
    issuer: Any = document["issuer"]
    assert (issuer["name"], issuer["url"], issuer["email"]) == tuple(PROFILE.values())[:3]
    assert issuer["address"] == {"type": ["Address"], "streetAddress": PROFILE["address"]}
    shown = httpx.get(issuer["image"]["id"])
    assert shown.content == LOGO
    assert shown.headers["content-type"].startswith("image/svg+xml")
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert verify_document(document, fetch, clock.now()).passed
    profile: Any = fetch(issuer["id"])
    assert (profile["name"], profile["email"]) == (PROFILE["name"], PROFILE["email"])
    assert httpx.get(f"{issuer['id']}/ob2.json").json()["image"] == issuer["image"]["id"]
    page = httpx.get(issuer["id"], headers=PAGE).text
    assert "badges@example.edu" in page
    assert "1 Main Street" in page


def test_a_backends_own_settings_go_first(lite: Campus) -> None:
    unnamed(lite)
    tool = lite.context.within(DEFAULT_INSTITUTION)
    save_profile(tool, PROFILE, by="a test")
    save_backend(tool, "builtin", "builtin", {"issuer_name": "Faculty of Examples"}, {})
    issuer: Any = fetch(f"{issued_to(lite, BEN)}.json")["issuer"]  # type: ignore[index]
    assert issuer["name"] == "Faculty of Examples"
    assert issuer["url"] == PROFILE["url"]
    assert "Faculty of Examples" in lite.enter(BEN).text


def test_a_credential_signed_anew_names_the_issuer_of_now(lite: Campus) -> None:
    unnamed(lite)
    url = issued_to(lite, BEN)
    save_profile(lite.context.within(DEFAULT_INSTITUTION), PROFILE, by="a test")
    award = lite.award_of(BEN)
    set_display(
        lite.context,
        award.id,
        award.member_id,
        visibility="link",
        shows_name=True,
        shows_result=False,
        by="Ben",
    )
    document = fetch(f"{url}.json")
    assert document is not None
    assert document["issuer"]["name"] == PROFILE["name"]  # type: ignore[index]
    assert verify_document(document, fetch, clock.now()).passed


def test_a_shared_backend_issues_in_its_owners_name(lite: Campus) -> None:
    unnamed(lite)
    owner = add_institution(lite.context, "Owner university", by="a test")
    save_profile(lite.context.within(owner), PROFILE, by="a test")
    with lite.context.sessions() as session:
        theirs = session.query(BackendRow).filter_by(institution_id=owner).one().id
    share(lite.context, "backend", theirs, "default", stop=False, by="a test")
    from lti_badges.backends import AchievementDraft
    from lti_badges.catalogue.achievements import create_achievement

    tool = lite.context.within(DEFAULT_INSTITUTION)
    badge = create_achievement(tool, theirs, AchievementDraft("Shared", "d", "c"))
    issuer: Any = fetch(f"{issued_to(lite, BEN, badge)}.json")["issuer"]  # type: ignore[index]
    assert issuer["name"] == PROFILE["name"]


def test_pages_wear_the_logo_and_the_colour(lite: Campus, tmp_path: Path) -> None:
    url = issued_to(lite, BEN)
    for page in (httpx.get(url, headers=PAGE).text, lite.enter(BEN).text):
        assert "style.css" not in page
        assert 'class="logo"' not in page
    save_profile(lite.context.within(DEFAULT_INSTITUTION), PROFILE, by="a test")
    logo = tmp_path / "logo.svg"
    logo.write_bytes(LOGO)
    run(lite, "branding", "default", "--logo", str(logo), "--colour", "#7a1fa2")
    for page in (httpx.get(url, headers=PAGE).text, lite.enter(BEN).text):
        assert "University of Example" in page
        style = re.search(r'href="(/institutions/[^"]+style.css[^"]+)"', page)
        picture = re.search(r'class="logo" src="([^"]+)"', page)
        assert style
        assert picture
        sheet = httpx.get(lite.tool + style.group(1))
        assert sheet.headers["content-type"].startswith("text/css")
        assert "--accent: #7a1fa2" in sheet.text
        assert httpx.get(lite.tool + picture.group(1)).content == LOGO
    assert run(lite, "branding", "default", "--no-logo", "--colour", "").exit_code == 0
    assert 'class="logo"' not in httpx.get(url, headers=PAGE).text
    assert httpx.get(f"{lite.tool}/institutions/{DEFAULT_INSTITUTION}/logo").status_code == 404
    assert httpx.get(f"{lite.tool}/institutions/{DEFAULT_INSTITUTION}/style.css").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "javascript:alert(1)"}, "web site"),
        ({"url": "www.example.edu"}, "web site"),
        ({"email": "nobody"}, "e-mail"),
        ({"email": "a@b.c\nBcc: d@e.f"}, "e-mail"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
    ],
)
def test_an_odd_profile_changes_nothing(lite: Campus, wrong: dict[str, str], said: str) -> None:
    tool = lite.context.within(DEFAULT_INSTITUTION)
    save_profile(tool, PROFILE, by="a test")
    with pytest.raises(InvalidInput, match=said):
        save_profile(tool, PROFILE | wrong, by="a test")
    assert '"name": "University of Example"' in run(lite, "show", "default").output


def test_a_picture_that_is_none_is_no_logo(lite: Campus, tmp_path: Path) -> None:
    for content in (b"GIF89a", b"<svg><script/></svg>", b"\x89PNG\r\n", b"x" * 1_000_001):
        bad = tmp_path / "bad"
        bad.write_bytes(content)
        assert run(lite, "branding", "default", "--logo", str(bad)).exit_code == 1
    assert httpx.get(f"{lite.tool}/institutions/{DEFAULT_INSTITUTION}/logo").status_code == 404


@pytest.mark.parametrize("colour", ["", "#12", "red", "#12345g", "#1234567", "url(x)", "#fff;x:y"])
def test_what_is_no_colour_is_refused(colour: str) -> None:
    with pytest.raises(InvalidInput):
        accents(colour)


@pytest.mark.parametrize("colour", ["#ffffff", "#ffeb3b", "#8bc34a", "#00bcd4", "#888888"])
def test_a_colour_that_can_not_be_read_is_refused_and_a_near_one_named(
    lite: Campus, colour: str
) -> None:
    tool = lite.context.within(DEFAULT_INSTITUTION)
    with pytest.raises(InvalidInput, match="too light") as refused:
        save_colour(tool, colour, by="a test")
    named = re.findall(r"#[0-9a-f]{6}", refused.value.message)[-1]
    assert accents(named).light.colour == named
    assert "colour" not in run(lite, "show", "default").output


@pytest.mark.parametrize("colour", ["#000000", "#2f54c8", "#7a1fa2", "#b00020", "#006400"])
def test_text_in_the_colour_can_be_read_in_light_and_in_dark(colour: str) -> None:
    found = accents(colour)
    assert found.light.colour == colour
    for accent, grounds in ((found.light, LIGHT), (found.dark, DARK)):
        for other in (*grounds, accent.wash, accent.ink):
            assert contrast(accent.colour, other) >= 4.5, (colour, other)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_colours_behind_the_text_are_those_of_the_stylesheet() -> None:
    sheet = (Path(__file__).parents[2] / "lti_badges/web/static/app.css").read_text()
    light, dark = sheet.split("@media (prefers-color-scheme: dark)", 1)
    for name, value in zip(("paper", "wash"), LIGHT, strict=True):
        assert f"--{name}: {value}" in light
    for name, value in (*zip(("paper", "wash"), DARK, strict=True), ("accent-ink", DARK_INK)):
        assert f"--{name}: {value}" in dark
