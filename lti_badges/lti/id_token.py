"""Verifying an id_token: signature first, then every claim that binds it to us and to now.

Sources: LTI security 1.0 §5.1.3, OpenID Connect core §3.1.3.7.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jwt

from lti_badges.core import clock, text
from lti_badges.core.errors import LaunchError
from lti_badges.lti.keysets import ALGORITHMS, KeySets

# The clocks of LMSes differ from ours by minutes; a launch answers a login of ours, and but once.
LEEWAY_S = 180
MAX_AGE_S = 600
MAX_LIFE_S = 86_400
MAX_TOKEN = 150_000
MAX_AUDIENCES = 20
AGAIN = "Open the link in your course again."


def verified_claims(
    token: str,
    *,
    issuer: str,
    client_id: str,
    key_set_url: str,
    key_sets: KeySets,
    also_audiences: Collection[str] = (),
    audience_hint: str = "",
    needs_nonce: bool = True,
) -> dict[str, Any]:
    """The claims of a token that this platform signed for us, just now. Raises LaunchError.

    `also_audiences` are names besides the client id that an admin let stand for us, `audience_hint`
    a sentence on what to do about others; a token that names any other is refused. Notices answer
    no login of ours and need no nonce.
    """
    kid, algorithm = _header(token)
    key = key_sets.key(key_set_url, kid)
    claims = _decoded(token, key, algorithm)
    if claims.get("iss") != issuer:
        raise LaunchError("The launch names another LMS than the login did.", code="issuer")
    _check_audience(claims, {client_id, *also_audiences}, audience_hint)
    _check_times(claims)
    if needs_nonce and (not isinstance(claims.get("nonce"), str) or not claims["nonce"]):
        raise LaunchError(f"The LMS sent a launch without its nonce. {AGAIN}", code="nonce")
    return claims


def verified_event(token: str, *, key_set_url: str, key_sets: KeySets) -> dict[str, Any]:
    """What a signed event tells: it answers no login, names no audience and may come late, so its
    signature is all there is to check. Raises LaunchError."""
    kid, algorithm = _header(token)
    return _decoded(token, key_sets.key(key_set_url, kid), algorithm)


def unverified_claims(token: str) -> dict[str, Any]:
    """What an unchecked token says: good for finding whose key to check it with, and for nothing
    else. Raises LaunchError."""
    try:
        claims: dict[str, Any] = jwt.decode(token[:MAX_TOKEN], options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise LaunchError("This is not a signed message.", code="not_a_jwt") from None
    return claims


def unverified_parties(token: str) -> tuple[str, list[str]]:
    """Issuer and audiences as an unchecked token names them. Raises LaunchError."""
    claims = unverified_claims(token)
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    issuer = text.optional_identifier(claims.get("iss"), text.MAX_NAME) or ""
    usable = (text.optional_identifier(each) for each in named[:MAX_AUDIENCES])
    return issuer, [each for each in usable if each]


def _header(token: str) -> tuple[str, str]:
    if len(token) > MAX_TOKEN:
        raise LaunchError("The LMS sent a launch that is far too long.", code="too_long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise LaunchError(
            f"The LMS sent a launch that can't be read. {AGAIN}", code="not_a_jwt"
        ) from None
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise LaunchError("The launch is not signed in a way that LTI allows.", code="algorithm")
    if not isinstance(kid, str) or not kid:
        raise LaunchError(
            "The launch does not say which key of the LMS signed it (kid).", code="no_kid"
        )
    return kid, algorithm


def _decoded(token: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any]:
    published = key._jwk_data.get("alg")  # noqa: SLF001
    if published is not None and published != algorithm:
        raise LaunchError(
            "The launch is signed by another algorithm than the one that its key is published for.",
            code="algorithm",
        )
    try:
        return jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            options={
                "verify_signature": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_iss": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (jwt.PyJWTError, TypeError, ValueError, RecursionError):
        raise LaunchError(
            "The signature of the launch does not fit: it was not made by your LMS, or it was "
            f"changed on its way. {AGAIN}",
            code="signature",
        ) from None


def _check_audience(claims: Mapping[str, Any], accepted: Collection[str], hint: str) -> None:
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    known = [each for each in named if isinstance(each, str) and each in accepted]
    if not known:
        raise LaunchError(f"The launch is meant for another tool. {hint}".strip(), code="audience")
    if len(known) < len(named):
        # LTI security 1.0 §5.1.3 (3): a token for audiences that we do not trust is rejected.
        raise LaunchError(
            f"The launch is meant for other tools besides this one. {hint}".strip(),
            code="audience",
        )
    authorized = claims.get("azp")
    if authorized is None and len(named) > 1:
        raise LaunchError(
            "The launch names several tools and not which of them it is for (azp).", code="azp"
        )
    if authorized is not None and (not isinstance(authorized, str) or authorized not in accepted):
        raise LaunchError("The launch was asked for by another tool.", code="azp")


def _check_times(claims: Mapping[str, Any]) -> None:
    now = clock.now().timestamp()
    issued, ends = _moment(claims, "iat"), _moment(claims, "exp")
    if ends + LEEWAY_S < now or now - issued > MAX_AGE_S + LEEWAY_S:
        raise LaunchError(f"This launch is too old. {AGAIN}", code="expired")
    if ends - LEEWAY_S > now + MAX_LIFE_S:
        raise LaunchError(
            "This launch claims to be good for more than a day; no LMS signs such launches.",
            code="too_long_life",
        )
    if issued - LEEWAY_S > now or ("nbf" in claims and _moment(claims, "nbf") - LEEWAY_S > now):
        raise LaunchError(
            "This launch is dated in the future: the clock of the LMS or of this tool is wrong.",
            code="future",
        )


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise LaunchError(
            f"The LMS sent a launch without a usable time ({name}).", code=f"no_{name}"
        )
    return float(value)
