"""What anyone can fetch: documents by content negotiation, pages, status lists."""

from __future__ import annotations

import json

import httpx
import jwt
import pytest

from lti_badges.awarding.manual import revoke
from lti_badges.core import clock
from lti_badges.openbadges.bake import unbake_png, unbake_svg
from lti_badges.openbadges.verify import verify_document, verify_jwt
from tests.support.campus import Campus

BEN = "5"


@pytest.fixture
def issued(lite: Campus) -> tuple[Campus, str]:
    """A campus, and the address of a credential in it."""
    lite.rule()
    lite.grade(BEN, 46)
    lite.sync()
    lite.deliver()
    return lite, f"{lite.tool}/credentials/{lite.award_of(BEN).id}"


def fetch(url: str) -> dict[str, object] | None:
    """A document over HTTP, as a stranger's verifier would read it."""
    answer = httpx.get(url, headers={"Accept": "application/json"})
    return answer.json() if answer.status_code == 200 else None


def test_each_form_has_its_type_and_address(issued: tuple[Campus, str]) -> None:
    _, url = issued
    for accept, media_type in (
        ("text/html", "text/html"),
        ("*/*", "text/html"),
        ("application/vc+jwt", "application/vc+jwt"),
        ("application/vc+ld+json", "application/vc+ld+json"),
        ("application/ld+json", "application/ld+json"),
        ("application/json", "application/json"),
    ):
        answer = httpx.get(url, headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert "Accept" in answer.headers["vary"]
    for ending, media_type in (
        (".json", "application/vc+ld+json"),
        (".jwt", "application/vc+jwt"),
        (".png", "image/png"),
        (".svg", "image/svg+xml"),
        ("/ob2.json", "application/ld+json"),
    ):
        answer = httpx.get(url + ending)
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.headers["access-control-allow-origin"] == "*"


def test_strangers_verify_it_over_http(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    document = httpx.get(f"{url}.json").json()
    assert document["id"] == url
    assert verify_document(document, fetch, clock.now()).passed
    token = httpx.get(f"{url}.jwt").text
    assert verify_jwt(token, fetch, clock.now()).passed
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256"
    assert httpx.get(header["kid"]).json()["kty"] == "RSA"
    png, svg = httpx.get(f"{url}.png").content, httpx.get(f"{url}.svg").text
    assert unbake_png(png) == unbake_svg(svg) == token
    assert unbake_png(png, "openbadges") == f"{url}/ob2.json"
    revoke(campus.context, campus.award_of(BEN).id, reason="A mistake", by="Ada")
    campus.deliver()
    checks = verify_document(document, fetch, clock.now()).checks
    assert [check.name for check in checks if not check.passed] == ["Status"]
    assert httpx.get(f"{url}/ob2.json").status_code == 410


def test_score_and_threshold_stand_in_the_credential(issued: tuple[Campus, str]) -> None:
    _, url = issued
    subject = httpx.get(f"{url}.json").json()["credentialSubject"]
    assert subject["result"][0]["value"] == "46 of 50 = 92 %"
    assert subject["achievement"]["resultDescription"][0]["requiredValue"] == "80 %"
    kinds = {each["identityType"] for each in subject["identifier"]}
    assert kinds == {"emailAddress", "ltiUserId"}
    assert "ben.carter" not in json.dumps(subject)


def test_whose_it_is_can_be_checked(issued: tuple[Campus, str]) -> None:
    _, url = issued
    yes = httpx.post(url, data={"email": " Ben.Carter@Example.org "}).text
    assert "Yes, it was issued to this address." in yes
    assert "No, it was not issued" in httpx.post(url, data={"email": "x@example.org"}).text


def test_achievement_and_issuer_answer_as_page_and_document(issued: tuple[Campus, str]) -> None:
    _, url = issued
    document = httpx.get(f"{url}.json").json()
    for address in (document["credentialSubject"]["achievement"]["id"], document["issuer"]["id"]):
        assert httpx.get(address, headers={"Accept": "application/json"}).json()["id"] == address
        assert "<h1>" in httpx.get(address, headers={"Accept": "text/html"}).text
        assert (
            httpx.get(f"{address}/ob2.json").json()["@context"] == "https://w3id.org/openbadges/v2"
        )


@pytest.mark.parametrize(
    "path",
    [
        "/credentials/00000000-0000-0000-0000-000000000000",
        "/credentials/00000000-0000-0000-0000-000000000000.json",
        "/credentials/x",
        "/achievements/00000000-0000-0000-0000-000000000000",
        "/achievements/00000000-0000-0000-0000-000000000000/image.png",
        "/issuers/00000000-0000-0000-0000-000000000000",
        "/issuers/00000000-0000-0000-0000-000000000000/keys/x",
        "/status/00000000-0000-0000-0000-000000000000",
        "/nothing",
    ],
)
def test_what_is_not_there_is_404_with_a_sentence(lite: Campus, path: str) -> None:
    answer = httpx.get(lite.tool + path)
    assert answer.status_code == 404
    assert "<h1>" in answer.text


def test_a_badge_on_its_way_has_a_page_too(lite: Campus) -> None:
    lite.rule()
    lite.sync()
    page = httpx.get(f"{lite.tool}/credentials/{lite.awards()[0].id}")
    assert page.status_code == 200
    assert "waiting to be sent" in page.text


def test_pages_keep_scripts_out(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    for page in (httpx.get(url), campus.enter("3"), campus.enter(BEN)):
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert " style=" not in page.text
        assert "<script>" not in page.text


def test_health(lite: Campus) -> None:
    assert httpx.get(f"{lite.tool}/healthz").status_code == 200
    assert httpx.get(f"{lite.tool}/readyz").json() == {"ready": True, "problems": {}}
    lite.rule()
    lite.sync()
    text = httpx.get(f"{lite.tool}/metrics").text
    assert f'lti_badges_awards{{state="pending"}} {float(len(lite.expected()))}' in text
