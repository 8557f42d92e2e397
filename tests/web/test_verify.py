"""Verifying a badge of anybody: by the page, with files, texts and addresses, hostile ones too."""

from __future__ import annotations

import html
import io
import json
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from flask import Flask, jsonify
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lti_badges.awarding.manual import revoke
from lti_badges.openbadges import keys, proofs
from lti_badges.openbadges.bake import bake_png
from lti_badges.openbadges.documents import IssuerProfile, build_credential
from lti_badges.queries.verification import _absolute
from tests.openbadges.test_credentials import ED, NOW, draft
from tests.support.campus import Campus
from tests.support.serving import PATIENCE_S, free_port, served

BEN = "5"
PROGRAM = {"Accept": "application/json"}
NAMES = ["Signature", "Issuer", "Status", "Dates"]


@pytest.fixture
def issued(lite: Campus) -> tuple[Campus, str]:
    """A campus, and the address of a credential in it."""
    lite.rule()
    lite.grade(BEN, 46)
    lite.sync()
    lite.deliver()
    return lite, f"{lite.tool}/credentials/{lite.award_of(BEN).id}"


def asked(campus: Campus, content: bytes | None = None, **fields: str) -> httpx.Response:
    files = None if content is None else {"file": ("badge", content)}
    return httpx.post(
        f"{campus.tool}/verify", data=fields, files=files, headers=PROGRAM, timeout=PATIENCE_S
    )


