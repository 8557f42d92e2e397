"""Moodle's web services answer errors with status 200 and a code."""

from __future__ import annotations

from html import unescape
from typing import Any

from lti_badges.core.errors import Gone, NoRight, PlatformDown, PlatformError, Unsupported

_NO_RIGHT = frozenset(
    {
        "invalidtoken",
        "accessexception",
        "nopermissions",
        "nopermissiontoviewgrades",
        "cannotviewreport",
        "requireloginerror",
        "required_capability_exception",
        "servicenotavailable",
    }
)
_GONE = frozenset({"usernotenroled", "invalidrecord", "invalidcourseid", "notingroup"})


def refusal(answer: dict[str, Any]) -> PlatformError:
    """The error that an answer with an `exception` stands for."""
    code, said = str(answer.get("errorcode", "")), unescape(str(answer.get("message", "")))[:200]
    if code == "nocriteriaset":
        return Unsupported(
            "This course has no completion criteria, so Moodle never completes it; set them in "
            "the course's settings."
        )
    if code in _NO_RIGHT:
        return NoRight(f"Moodle refuses the web-service token: {said} ({code}).")
    if code in _GONE:
        return Gone(f"Moodle: {said} ({code}).")
    return PlatformDown(f"Moodle could not answer: {said} ({code}).", code=code or None)
