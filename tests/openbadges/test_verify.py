"""Each way in which a credential can be wrong, told in its own sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lti_badges.openbadges.documents import build_credential, identity_hash
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.status import build_status_list
from lti_badges.openbadges.verify import matches_recipient, parse, verify_document, verify_jwt
from tests.openbadges.test_credentials import ISSUER, LIST, METHOD, NOW, draft, signed, world

UNREADABLE = "This part of the credential is missing or can't be read."


def sentences(document: dict[str, Any], found: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    checks = verify_document(document, found.get, NOW).checks
    return {check.name: (check.passed, check.sentence) for check in checks}


def test_a_good_credential_says_what_each_check_found() -> None:
    ends = NOW + timedelta(days=9)
    assert sentences(signed(build_credential(draft(valid_until=ends))), world()) == {
        "Signature": (True, "The content is exactly what the issuer signed (eddsa-rdfc-2022)."),
        "Issuer": (True, "Issued by Example University, whose profile names the signing key."),
        "Status": (True, "Not revoked, by the issuer's signed status list."),
        "Dates": (True, "Valid until 12 May 2026."),
    }
    unending = sentences(signed(build_credential(draft())), world())
    assert unending["Dates"] == (True, "It does not expire.")


def test_the_issuers_own_profile_must_name_the_key_and_hold_it() -> None:
    document = signed(build_credential(draft()))
    own = world()[ISSUER.id]
    for profile, says in (
        ({**own, "assertionMethod": []}, "The issuer does not name this key as its own."),
        ({**own, "verificationMethod": []}, "The issuer's key can't be found."),
        ({**own, "verificationMethod": [{"id": METHOD}]}, UNREADABLE),
    ):
        told = sentences(document, world(**{ISSUER.id: profile}))
        assert told["Signature"] == (False, says)
    without = {key: part for key, part in own.items() if key != "assertionMethod"}
    told = sentences(document, world(**{ISSUER.id: without}))
    assert told["Signature"] == (False, "The issuer does not name this key as its own.")


def test_an_issuer_that_is_not_there_or_is_another() -> None:
    document = signed(build_credential(draft()))
    nobody = f"Nothing answers as the issuer {ISSUER.id}."
    gone = world()
    del gone[ISSUER.id]
    assert sentences(document, gone)["Issuer"] == (False, nobody)
    other = {**world()[ISSUER.id], "id": "https://other.example/i"}
    assert sentences(document, world(**{ISSUER.id: other}))["Issuer"] == (False, nobody)
    nameless = {key: part for key, part in world()[ISSUER.id].items() if key != "name"}
    told = sentences(document, world(**{ISSUER.id: nameless}))["Issuer"]
    assert told == (True, f"Issued by {ISSUER.id}, whose profile names the signing key.")


def test_a_status_list_that_is_gone_foreign_or_changed() -> None:
    document = signed(build_credential(draft()))
    gone = world()
    del gone[LIST]
    assert sentences(document, gone)["Status"] == (
        False,
        "The issuer's status list can't be read.",
    )
    foreign = signed(build_status_list(LIST, "https://other.example/i", [], NOW, NOW))
    assert sentences(document, world(**{LIST: foreign}))["Status"] == (
        False,
        "The status list is not the issuer's.",
    )
    bent = {**world()[LIST], "id": f"{LIST}0"}
    assert sentences(document, world(**{LIST: bent}))["Status"] == (
        False,
        "The signature does not fit the content.",
    )
    revoked = sentences(document, world(94_567))["Status"]
    assert revoked == (False, "The issuer has revoked this credential.")


def test_an_issuer_may_be_a_bare_address_in_both() -> None:
    credential = build_credential(draft()) | {"issuer": ISSUER.id}
    bare = build_status_list(LIST, ISSUER.id, [], NOW, NOW + timedelta(days=1))
    told = sentences(signed(credential), world(**{LIST: signed(bare)}))
    assert all(passed for passed, _ in told.values()), told


def test_what_is_no_token_fails_every_check_and_breaks_nothing() -> None:
    checks = verify_jwt("x", world().get, NOW).checks
    assert [(check.name, check.passed, check.sentence) for check in checks] == [
        ("Signature", False, "This is not a VC-JWT."),
        ("Issuer", False, UNREADABLE),
        ("Status", False, UNREADABLE),
        ("Dates", False, UNREADABLE),
    ]


def test_a_recipient_is_matched_by_hash_and_only_by_an_e_mail_address() -> None:
    plain = {"identityType": "emailAddress", "identityHash": identity_hash("a@b.example", "")}
    other = {**plain, "identityType": "ltiUserId"}

    def matches(*identifiers: Any) -> bool:
        return matches_recipient({"credentialSubject": {"identifier": identifiers}}, "A@B.example")

    assert matches(plain)
    assert matches("junk", other, plain)
    assert not matches(other)
    assert not matches({**plain, "salt": "x"})
    assert not matches()
    empties: list[dict[str, Any]] = [{}, {"credentialSubject": {}}]
    for empty in empties:
        assert not matches_recipient(empty, "a@b.example")


@pytest.mark.parametrize("text", ["", "x", "[]", "5", "null", "[" * 100_000])
def test_what_is_no_json_object_is_no_credential(text: str) -> None:
    with pytest.raises(CredentialError, match=r"^This is not a credential in JSON\.$"):
        parse(text)


def test_a_json_object_is_taken_as_it_is() -> None:
    assert parse('{"id": "x"}') == {"id": "x"}
