"""Moodle's web services answer errors with status 200 and a code."""

from __future__ import annotations

from html import unescape
from typing import Any

from lti_badges.core.errors import Gone, NoRight, PlatformDown, PlatformError, Unsupported
from lti_badges.lms.moodle.rights import rights_for

_RIGHTS = frozenset(
    {
        "nopermissions",
        "nopermissiontoviewgrades",
        "cannotviewreport",
        "required_capability_exception",
        "accessdenied",
    }
)
_NO_RIGHT = frozenset(
    {"invalidtoken", "requireloginerror", "errorcoursecontextnotvalid", "servicenotavailable"}
)
_GONE = frozenset(
    {
        "usernotenroled",
        "invalidrecord",
        "invalidcourseid",
        "invaliduser",
        "invaliduserid",
        # core_user::require_active_user: an account that nobody can log in with
        "suspended",
        "userdeleted",
        "usernotconfirmed",
        "noguest",
    }
)


def refusal(answer: dict[str, Any], function: str) -> PlatformError:
    """The error that a function's answer with an `exception` stands for."""
    code, said = str(answer.get("errorcode", "")), unescape(str(answer.get("message", "")))[:200]
    if code == "nocriteriaset":
        return Unsupported(
            "This course has no completion criteria, so Moodle never completes it; set them in "
            "the course's settings."
        )
    if code == "accessexception":
        return NoRight(
            f"Moodle does not let the token call {function}: it is not in the web service, or its "
            f"user may not use the service ({said})."
        )
    if code == "notingroup":
        # Separate groups: without this right every learner of another group looks as if gone.
        return NoRight(
            f"Moodle shows {function} only the groups of the web-service user; its role needs "
            "moodle/site:accessallgroups (notingroup)."
        )
    if code in _RIGHTS:
        needs = rights_for(function)
        ask = f" The web-service user's role needs {needs} in this course." if needs else ""
        return NoRight(f"Moodle refuses {function}: {said} ({code}).{ask}")
    if code in _NO_RIGHT:
        return NoRight(f"Moodle refuses the web-service token: {said} ({code}).")
    if code in _GONE:
        return Gone(f"Moodle: {said} ({code}).")
    return PlatformDown(f"Moodle could not answer: {said} ({code}).", code=code or None)
