"""What is signed is what was meant: the spec's vector, the schema, tampering, any text."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyld import jsonld

from lti_badges.core.jwk import rsa_jwk
from lti_badges.openbadges import keys, ob2, proofs
from lti_badges.openbadges.canonical import (
    VC_CONTEXT,
    canonical,
    canonical_whole,
    load_context,
)
from lti_badges.openbadges.documents import (
    AchievementDocument,
    CredentialDraft,
    IssuerProfile,
    ResultValue,
    StatusEntry,
    build_credential,
    build_profile,
    identity_hash,
    new_salt,
)
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.status import build_status_list
from lti_badges.openbadges.verify import matches_recipient, verify_document, verify_jwt
from lti_badges.values.score import Points

HERE = Path(__file__).parent
BASE = "https://badges.example.edu"
NOW = datetime(2026, 5, 3, 10, 2, tzinfo=UTC)
SEED = "6241a409e6707bb640a0140a8a32bc3d193c33a661747284d6adfa4ed4180be4"
ED = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED))
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LIST = f"{BASE}/status/1"
ISSUER = IssuerProfile(f"{BASE}/issuers/1", "Example University", url="https://example.edu")
METHOD = f"{ISSUER.id}#{keys.multibase(ED.public_key())}"

texts = st.text(min_size=1, max_size=60).filter(lambda text: text.strip())


def draft(**changes: Any) -> CredentialDraft:
    achievement = AchievementDocument(
        f"{BASE}/achievements/1", "Statistics", "Knows it.", "Pass the **quiz**.", f"{BASE}/a.png"
    )
    values: dict[str, Any] = {
        "id": f"{BASE}/credentials/1",
        "issuer": ISSUER,
        "achievement": achievement,
        "lti_user_id": "7",
        "email": "Ann.Lee@Example.org",
        "awarded_at": NOW,
        "valid_from": NOW,
        "valid_until": None,
        "narrative": "Final quiz: 46 of 50 = 92 % ≥ 80 %",
        "results": (ResultValue("Final quiz", "46 of 50 = 92 %", "80 %"),),
        "status": StatusEntry(LIST, 94_567),
        "salt": new_salt(),
    }
    return CredentialDraft(**(values | changes))


def signed(document: dict[str, Any], key: ed25519.Ed25519PrivateKey = ED) -> dict[str, Any]:
    return proofs.sign_data_integrity(document, key, METHOD, NOW)


def world(*revoked: int, **changes: Any) -> dict[str, dict[str, Any]]:
    """The documents that a verifier finds at our addresses."""
    jwk = rsa_jwk(RSA.public_key())
    status = build_status_list(LIST, ISSUER.id, revoked, NOW, NOW + timedelta(days=1))
    found = {
        ISSUER.id: build_profile(
            ISSUER, keys.multikey_document(ISSUER.id, keys.multibase(ED.public_key()))
        ),
        f"{ISSUER.id}/keys/{jwk['kid']}": dict(jwk),
        LIST: signed(status),
    }
    return found | changes


def test_the_vector_of_the_specification_comes_out_bit_for_bit() -> None:
    """Open Badges 3.0, chapter 9 (eddsa-rdfc-2022)."""
    vector = json.loads((HERE / "ob_v3p0_vector.json").read_text())
    assert keys.multibase(ED.public_key()) == "z6MkjZRZv3aez3r18pB1RBFJR1kwUVJ5jHt92JmQwXbd5hwi"
    method = vector["proof"]["verificationMethod"]
    created = datetime.fromisoformat(vector["proof"]["created"])
    made = proofs.sign_data_integrity(vector, ED, method, created)
    assert made["proof"] == [vector["proof"]]
    proofs.verify_data_integrity(vector, ED.public_key())


def test_documents_fit_the_published_schema() -> None:
    schema = json.loads((HERE / "ob_v3p0_achievementcredential_schema.json").read_text())
    validator = jsonschema.Draft201909Validator(schema, format_checker=jsonschema.FormatChecker())
    for each in (draft(), draft(email=None), draft(valid_until=NOW, results=())):
        validator.validate(signed(build_credential(each)))
    bent = signed(build_credential(draft()))
    del bent["validFrom"]
    assert [error.validator for error in validator.iter_errors(bent)] == ["required"]


def test_a_vc_jwt_says_who_whom_and_when() -> None:
    credential = build_credential(draft(valid_until=NOW + timedelta(days=365)))
    token = proofs.sign_jwt(credential, RSA, f"{ISSUER.id}/keys/k1")
    assert jwt.get_unverified_header(token)["kid"] == f"{ISSUER.id}/keys/k1"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == ISSUER.id
    assert claims["jti"] == credential["id"]
    assert claims["sub"] == credential["credentialSubject"]["id"]
    assert claims["nbf"] == int(NOW.timestamp())
    assert claims["exp"] - claims["nbf"] == 365 * 86_400
    assert claims["credentialSubject"] == credential["credentialSubject"]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from leaves(part, (*path, number))
    else:
        yield path


def changed(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    bent = copy.deepcopy(document)
    at = bent
    for step in path[:-1]:
        at = at[step]
    value = at[path[-1]]
    at[path[-1]] = (not value) if isinstance(value, bool) else f"{value}x"
    return bent


def test_no_leaf_can_be_changed_unnoticed() -> None:
    document = signed(build_credential(draft()))
    paths = [path for path in leaves(document) if path[0] != "@context"]
    assert len(paths) > 30
    for path in paths:
        with pytest.raises(CredentialError):
            proofs.verify_data_integrity(changed(document, path), ED.public_key())


def test_what_json_ld_would_drop_is_never_signed() -> None:
    good = build_credential(draft())
    for bend in (
        {"favouriteColour": "blue"},
        {"credentialSubject": good["credentialSubject"] | {"nickname": "x"}},
        {"id": "credentials/1"},
        {"type": [*good["type"], "MadeUpType"]},
        {"@context": [*good["@context"], "https://unknown.example/context"]},
        {"@context": ["https://unknown.example/context"]},
    ):
        with pytest.raises(CredentialError):
            signed(good | bend)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=texts, description=texts, criteria=texts, label=texts, value=texts)
def test_whatever_people_write_is_signed_as_text(
    name: str, description: str, criteria: str, label: str, value: str
) -> None:
    achievement = AchievementDocument(f"{BASE}/achievements/1", name, description, criteria)
    credential = build_credential(
        draft(achievement=achievement, narrative=value, results=(ResultValue(label, value),))
    )
    plain = build_credential(draft())
    assert set(leaves(credential["credentialSubject"]["achievement"])) <= set(
        leaves(plain["credentialSubject"]["achievement"])
    )
    document = json.loads(json.dumps(signed(credential)))
    proofs.verify_data_integrity(document, ED.public_key())
    assert document["name"] == name


def test_a_good_credential_passes_every_check_in_both_forms() -> None:
    found = world()
    document = signed(build_credential(draft(valid_until=NOW + timedelta(days=9))))
    checked = verify_document(document, found.get, NOW + timedelta(hours=1))
    assert checked.passed, checked
    assert [check.name for check in checked.checks] == ["Signature", "Issuer", "Status", "Dates"]
    kid = next(url for url in found if "/keys/" in url)
    token = proofs.sign_jwt(build_credential(draft()), RSA, kid)
    assert verify_jwt(token, found.get, NOW).passed


def failed_as_jwt(
    token: str, found: dict[str, dict[str, Any]], at: datetime = NOW
) -> dict[str, str]:
    return {c.name: c.sentence for c in verify_jwt(token, found.get, at).checks if not c.passed}


def test_a_jwt_proves_nothing_unless_the_issuers_key_signed_all_of_it() -> None:
    found = world()
    kid = next(url for url in found if "/keys/" in url)
    credential = build_credential(draft(valid_until=NOW + timedelta(days=9)))
    token = proofs.sign_jwt(credential, RSA, kid)
    assert failed_as_jwt(token, found) == {}
    thief = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = {"Signature": "The signature does not fit the content."}
    assert failed_as_jwt(proofs.sign_jwt(credential, thief, kid), found) == forged
    header, _, signature = token.split(".")
    bent = proofs.sign_jwt(credential | {"name": "More"}, RSA, kid).split(".")[1]
    assert failed_as_jwt(f"{header}.{bent}.{signature}", found) == forged
    assert failed_as_jwt(f"{header}.{token.split('.')[1]}.AAAA{signature[4:]}", found) == forged
    secret = jwt.encode(credential, "s" * 32, "HS256", headers={"kid": kid})
    assert failed_as_jwt(secret, found) == forged
    foreign = proofs.sign_jwt(credential, RSA, "https://other.example/i/keys/1")
    assert failed_as_jwt(foreign, found) == {"Signature": "The key is not one of the issuer's."}
    unknown = proofs.sign_jwt(credential, RSA, f"{ISSUER.id}/keys/other")
    assert failed_as_jwt(unknown, found) == {"Signature": "The issuer's key can't be found."}
    assert failed_as_jwt("x.y.z", found)["Signature"] == "This is not a VC-JWT."


def test_a_jwt_is_judged_by_the_dates_of_the_credential_in_words() -> None:
    found = world()
    kid = next(url for url in found if "/keys/" in url)
    ends = NOW + timedelta(days=9)
    token = proofs.sign_jwt(build_credential(draft(valid_until=ends)), RSA, kid)
    assert failed_as_jwt(token, found, ends - timedelta(seconds=1)) == {}
    assert failed_as_jwt(token, found, ends) == {"Dates": "Expired on 12 May 2026."}
    early = NOW - timedelta(seconds=1)
    assert failed_as_jwt(token, found, early) == {"Dates": "Not valid before 3 May 2026."}
    assert failed_as_jwt(token, world(94_567)) == {
        "Status": "The issuer has revoked this credential."
    }


def failed(
    document: dict[str, Any], found: dict[str, dict[str, Any]], at: datetime = NOW
) -> set[str]:
    return {c.name for c in verify_document(document, found.get, at).checks if not c.passed}


def test_each_thing_that_can_be_wrong_fails_its_own_check() -> None:
    document = signed(build_credential(draft(valid_until=NOW + timedelta(days=9))))
    assert failed(document, world(94_567)) == {"Status"}
    assert failed(document, world(94_566, 94_568)) == set()
    assert failed(document, world(), NOW - timedelta(days=1)) == {"Dates"}
    assert failed(document, world(), NOW + timedelta(days=10)) == {"Dates"}
    assert failed(changed(document, ("name",)), world()) == {"Signature"}
    gone = world()
    del gone[ISSUER.id]
    assert "Issuer" in failed(document, gone)


def test_a_key_that_only_the_credential_names_proves_nothing() -> None:
    thief = ed25519.Ed25519PrivateKey.generate()
    method = f"{ISSUER.id}#{keys.multibase(thief.public_key())}"
    forged = proofs.sign_data_integrity(build_credential(draft()), thief, method, NOW)
    assert failed(forged, world()) == {"Signature"}


def test_another_issuers_status_list_does_not_count() -> None:
    foreign = build_status_list(LIST, "https://other.example/i", [], NOW, NOW)
    document = signed(build_credential(draft()))
    assert failed(document, world(**{LIST: signed(foreign)})) == {"Status"}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_verifying_never_breaks_whatever_is_missing(data: st.DataObject) -> None:
    document = signed(build_credential(draft()))
    path = data.draw(st.sampled_from(list(leaves(document))))
    cut = path[: data.draw(st.integers(1, len(path)))]
    at: Any = document
    for step in cut[:-1]:
        at = at[step]
    junk: Any = data.draw(st.sampled_from([None, 5, "x", [], {}, True, "GONE"]))
    if junk == "GONE":
        del at[cut[-1]]
    else:
        at[cut[-1]] = junk
    checked = verify_document(document, world().get, NOW)
    assert all(check.sentence for check in checked.checks)
    verify_jwt(json.dumps(document)[:200], world().get, NOW)


def test_the_learner_is_told_by_hash_in_any_letter_case() -> None:
    made = draft()
    document = build_credential(made)
    identifiers = document["credentialSubject"]["identifier"]
    assert identifiers[0]["identityHash"] == identity_hash("ann.lee@example.org", made.salt)
    assert matches_recipient(document, " ANN.lee@example.ORG")
    assert not matches_recipient(document, "ann.lee@example.com")
    assert "example.org" not in json.dumps(document["credentialSubject"])


@pytest.mark.parametrize(
    ("score", "maximum", "needed", "said"),
    [
        ("46", "50", "40", ("RawScore", "46", "40", "50")),
        ("92", "100", "80", ("Percent", "92", "80", "100")),
        ("46/3", "50", "100/3", ("RawScore", "15.3333", "33.3334", "50")),
    ],
)
def test_results_are_numbers(
    score: str, maximum: str, needed: str, said: tuple[str, str, str, str]
) -> None:
    points = Points(Fraction(score), Fraction(maximum), Fraction(needed))
    made = build_credential(draft(results=(ResultValue("Quiz", "words", "words", points),)))
    subject = made["credentialSubject"]
    described = subject["achievement"]["resultDescription"][0]
    assert (described["resultType"], subject["result"][0]["value"]) == said[:2]
    assert (described["requiredValue"], described["valueMax"]) == said[2:]
    schema = json.loads((HERE / "ob_v3p0_achievementcredential_schema.json").read_text())
    jsonschema.Draft201909Validator(schema).validate(signed(made))


def test_a_2_0_recipient_is_hashed_as_the_lms_spells_it() -> None:
    for identity, kind, made in (
        ("Ann.Lee@Example.org", "email", draft()),
        ("User-A7", "id", draft(email=None, lti_user_id="User-A7")),
    ):
        recipient = ob2.build_assertion(made, image="i")["recipient"]
        assert recipient["type"] == kind
        assert recipient["identity"] == identity_hash(identity, made.salt)


def test_the_hosted_2_0_form_stands_beside_it() -> None:
    assertion = ob2.build_assertion(draft(), image=f"{BASE}/credentials/1.png")
    assert assertion["id"] == f"{BASE}/credentials/1/ob2.json"
    assert assertion["recipient"]["hashed"] is True
    assert assertion["verification"]["type"] == "HostedBadge"


def test_canonical_form_does_not_depend_on_order() -> None:
    document = build_credential(draft())
    turned = dict(reversed(document.items()))
    assert canonical(document) == canonical(turned)
    canonical_whole(turned)


def test_remembered_contexts_change_nothing() -> None:
    """What plain PyLD makes of the same documents, first and when its contexts are remembered."""
    options: Any = {"algorithm": "URDNA2015", "format": "application/n-quads"}
    documents = [
        build_credential(draft()),
        world()[ISSUER.id],
        world()[LIST],
        {"@context": [VC_CONTEXT, {"extra": "https://example.org/extra"}], "extra": "x"},
        {"@context": {"extra": {"@id": "https://example.org/e", "@type": "@id"}}, "extra": "a:b"},
    ]
    for document in documents * 2:
        plain = jsonld.normalize(document, options | {"documentLoader": load_context})
        assert canonical(document).decode() == plain
        assert canonical_whole(document).decode() == plain


def test_many_threads_can_sign_at_once() -> None:
    """PyLD keeps caches that two threads at once corrupt: found as one refused award in 1,000."""

    def sign(number: int) -> bytes:
        # Many contexts, so that its caches turn over all the time.
        document = {
            "@context": [VC_CONTEXT, {f"term{number}": f"https://example.org/t{number}"}],
            "id": f"{BASE}/credentials/{number}",
            "type": ["VerifiableCredential"],
            f"term{number}": "x",
        }
        canonical_whole(document)
        return canonical(document)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # a thread may lose its turn between any two steps
    try:
        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(sign, range(400)))) == 400
    finally:
        sys.setswitchinterval(interval)
