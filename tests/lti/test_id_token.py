"""Each check of an id_token by itself: what is refused, in which words, to the second."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import time_machine

from lti_badges.core.errors import LaunchError
from lti_badges.core.http import Http
from lti_badges.lti.id_token import (
    MAX_TOKEN,
    unverified_claims,
    unverified_parties,
    verified_claims,
    verified_event,
)
from lti_badges.lti.keysets import KeySets
from tests.support.platform import ISSUER, TestPlatform, rsa_key

NOW = 1_800_000_000
AGAIN = "Open the link in your course again."


@pytest.fixture(scope="module")
def key_sets() -> KeySets:
    """One reader of key sets for all cases: it reads the platform's once."""
    return KeySets(Http(allow_loopback=True))


@pytest.fixture
def verify(platform: TestPlatform, key_sets: KeySets) -> Any:
    """Verifies a token at the moment NOW."""

    def verified(token: str, **more: Any) -> dict[str, Any]:
        options: dict[str, Any] = {
            "issuer": ISSUER,
            "client_id": "client-1",
            "key_set_url": f"{platform.base}/jwks",
            "key_sets": key_sets,
        }
        with time_machine.travel(NOW, tick=False):
            return verified_claims(token, **(options | more))

    return verified


def claims(platform: TestPlatform, **changes: Any) -> dict[str, Any]:
    made = platform.claims("https://tool.example", "nonce-1") | {"iat": NOW, "exp": NOW + 300}
    return {name: value for name, value in (made | changes).items() if value is not ...}


def refusal(verify: Any, token: str, **more: Any) -> tuple[str, str]:
    with pytest.raises(LaunchError) as refused:
        verify(token, **more)
    return refused.value.code, refused.value.message


def test_what_is_verified_comes_back_whole(platform: TestPlatform, verify: Any) -> None:
    given = claims(platform)
    assert verify(platform.signed(given)) == given


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 180},
        {"iat": NOW - 780},
        {"iat": NOW + 180},
        {"nbf": NOW + 180},
        {"exp": NOW + 0.5},
        {"exp": NOW + 86_400 + 180},
        {"iat": NOW, "nbf": 1},
        {"aud": ["client-1"]},
        {"azp": "client-1"},
    ],
    ids=str,
)
def test_the_last_moment_and_every_form_that_counts(
    platform: TestPlatform, verify: Any, changes: dict[str, Any]
) -> None:
    given = claims(platform, **changes)
    assert verify(platform.signed(given)) == given


OLD = ("expired", f"This launch is too old. {AGAIN}")
FUTURE = (
    "future",
    "This launch is dated in the future: the clock of the LMS or of this tool is wrong.",
)
ANOTHER_TOOL = ("audience", "The launch is meant for another tool.")
TOO_LONG = (
    "too_long_life",
    "This launch claims to be good for more than a day; no LMS signs such launches.",
)
OTHERS_TOO = ("audience", "The launch is meant for other tools besides this one.")
ASKED = ("azp", "The launch was asked for by another tool.")
NONCE = ("nonce", f"The LMS sent a launch without its nonce. {AGAIN}")


