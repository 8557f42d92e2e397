"""Passing a badge back to the LMS: a score in a column of our own, where a rule asks for it.

Never in the way of the award itself: a failure is kept on the award and tried again.
"""

from __future__ import annotations

from fractions import Fraction

from sqlalchemy import select

from lti_badges.catalogue.connections import lms_of
from lti_badges.context import ToolContext
from lti_badges.core.errors import Gone, PlatformError, Unsupported
from lti_badges.ledger.audit import record
from lti_badges.lms import LMS
from lti_badges.lti import ags
from lti_badges.store import Achievement, Award, AwardRule, CourseMember, State

FULL = Fraction(100)
DUE, DONE, GAVE_UP = "due", "done", "refused"


def due_for_pass_back(tool: ToolContext, limit: int = 200) -> list[str]:
    """Issued awards whose score the LMS has not got yet."""
    query = select(Award.id).where(Award.state == State.ISSUED.value, Award.passed_back == DUE)
    with tool.sessions() as session:
        return list(session.scalars(query.limit(limit)))


def pass_back(tool: ToolContext, award_id: str) -> bool:
    """Write the score for one award. False when it could not be written now."""
    with tool.sessions() as session:
        award = session.get(Award, award_id)
        if award is None or award.passed_back != DUE or award.rule_id is None:
            return False
        rule = session.get_one(AwardRule, award.rule_id)
        member = session.get_one(CourseMember, award.member_id)
        name = session.get_one(Achievement, award.achievement_id).name
    try:
        course = lms_of(tool, award.course_id)
        column = rule.pass_back_item or _column(tool, course, rule, name)
        score = ags.Score(
            sub=member.sub,
            given=FULL,
            maximum=FULL,
            comment=f"Badge “{name}” earned.",
            extensions=course.score_extensions(),
        )
        ags.post_score(course.course.service, column, score)
    except Gone as error:
        return _noted(tool, award_id, GAVE_UP, error.message)
    except PlatformError as error:
        return _noted(tool, award_id, DUE, error.message)
    return _noted(tool, award_id, DONE, None)


def _column(tool: ToolContext, course: LMS, rule: AwardRule, name: str) -> str:
    """Our column for the rule: found by its tag (a copied course brings it along), else made."""
    url = course.course.lineitems_url
    if not url:
        raise Unsupported("The LMS does not let this tool write to its gradebook.")
    tag = f"{ags.OWN_TAG}:{rule.id}"
    items = ags.line_items(course.course.service, url, course.course.scopes)
    found = next((item.key for item in items if item.tag == tag), None)
    if found is None:
        made = ags.create_line_item(
            course.course.service,
            url,
            label=f"Badge: {name}",
            maximum=FULL,
            resource_id=rule.id,
            tag=tag,
        )
        found = made.key
    with tool.sessions.begin() as session:
        session.get_one(AwardRule, rule.id).pass_back_item = found
    return found


def _noted(tool: ToolContext, award_id: str, outcome: str, error: str | None) -> bool:
    with tool.sessions.begin() as session:
        award = session.get_one(Award, award_id)
        if (award.passed_back, award.passed_back_error) != (outcome, error):
            record(
                session,
                "pass_back",
                course_id=award.course_id,
                member_id=award.member_id,
                award_id=award_id,
                outcome=outcome,
                error=error,
            )
        award.passed_back, award.passed_back_error = outcome, error
    return outcome == DONE
