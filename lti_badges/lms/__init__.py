"""One file per LMS behind one interface; this is the registry, and no other folder names an LMS."""

from lti_badges.core.errors import InvalidInput
from lti_badges.lms.base import HISTORY, LMS, Capability, Push
from lti_badges.lms.blackboard.adapter import Blackboard
from lti_badges.lms.brightspace.adapter import Brightspace
from lti_badges.lms.canvas.adapter import Canvas
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.moodle.adapter import Moodle

LMSES: dict[str, type[LMS]] = {
    lms.key: lms for lms in (Canvas, Moodle, Blackboard, Brightspace, LMS)
}


def of(key: str) -> type[LMS]:
    """The class for a platform's `lms`. Raises InvalidInput naming the known ones."""
    try:
        return LMSES[key]
    except KeyError:
        raise InvalidInput(f"“{key}” is not an LMS we know: {', '.join(LMSES)}.") from None


def of_family(family: str) -> type[LMS]:
    """The class for the product code by which a platform introduces itself; plain LTI if none."""
    return next((each for each in LMSES.values() if family.lower() in each.families), LMS)


__all__ = ["HISTORY", "LMS", "LMSES", "Capability", "CourseHandle", "Push", "of", "of_family"]