def results(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {each["name"]: each["result"] for each in answer.json()["checks"]}


def blank_png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


def test_each_form_of_a_badge_is_valid_with_every_check_named(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    document = httpx.get(f"{url}.json").text
    for content in (
        httpx.get(f"{url}.png").content,
        httpx.get(f"{url}.svg").content,
        document.encode(),
        httpx.get(f"{url}.jwt").content,
    ):
        answer = asked(campus, content)
        assert results(answer) == dict.fromkeys(NAMES, "passed"), answer.text
        assert answer.json()["verdict"] == "valid"
        assert answer.json()["name"] == "Statistics"
    for text in (document, httpx.get(f"{url}.jwt").text, url, f"{url}.json"):
        assert asked(campus, text=text).json()["verdict"] == "valid"
    hosted = ["Hosting", *NAMES[1:]]
    for text in (f"{url}/ob2.json", httpx.get(f"{url}/ob2.json").text):
        answer = asked(campus, text=text)
        assert results(answer) == dict.fromkeys(hosted, "passed")
        assert answer.json()["version"] == "Open Badges 2.0"


def test_a_page_without_script_tells_verdict_badge_and_checks(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    form = httpx.get(f"{campus.tool}/verify").text
    assert "<script" not in form
    assert '<form method="post" enctype="multipart/form-data"' in form
    assert "/verify" in httpx.get(campus.tool).text
    page = httpx.post(f"{campus.tool}/verify", data={"text": url}).text
    assert "This badge is valid" in page
    for name in NAMES:
        assert re.search(rf"<strong>{name}<span[^>]*> passed</span>", page)


def test_changed_and_revoked_badges_are_not_valid_and_it_is_said_why(
    issued: tuple[Campus, str],
) -> None:
    campus, url = issued
    document, token = httpx.get(f"{url}.json").json(), httpx.get(f"{url}.jwt").text
    png, ob2 = httpx.get(f"{url}.png").content, httpx.get(f"{url}/ob2.json").json()
    bent = document | {"name": "A doctorate"}
    answer = asked(campus, text=json.dumps(bent))
    assert results(answer) == dict.fromkeys(NAMES, "passed") | {"Signature": "failed"}
    assert answer.json()["verdict"] == "not valid"
    assert answer.json()["checks"][0]["why"] == "The signature does not fit the content."
    assert (
        results(asked(campus, text=json.dumps(ob2 | {"issuedOn": "2020-01-01T00:00:00Z"})))[
            "Hosting"
        ]
        == "failed"
    )
    page = httpx.post(f"{campus.tool}/verify", data={"text": json.dumps(bent)}).text
    assert "This badge is not valid" in page
    revoke(campus.context, campus.award_of(BEN).id, reason="A mistake", by="Ada")
    campus.deliver()
    for content in (json.dumps(document).encode(), token.encode(), png):
        assert results(asked(campus, content))["Status"] == "failed"
    for text in (json.dumps(ob2), f"{url}/ob2.json"):
        assert asked(campus, text=text).json()["verdict"] == "not valid"


def test_whose_it_is_is_checked_when_asked(issued: tuple[Campus, str]) -> None:
    campus, url = issued
    for address in (url, f"{url}/ob2.json"):
        his = results(asked(campus, text=address, email="ben.carter@example.org"))
        assert his["Recipient"] == "passed"
        other = asked(campus, text=address, email="x@example.org")
        assert results(other)["Recipient"] == "failed"
        assert other.json()["verdict"] == "not valid"


def poisoned() -> dict[str, Any]:
    """A credential whose blank nodes all look alike: its canonical form takes hours (RDFC-1.0
    §7.1)."""
    method = f"{DID}#{DID.removeprefix('did:key:')}"
    document = build_credential(draft(issuer=IssuerProfile(DID, "Poison")))
    signed = proofs.sign_data_integrity(document, ED, method, NOW)
    nodes = [f"_:n{number}" for number in range(14)]
    knows = {"@id": "https://example.org/knows", "@type": "@id"}
    people = [{"id": node, "type": ["Evidence"], "knows": nodes} for node in nodes]
    return signed | {"@context": [*signed["@context"], {"knows": knows}], "evidence": people}


DID = f"did:key:{keys.multibase(ED.public_key())}"


def test_a_badge_made_to_stop_the_tool_is_given_up_and_others_go_on(
    issued: tuple[Campus, str],
) -> None:
    campus, url = issued
    began = time.monotonic()
    answer = asked(campus, text=json.dumps(poisoned()))
    assert results(answer)["Signature"] == "not checked"
    assert "takes too long" in answer.json()["checks"][0]["why"]
    assert time.monotonic() - began < 120
    assert asked(campus, text=url).json()["verdict"] == "valid"


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _bomb() -> bytes:
    png = blank_png()
    packed = b"openbadgecredential\0\0" + zlib.compress(b"{" * 60_000_000)
    return png[:33] + _chunk(b"zTXt", packed) + png[33:]


XML_BOMB = (
    b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text></svg>'
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Choose a file, or paste"),
        (b"   ", "neither JSON"),
        (b"\xff\xd8\xff\xe0jpeg", "This is a JPEG picture"),
        (b"%PDF-1.7", "This is a PDF"),
        (b"PK\x03\x04zip", "This is a ZIP archive"),
        (b"\x00\x01\xfe\xff", "neither a PNG or SVG picture nor text"),
        (b"<html><title>x</title></html>", "a web page"),
        (b"hello", "neither JSON, a signed token (JWT) nor an address"),
        (b"{", "not a credential in JSON"),
        (b"[]", "neither JSON"),
        (b'{"a":' * 50_000, "not a credential in JSON"),
        (b'{"type": "Person"}', "no Open Badges credential"),
        (b'{"type": ["VerifiableCredential", {"x": 1}, 5]}', "no Open Badges credential"),
        (b"aaaa.bbbb.cccc", "can't be read"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>', "No badge is inside this SVG"),
        (XML_BOMB, "DOCTYPE"),
        (b"<svg" + b"<g>" * 5_000, "SVG"),
        (blank_png(), "No badge is inside this PNG"),
        (blank_png()[:40], "not a whole PNG"),
        (_bomb(), "too large"),
        (bake_png(blank_png(), "nonsense"), "neither JSON"),
        (b"x" * 2_000_001, "larger than 2 MB"),
        (b"x" * 3_100_000, "too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_badge_is_refused_with_what_it_is(
    lite: Campus, content: bytes, says: str
) -> None:
    answer = asked(lite, content)
    assert answer.status_code in {413, 422}
    assert says in answer.json()["error"]
    page = httpx.post(f"{lite.tool}/verify", files={"file": ("x", content)}, timeout=PATIENCE_S)
    assert page.status_code == answer.status_code
    assert says in html.unescape(page.text)


@pytest.mark.parametrize("part", ["issuer", "proof", "credentialStatus", "credentialSubject"])
@pytest.mark.parametrize("odd", [None, 5, [], {}, "\ud800\0", [[]], {"id": "javascript:alert(1)"}])
def test_odd_parts_fail_their_checks_and_break_nothing(
    lite: Campus, part: str, odd: object
) -> None:
    method = f"{DID}#{DID.removeprefix('did:key:')}"
    document = build_credential(draft(issuer=IssuerProfile(DID, "Somebody")))
    signed = proofs.sign_data_integrity(document, ED, method, NOW)
    answer = asked(lite, json.dumps(signed | {part: odd}).encode(), email="a@b.example")
    assert answer.json()["verdict"] == "not valid"
    page = httpx.post(
        f"{lite.tool}/verify", files={"file": ("x", json.dumps(signed | {part: odd}).encode())}
    )
    assert page.status_code == 200
    assert 'href="javascript:' not in page.text


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/badge.json",
        "https://[::ffff:10.0.0.1]/badge.json",
        "https://192.168.1.1:8443/",
        "http://example.org/badge.json",
        "https://user:secret@example.org/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
def test_addresses_inside_are_never_called(lite: Campus, address: str) -> None:
    answer = asked(lite, text=address)
    assert answer.status_code == 422
    assert "root:" not in answer.text
    inside = json.dumps({"type": "Assertion", "id": address, "badge": address, "issuedOn": "x"})
    assert asked(lite, text=inside).json()["verdict"] == "not valid"


class Elsewhere:
    """Another issuer's server, with what it publishes and how often it was asked."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.calls = 0
        self.documents: dict[str, Any] = {}
        issuer = {"type": "Issuer", "id": f"{base}/issuer", "name": "Elsewhere College"}
        badge = {"type": "BadgeClass", "id": f"{base}/badge", "name": "Welding"}
        badge |= {"description": "Welds.", "issuer": issuer["id"]}
        assertion = {
            "@context": "https://w3id.org/openbadges/v2",
            "type": "Assertion",
            "id": f"{base}/assertion",
            "badge": badge["id"],
            "recipient": {"type": "email", "hashed": False, "identity": "ann@example.org"},
            "issuedOn": "2024-03-01T00:00:00+00:00",
            "verification": {"type": "HostedBadge"},
        }
        for each in (issuer, badge, assertion):
            self.documents[str(each["id"]).removeprefix(base)] = each

    def app(self) -> Flask:
        app = Flask("elsewhere")

        def answer(path: str) -> Any:
            self.calls += 1
            found = self.documents.get(f"/{path}")
            if found is None:
                return "nothing", 404
            return jsonify(found), 410 if found.get("revoked") else 200

        app.add_url_rule("/<path:path>", view_func=answer)
        return app


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    port = free_port()
    found = Elsewhere(f"http://127.0.0.1:{port}")
    with served(found.app(), port):
        yield found


def test_a_hosted_badge_of_another_server_is_checked_there(
    lite: Campus, elsewhere: Elsewhere
) -> None:
    address = f"{elsewhere.base}/assertion"
    answer = asked(lite, text=address, email="ann@example.org")
    assert answer.json()["verdict"] == "valid", answer.text
    told = answer.json()
    assert (told["name"], told["issuer"]) == ("Welding", "Elsewhere College")
    assert elsewhere.calls == 3  # each document once
    copied = json.dumps(elsewhere.documents["/assertion"])
    baked = bake_png(blank_png(), "{}", ob2=address)
    baked = baked.replace(b"openbadgecredential", b"something-of-others")
    assert asked(lite, baked).json()["verdict"] == "valid"
    elsewhere.documents["/issuer"] |= {"id": "https://other.example/issuer"}
    elsewhere.documents["/badge"] |= {"issuer": f"{elsewhere.base}/issuer"}
    assert results(asked(lite, text=copied))["Issuer"] == "failed"
    elsewhere.documents["/assertion"] = {"id": address, "type": "Assertion", "revoked": True}
    assert results(asked(lite, text=copied))["Status"] == "failed"
    del elsewhere.documents["/assertion"]
    assert results(asked(lite, text=copied))["Hosting"] == "failed"
    assert asked(lite, text=address).status_code == 422


def test_a_hosted_badge_that_calls_itself_signed_is_checked_as_a_hosted_one(
    lite: Campus, elsewhere: Elsewhere
) -> None:
    """The badge class of an honest issuer, an assertion of somebody else's."""
    port = free_port()
    forger = Elsewhere(f"http://127.0.0.1:{port}")
    forged = forger.documents["/assertion"]
    forged |= {"badge": f"{elsewhere.base}/badge", "verification": {"type": "SignedBadge"}}
    with served(forger.app(), port):
        answer = asked(lite, text=json.dumps(forged))
    assert results(answer)["Issuer"] == "failed", answer.text
    assert answer.json()["verdict"] == "not valid"


def test_an_issuer_is_shown_by_what_proves_it_not_by_what_it_says_of_itself(lite: Campus) -> None:
    method = f"{DID}#{DID.removeprefix('did:key:')}"
    claimed = IssuerProfile(DID, "Harvard University", url="https://www.harvard.edu")
    document = build_credential(replace(draft(), issuer=claimed))
    del document["credentialStatus"]
    signed = proofs.sign_data_integrity(document, ED, method, NOW)
    told = asked(lite, text=json.dumps(signed)).json()
    assert (told["issuer_id"], told["issuer_url"]) == (DID, None)
    (issuer,) = [check for check in told["checks"] if check["name"] == "Issuer"]
    assert "nobody vouches for the name" in issuer["why"]
    page = httpx.post(f"{lite.tool}/verify", data={"text": json.dumps(signed)}).text
    assert "https://www.harvard.edu" not in page
    assert DID in page


def test_a_badge_of_a_server_that_is_away_is_neither_valid_nor_not(lite: Campus) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    document = build_credential(draft(issuer=IssuerProfile(f"{base}/issuer", "Away")))
    signed = proofs.sign_data_integrity(document, ED, f"{base}/issuer#key", NOW)
    answer = asked(lite, text=json.dumps(signed))
    assert results(answer)["Signature"] == "not checked"
    assert answer.json()["verdict"] == "open"
    page = httpx.post(f"{lite.tool}/verify", data={"text": json.dumps(signed)})
    assert "could not be checked completely" in page.text


def test_an_issuer_by_did_key_needs_no_server(lite: Campus) -> None:
    method = f"{DID}#{DID.removeprefix('did:key:')}"
    document = build_credential(replace(draft(), issuer=IssuerProfile(DID, "Self")))
    del document["credentialStatus"]
    signed = proofs.sign_data_integrity(document, ED, method, NOW)
    answer = asked(lite, text=json.dumps(signed))
    assert answer.json()["verdict"] == "valid", answer.text
    other = signed | {"issuer": signed["issuer"] | {"id": "did:example:1"}}
    assert results(asked(lite, text=json.dumps(other)))["Issuer"] == "not checked"


def test_a_chain_of_documents_ends(lite: Campus, elsewhere: Elsewhere) -> None:
    elsewhere.documents["/badge"] |= {"issuer": f"{elsewhere.base}/badge"}
    asked(lite, text=f"{elsewhere.base}/assertion")
    assert elsewhere.calls <= 8


def test_one_client_can_not_ask_without_end(lite: Campus) -> None:
    answers = [asked(lite, text="x").status_code for _ in range(25)]
    assert answers[0] == 422
    assert answers[-1] == 429


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(methods=NONSENSE, used=NONSENSE)
def test_no_document_of_a_decentralised_issuer_breaks_the_check(methods: Any, used: Any) -> None:
    document = {"verificationMethod": methods, "assertionMethod": used}
    told = _absolute("did:web:a.example", document)
    assert all(isinstance(each, dict) for each in told["verificationMethod"])
    assert all(isinstance(each, str) for each in told["assertionMethod"])


def test_names_relative_to_a_decentralised_issuer_become_whole() -> None:
    key = {"id": "#k1", "publicKeyMultibase": "z6Mk"}
    told = _absolute("did:web:a.example", {"verificationMethod": [], "assertionMethod": [key]})
    assert told["verificationMethod"] == [key | {"id": "did:web:a.example#k1"}]
    assert told["assertionMethod"] == ["did:web:a.example#k1"]