def no_time(name: str) -> tuple[str, str]:
    return f"no_{name}", f"The LMS sent a launch without a usable time ({name})."


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": NOW - 181}, OLD),
        ({"iat": NOW - 781}, OLD),
        ({"iat": NOW + 181}, FUTURE),
        ({"nbf": NOW + 181}, FUTURE),
        ({"iat": ...}, no_time("iat")),
        ({"exp": ...}, no_time("exp")),
        ({"exp": "300"}, no_time("exp")),
        ({"exp": 0}, no_time("exp")),
        ({"iat": True}, no_time("iat")),
        ({"iat": -5}, no_time("iat")),
        ({"exp": 100_000_000_000}, no_time("exp")),
        ({"nbf": None}, no_time("nbf")),
        (
            {"iss": "https://other.example"},
            ("issuer", "The launch names another LMS than the login did."),
        ),
        ({"iss": ...}, ("issuer", "The launch names another LMS than the login did.")),
        ({"aud": "client-2"}, ANOTHER_TOOL),
        ({"aud": ...}, ANOTHER_TOOL),
        ({"aud": 5}, ANOTHER_TOOL),
        ({"aud": []}, ANOTHER_TOOL),
        ({"aud": [["client-1"]]}, ANOTHER_TOOL),
        ({"exp": NOW + 86_400 + 181}, TOO_LONG),
        ({"aud": ["client-1", "other"]}, OTHERS_TOO),
        ({"aud": ["client-1", "other"], "azp": "client-1"}, OTHERS_TOO),
        ({"aud": ["client-1", "other"], "azp": "other"}, OTHERS_TOO),
        ({"azp": "other"}, ASKED),
        ({"azp": ""}, ASKED),
        ({"nonce": ...}, NONCE),
        ({"nonce": ""}, NONCE),
        ({"nonce": 5}, NONCE),
    ],
    ids=lambda each: str(each)[:60],
)
def test_one_claim_that_is_wrong_is_refused_for_what_it_is(
    platform: TestPlatform, verify: Any, changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    # A value that PyJWT does not write itself still comes from a signed token.
    assert refusal(verify, platform.signed(claims(platform, **changes))) == expected


def test_another_audience_counts_only_if_an_admin_said_so(
    platform: TestPlatform, verify: Any
) -> None:
    token = platform.signed(claims(platform, aud="consumer-key"))
    code, message = refusal(verify, token, audience_hint="Ask your admin.")
    assert (code, message) == ("audience", f"{ANOTHER_TOOL[1]} Ask your admin.")
    assert verify(token, also_audiences=["consumer-key"])["aud"] == "consumer-key"
    both = platform.signed(claims(platform, aud="client-1", azp="consumer-key"))
    assert verify(both, also_audiences=["consumer-key"])["azp"] == "consumer-key"


def test_only_a_message_that_answers_no_login_may_lack_the_nonce(
    platform: TestPlatform, verify: Any
) -> None:
    given = claims(platform, nonce=...)
    assert verify(platform.signed(given), needs_nonce=False) == given


SIGNATURE = (
    "signature",
    (
        "The signature of the launch does not fit: it was not made by your LMS, or it was "
        f"changed on its way. {AGAIN}"
    ),
)
NOT_A_JWT = ("not_a_jwt", f"The LMS sent a launch that can't be read. {AGAIN}")
ALGORITHM = ("algorithm", "The launch is not signed in a way that LTI allows.")
ANOTHER_ALGORITHM = (
    "algorithm",
    "The launch is signed by another algorithm than the one that its key is published for.",
)
NO_KID = ("no_kid", "The launch does not say which key of the LMS signed it (kid).")


def test_a_signature_of_anybody_else_is_refused(platform: TestPlatform, verify: Any) -> None:
    given = claims(platform)
    assert refusal(verify, platform.signed(given, key=rsa_key("thief"))) == SIGNATURE
    header, payload, signature = platform.signed(given).split(".")
    bent = platform.signed(given | {"sub": "else"}).split(".")[1]
    assert refusal(verify, f"{header}.{bent}.{signature}") == SIGNATURE
    assert refusal(verify, f"{header}.{payload}.") == SIGNATURE
    # Signed, but no object of claims.
    text = jwt.api_jws.PyJWS().encode(b"[1]", rsa_key("first"), "RS256", headers={"kid": "key-1"})
    assert refusal(verify, text) == SIGNATURE


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("hello", NOT_A_JWT),
        ("", NOT_A_JWT),
        ("x" * MAX_TOKEN, NOT_A_JWT),
        ("x" * (MAX_TOKEN + 1), ("too_long", "The LMS sent a launch that is far too long.")),
        (jwt.encode({}, "s" * 32, "HS256", headers={"kid": "key-1"}), ALGORITHM),
        (jwt.encode({}, "", "none", headers={"kid": "key-1"}), ALGORITHM),
        (jwt.encode({}, rsa_key("first"), "PS384", headers={"kid": "key-1"}), ALGORITHM),
        (jwt.encode({}, rsa_key("first"), "RS256"), NO_KID),
        (jwt.encode({}, rsa_key("first"), "RS256", headers={"kid": ""}), NO_KID),
    ],
    ids=lambda each: str(each)[:24],
)
def test_a_token_that_can_not_be_right_is_refused_before_any_key_is_asked_for(
    platform: TestPlatform, verify: Any, token: str, expected: tuple[str, str]
) -> None:
    asked = platform.key_set_fetches
    assert refusal(verify, token) == expected
    assert platform.key_set_fetches == asked


def test_the_algorithm_is_the_one_that_the_key_is_published_for(
    platform: TestPlatform, verify: Any
) -> None:
    given = claims(platform)
    for other in ("RS512", "PS256"):
        assert refusal(verify, platform.signed(given, algorithm=other)) == ANOTHER_ALGORITHM
    mixed = platform.signed(given, algorithm="RS512").split(".")
    mixed[0] = platform.signed(given, algorithm="RS256").split(".")[0]
    assert refusal(verify, ".".join(mixed)) == SIGNATURE


def test_an_event_is_checked_by_its_signature_alone(
    platform: TestPlatform, key_sets: KeySets
) -> None:
    url = f"{platform.base}/jwks"
    event = {"metadata": {"event_name": "grade_change"}, "exp": 1}
    token = platform.signed(event)
    assert verified_event(token, key_set_url=url, key_sets=key_sets) == event
    for bad, code in (
        (platform.signed(event, key=rsa_key("thief")), "signature"),
        (platform.signed(event, headers={"kid": "made-up"}), "unknown_key"),
        ("x", "not_a_jwt"),
    ):
        with pytest.raises(LaunchError) as refused:
            verified_event(bad, key_set_url=url, key_sets=key_sets)
        assert refused.value.code == code


def test_what_an_unchecked_token_names(platform: TestPlatform) -> None:
    token = platform.signed({"iss": "https://a.example", "aud": ["one", None, "two"], "exp": 1})
    assert unverified_claims(token)["exp"] == 1
    assert unverified_parties(token) == ("https://a.example", ["one", "two"])
    assert unverified_parties(platform.signed({"iss": "i", "aud": "one"})) == ("i", ["one"])
    assert unverified_parties(platform.signed({"aud": None})) == ("", [])
    longest = platform.signed({"iss": "i", "x": "y" * MAX_TOKEN})
    for bad in ("x", "", longest):
        with pytest.raises(LaunchError) as refused:
            unverified_claims(bad)
        assert (refused.value.code, refused.value.message) == (
            "not_a_jwt",
            "This is not a signed message.",
        )
