"""What anyone can fetch: documents by content negotiation, pages, status lists."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import select

from lti_badges.awarding.manual import revoke
from lti_badges.catalogue import pictures
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput
from lti_badges.openbadges.bake import unbake_png, unbake_svg
from lti_badges.openbadges.verify import verify_document, verify_jwt
from lti_badges.people.display import set_display
from lti_badges.store import Award, DrawnPicture, IssuedCredential, RuleVersion
from tests.support.campus import Campus
from tests.web.test_course_pages import Pages

BEN = "5"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


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
        ("*/*", "application/vc+ld+json"),
        ("", "application/vc+ld+json"),
        (BROWSER, "text/html"),
        ("text/*", "text/html"),
        ("text/html;q=0, */*", "application/vc+ld+json"),
        ("text/html;q=0.4, application/json;q=0.5", "application/json"),
        ("application/json;q=0.1, text/html", "text/html"),
        ('application/ld+json; profile="https://w3id.org/openbadges/v3"', "application/ld+json"),
        ("application/vc", "application/vc"),
        ("application/*;q=0.3, application/vc+jwt", "application/vc+jwt"),
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


def test_what_no_form_fits_is_406(issued: tuple[Campus, str]) -> None:
    _, url = issued
    for accept in ("image/gif", "*/*;q=0"):
        assert httpx.get(url, headers={"Accept": accept}).status_code == 406


def test_any_site_may_read_documents_and_their_errors(issued: tuple[Campus, str]) -> None:
    _, url = issued
    base = url.partition("/credentials/")[0]
    for address in (
        f"{url}.json",
        f"{base}/credentials/00000000-0000-0000-0000-000000000000.json",
        f"{base}/credentials/nonsense",
        f"{base}/status/00000000-0000-0000-0000-000000000000",
    ):
        answer = httpx.get(address, headers={"Origin": "https://verifier.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
    asked = httpx.options(
        f"{url}.json",
        headers={
            "Origin": "https://verifier.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "accept",
        },
    )
    assert asked.status_code == 200
    assert "GET" in asked.headers["access-control-allow-methods"]
    assert "Accept" in asked.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in httpx.get(f"{base}/").headers


def test_what_has_not_changed_is_not_sent_again(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    status = httpx.get(f"{url}.json").json()["credentialStatus"]["statusListCredential"]
    achievement = httpx.get(f"{url}.json").json()["credentialSubject"]["achievement"]["id"]
    tags = set()
    for address in (f"{url}.json", f"{url}.jwt", f"{url}.png", f"{url}.svg", status, achievement):
        first = httpx.get(address)
        tags.add(first.headers["etag"])
        again = httpx.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["access-control-allow-origin"] == "*"
        if "last-modified" in first.headers:
            since = {"If-Modified-Since": first.headers["last-modified"]}
            assert httpx.get(address, headers=since).status_code == 304
    assert len(tags) == 6
    assert "last-modified" in httpx.get(f"{url}.json").headers
    before = httpx.get(status).headers["etag"]
    revoke(campus.context, campus.award_of(BEN).id, reason="A mistake", by="Ada")
    campus.deliver()
    assert httpx.get(status, headers={"If-None-Match": before}).status_code == 200


def test_the_verdict_is_kept_until_something_changes(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    valid, not_valid = "This credential is valid", "This credential is not valid"
    page = {"Accept": "text/html"}
    for _ in range(2):
        assert valid in httpx.get(url, headers=page).text
    award = campus.award_of(BEN)
    with campus.context.sessions.begin() as session:
        row = session.get_one(IssuedCredential, award.id)
        kept, row.document = row.document, {**row.document, "name": "Forged"}
    assert not_valid in httpx.get(url, headers=page).text
    with campus.context.sessions.begin() as session:
        session.get_one(IssuedCredential, award.id).document = kept
    assert valid in httpx.get(url, headers=page).text
    revoke(campus.context, award.id, reason="A mistake", by="Ada")
    campus.deliver()
    assert not_valid in httpx.get(url, headers=page).text


def test_a_picture_is_drawn_once_whichever_process_is_asked(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    first = httpx.get(f"{url}.png")
    assert first.status_code == 200
    with campus.context.sessions() as session:
        drawn = session.scalars(select(DrawnPicture)).one()
        assert drawn.png.startswith(b"\x89PNG")
    pictures._kept.clear()  # as a process that starts
    assert httpx.get(f"{url}.png").content == first.content
    with campus.context.sessions() as session:
        assert len(session.scalars(select(DrawnPicture)).all()) == 1


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


def test_a_default_award_tells_nothing_of_the_learner(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    award = campus.award_of("5")
    page = httpx.get(url, headers={"Accept": "text/html"})
    assert 'name="robots" content="noindex' in page.text
    assert "noindex" in page.headers["X-Robots-Tag"]
    for form in (".json", ".jwt", ".png", "/ob2.json"):
        assert "noindex" in httpx.get(f"{url}{form}").headers["X-Robots-Tag"]
    told = [page.text]
    told += [httpx.get(f"{url}{form}").text for form in (".json", ".jwt", "/ob2.json")]
    payload = told[2].split(".")[1]
    told.append(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode())
    for text in told:
        for word in ("46 of 50", "92 %", str(award.recipient["name"]), "ben.carter"):
            assert word not in text
    subject = json.loads(told[1])["credentialSubject"]
    assert "result" not in subject
    kinds = {each["identityType"] for each in subject["identifier"]}
    assert kinds == {"emailAddress", "ltiUserId"}


def shown(campus: Campus, award_id: str, **chosen: Any) -> None:
    with campus.context.sessions() as session:
        member_id = session.get_one(Award, award_id).member_id
    wanted: dict[str, Any] = {"visibility": "link", "shows_name": False, "shows_result": False}
    set_display(campus.context, award_id, member_id, by="a test", **(wanted | chosen))


def test_the_learner_chooses_what_is_shown_under_the_same_id(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    award = campus.award_of("5")
    before = httpx.get(f"{url}.json").json()
    with pytest.raises(InvalidInput):  # the rule does not allow it
        shown(campus, award.id, shows_result=True)
    with campus.context.sessions.begin() as session:
        for version in session.scalars(select(RuleVersion)):
            version.may_show_result = True
    shown(campus, award.id, visibility="public", shows_name=True, shows_result=True)
    page = httpx.get(url, headers={"Accept": "text/html"})
    assert "noindex" not in page.text
    assert "X-Robots-Tag" not in page.headers
    assert str(award.recipient["name"]) in page.text
    assert "46 of 50" in page.text
    assert "This credential is valid" in page.text
    after = httpx.get(f"{url}.json").json()
    assert after["id"] == before["id"]
    assert after["credentialStatus"] == before["credentialStatus"]
    subject = after["credentialSubject"]
    assert subject["result"][0]["value"] == "46"
    described = subject["achievement"]["resultDescription"][0]
    numbers = [described[name] for name in ("valueMin", "requiredValue", "valueMax")]
    assert numbers == ["0", "40", "50"]
    assert {"name"} <= {each["identityType"] for each in subject["identifier"]}
    shown(campus, award.id, visibility="hidden")
    assert httpx.get(url, headers={"Accept": "text/html"}).status_code == 404
    again = httpx.get(f"{url}.json")
    assert again.status_code == 200
    assert str(award.recipient["name"]) not in again.text


def test_only_the_learner_chooses(issued: tuple[Campus, str]) -> None:
    campus, _ = issued
    award = campus.award_of("5")
    other = next(each for each in campus.awards() if each.member_id != award.member_id)
    page = Pages(campus, "5")
    saved = page.post(f"/me/badges/{award.id}/display", visibility="hidden")
    assert saved.status_code == 200
    assert page.post(f"/me/badges/{award.id}/display", visibility="x").status_code == 422
    assert page.post(f"/me/badges/{other.id}/display", visibility="hidden").status_code == 404


def test_addresses_are_not_tried_by_the_hundred(issued: tuple[Campus, str]) -> None:
    _, url = issued
    answers = [httpx.post(url, data={"email": f"{n}@example.org"}).status_code for n in range(25)]
    assert answers[0] == 200
    assert answers[-1] == 429


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
        assert page.headers["referrer-policy"] == "same-origin"
        assert " style=" not in page.text
        assert "<script>" not in page.text


def test_health(lite: Campus) -> None:
    assert httpx.get(f"{lite.tool}/healthz").status_code == 200
    assert httpx.get(f"{lite.tool}/readyz").json() == {"ready": True, "problems": {}}
    lite.rule()
    lite.sync()
    text = httpx.get(f"{lite.tool}/metrics").text
    assert f'lti_badges_awards{{state="pending"}} {float(len(lite.expected()))}' in text


def test_the_badges_page_says_the_verdict_first_and_hands_the_badge_on(
    issued: tuple[Campus, str],
) -> None:
    campus, url = issued
    page = httpx.get(url, headers={"Accept": "text/html"}).text
    assert page.index("This credential is valid") < page.index("<h1>")
    assert f'<meta property="og:url" content="{url}">' in page
    assert 'name="twitter:card"' in page
    assert "https://www.linkedin.com/profile/add?startTask=CERTIFICATION_NAME&amp;name=" in page
    for form in ("png", "svg", "json"):
        assert f'{form}" download="' in page
    revoke(campus.context, campus.award_of(BEN).id, reason="A mistake", by="Ada")
    campus.deliver()
    page = httpx.get(url, headers={"Accept": "text/html"}).text
    assert page.index("The issuer has revoked this credential.") < page.index("<h1>")
    assert "linkedin.com" not in page
