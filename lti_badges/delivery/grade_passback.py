"""Passing a badge back to the LMS: a score in a gradebook column, where a rule asks for it.

One column for each rule: the line item of the badge's own placed link where it has one, else one
that this tool makes, of a single point so that it changes course totals as little as an LMS allows.
A revoked badge's score is taken back, a column that was deleted is made anew, and one whose rule
is gone goes too if the instructor says so. Never in the way of the award itself: failures wait and
are tried again, as deliveries are, with the LMS's `Retry-After` for all its courses together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import structlog
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from lti_badges.catalogue.connections import lms_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.backoff import later, wait_after
from lti_badges.core.errors import Gone, LtiBadgesError, PlatformDown, PlatformError, Unsupported
from lti_badges.ledger.audit import record
from lti_badges.lms import LMS
from lti_badges.lti import ags
from lti_badges.store import (
    Achievement,
    Award,
    AwardRule,
    Course,
    CourseMember,
    Deployment,
    Platform,
    ResourceLink,
    State,
)
from lti_badges.store.leases import give_back, new_claim, take

FULL = Fraction(1)
NONE, DUE, DONE, GAVE_UP = "none", "due", "done", "refused"
WITHDRAW, WITHDRAWN = "withdraw", "withdrawn"
LEASE = timedelta(minutes=2)
SOON = timedelta(seconds=3)
FIRST_WAIT, LAST_WAIT = timedelta(seconds=10), timedelta(hours=1)
FIRST_PAUSE, LAST_PAUSE, PAUSE_AFTER = timedelta(seconds=30), timedelta(minutes=15), 5

log = structlog.get_logger("lti_badges.grade_passback")


class _ColumnBusy(Exception):
    """Another worker is just making the rule's column."""


@dataclass(frozen=True, slots=True)
class _Order:
    """One score to write: `withdraws` takes it back. `column` is the rule's, if it is known."""

    award_id: str
    course_id: str
    rule_id: str
    platform_id: str
    sub: str
    badge: str
    withdraws: bool
    attempts: int
    column: str | None


def due_for_pass_back(tool: ToolContext, limit: int = 200) -> list[str]:
    """Awards whose score the LMS has not got yet, or has to give back; the oldest first."""
    now = clock.now()
    query = (
        select(Award.id)
        .join(Course, Course.id == Award.course_id)
        .join(Deployment, Deployment.id == Course.deployment_id)
        .join(Platform, Platform.id == Deployment.platform_id)
        .where(_is_due(now), _is_open(now))
        .order_by(Award.created_at, Award.id)
        .limit(limit)
    )
    with tool.sessions() as session:
        return list(session.scalars(query))


def due_columns(tool: ToolContext) -> list[str]:
    """Rules whose column is to be removed."""
    with tool.sessions() as session:
        return list(session.scalars(select(AwardRule.id).where(AwardRule.column_drop.is_(True))))


def pass_back(tool: ToolContext, award_id: str) -> bool:
    """Write or take back the score of one award. False when it could not be done now, or is not
    due."""
    order = _take(tool, award_id)
    if order is None:
        return False
    try:
        course = lms_of(tool, order.course_id)
        _post(course, order, _column(tool, course, order))
    except _ColumnBusy:
        _wait(tool, order, SOON)
    except ags.LineItemGone as error:
        _note_lost_column(tool, order, error)
    except Gone as error:
        _note(tool, order, GAVE_UP, error)
    except PlatformError as error:
        _note_failure(tool, order, error)
    except Exception:
        log.exception("pass_back_unforeseen", award=award_id)
        _note_failure(tool, order, PlatformDown("Something unforeseen happened; it is logged."))
    else:
        _note(tool, order, WITHDRAWN if order.withdraws else DONE, None)
        return True
    return False


def settle_column(tool: ToolContext, rule_id: str) -> bool:
    """Remove the column of a rule that is gone, if the instructor said so. False when it could not
    be done now: it is tried again."""
    with tool.sessions() as session:
        rule = session.get(AwardRule, rule_id)
    if rule is None or not rule.column_drop:
        return True
    error: LtiBadgesError | None = None
    if rule.pass_back_item is not None:
        course = lms_of(tool, rule.course_id)
        try:
            ags.delete_line_item(course.course.service, rule.pass_back_item)
        except Gone:
            pass
        except PlatformError as problem:
            error = problem
    with tool.sessions.begin() as session:
        row = session.get_one(AwardRule, rule_id)
        row.column_error = error.message if error else None
        if error is None:
            row.pass_back_item, row.column_drop = None, False
            record(session, "column_removed", course_id=row.course_id, rule_id=rule_id)
            session.execute(update(Award).where(Award.rule_id == rule_id).values(passed_back=NONE))
    return error is None


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        Award.passed_back.in_([DUE, WITHDRAW]),  # what the partial index holds
        or_(
            and_(Award.passed_back == DUE, Award.state == State.ISSUED.value),
            Award.passed_back == WITHDRAW,
        ),
        or_(Award.pass_back_at.is_(None), Award.pass_back_at <= now),
    )


def _is_open(now: datetime) -> ColumnElement[bool]:
    return or_(Platform.scores_paused_until.is_(None), Platform.scores_paused_until <= now)


def _take(tool: ToolContext, award_id: str) -> _Order | None:
    """Take a due award, so that no other worker writes its score meanwhile."""
    now = clock.now()
    with tool.sessions.begin() as session:
        found = session.execute(
            select(Award, AwardRule, CourseMember.sub, Achievement.name, Deployment.platform_id)
            .join(AwardRule, AwardRule.id == Award.rule_id)
            .join(CourseMember, CourseMember.id == Award.member_id)
            .join(Achievement, Achievement.id == Award.achievement_id)
            .join(Course, Course.id == Award.course_id)
            .join(Deployment, Deployment.id == Course.deployment_id)
            .join(Platform, Platform.id == Deployment.platform_id)
            .where(Award.id == award_id, _is_due(now), _is_open(now))
            .with_for_update(of=Award, skip_locked=True)
        ).first()
        if found is None:
            return None
        award, rule, sub, badge, platform_id = found
        withdraws = award.passed_back == WITHDRAW
        if rule.removed_at is not None and not withdraws:
            award.passed_back = NONE  # the rule is gone: no new scores
            return None
        column = _coupled(session, rule) or rule.pass_back_item
        if withdraws and column is None:
            award.passed_back = WITHDRAWN
            return None
        award.pass_back_at = now + LEASE
        award.pass_back_attempts += 1
        return _Order(
            award_id=award.id,
            course_id=award.course_id,
            rule_id=rule.id,
            platform_id=platform_id,
            sub=sub,
            badge=badge,
            withdraws=withdraws,
            attempts=award.pass_back_attempts,
            column=column,
        )


def _coupled(session: Session, rule: AwardRule) -> str | None:
    """The line item of the badge's own placed link."""
    return session.scalar(
        select(ResourceLink.lineitem_url)
        .where(
            ResourceLink.course_id == rule.course_id,
            ResourceLink.achievement_id == rule.achievement_id,
            ResourceLink.lineitem_url.is_not(None),
        )
        .order_by(ResourceLink.last_launch_at.desc())
        .limit(1)
    )


def _post(course: LMS, order: _Order, column: str) -> None:
    verb = "was revoked" if order.withdraws else "earned"
    score = ags.Score(
        sub=order.sub,
        given=None if order.withdraws else FULL,
        maximum=FULL,
        comment=f"Badge “{order.badge}” {verb}.",
        extensions=course.score_extensions(clears=order.withdraws),
    )
    ags.post_score(course.course.service, column, score, course.course.scopes)


def _column(tool: ToolContext, course: LMS, order: _Order) -> str:
    """The rule's column: known, found by its tag (a reply was lost, or a copied course brought it
    along), or made; by one worker at a time."""
    if order.column is not None:
        return order.column
    url = course.course.lineitems_url
    if not url:
        raise Unsupported("The LMS does not let this tool write to its gradebook.")
    claim = new_claim()
    with tool.sessions.begin() as session:
        if not take(session, f"column:{order.rule_id}", claim, LEASE):
            raise _ColumnBusy
        known = session.get_one(AwardRule, order.rule_id).pass_back_item
    try:
        found = known or _found(course, url, order) or _made(course, url, order)
        with tool.sessions.begin() as session:
            session.get_one(AwardRule, order.rule_id).pass_back_item = found
    finally:
        with tool.sessions.begin() as session:
            give_back(session, claim)
    return found


def _found(course: LMS, url: str, order: _Order) -> str | None:
    items = ags.line_items(course.course.service, url, course.course.scopes)
    return next((item.key for item in items if item.tag == _tag(order.rule_id)), None)


def _made(course: LMS, url: str, order: _Order) -> str:
    made = ags.create_line_item(
        course.course.service,
        url,
        label=f"Badge: {order.badge}",
        maximum=FULL,
        resource_id=order.rule_id,
        tag=_tag(order.rule_id),
        extensions=course.column_extensions(),
    )
    return made.key


def _tag(rule_id: str) -> str:
    return f"{ags.OWN_TAG}:{rule_id}"


def _note(tool: ToolContext, order: _Order, outcome: str, error: LtiBadgesError | None) -> None:
    with tool.sessions.begin() as session:
        award = session.get_one(Award, order.award_id, with_for_update=True)
        told = error.message if error else None
        if (award.passed_back, award.passed_back_error) != (outcome, told):
            _record(session, award, outcome, told)
        # Revoked while its score was on the way: what was written is taken back.
        lost = outcome == DONE and award.state == State.REVOKED
        award.passed_back, award.passed_back_error = WITHDRAW if lost else outcome, told
        award.pass_back_at, award.pass_back_attempts = None, 0
        session.get_one(AwardRule, order.rule_id).column_error = None
        platform = session.get_one(Platform, order.platform_id)
        if platform.scores_failures:
            platform.scores_failures = 0  # a pause that the LMS asked for lasts all the same


def _note_failure(tool: ToolContext, order: _Order, error: PlatformError) -> None:
    """Later again; an LMS that asks for time, or fails again and again, is left alone for all its
    courses together."""
    now = clock.now()
    retry_after = error.retry_after if isinstance(error, PlatformDown) else None
    with tool.sessions.begin() as session:
        award = session.get_one(Award, order.award_id, with_for_update=True)
        if award.passed_back_error != error.message:
            _record(session, award, award.passed_back, error.message)
        award.passed_back_error = error.message
        first = FIRST_WAIT if isinstance(error, PlatformDown) else LAST_WAIT
        wait = wait_after(order.attempts, first, LAST_WAIT, retry_after=retry_after)
        award.pass_back_at = now + wait
        session.get_one(AwardRule, order.rule_id).column_error = error.message
        if not isinstance(error, PlatformDown):
            return
        platform = session.get_one(Platform, order.platform_id, with_for_update=True)
        platform.scores_failures += 1
        if retry_after:
            until = now + timedelta(seconds=retry_after)
            platform.scores_paused_until = later(platform.scores_paused_until, until)
        elif platform.scores_failures >= PAUSE_AFTER:
            wait = wait_after(platform.scores_failures - PAUSE_AFTER + 1, FIRST_PAUSE, LAST_PAUSE)
            platform.scores_paused_until = later(platform.scores_paused_until, now + wait)


def _note_lost_column(tool: ToolContext, order: _Order, error: LtiBadgesError) -> None:
    """Somebody deleted the column: a new one is made, and gets all the rule's scores."""
    with tool.sessions.begin() as session:
        rule = session.get_one(AwardRule, order.rule_id)
        rule.pass_back_item = None
        session.execute(
            update(ResourceLink)
            .where(ResourceLink.lineitem_url == order.column)
            .values(lineitem_url=None)
        )
        mine = Award.rule_id == rule.id
        session.execute(
            update(Award)
            .where(mine, Award.passed_back.in_([DONE, DUE]))
            .values(passed_back=DUE, pass_back_at=None)
        )
        session.execute(
            update(Award)
            .where(mine, Award.passed_back == WITHDRAW)
            .values(passed_back=WITHDRAWN, pass_back_at=None)
        )
        record(
            session,
            "column_lost",
            course_id=rule.course_id,
            rule_id=rule.id,
            error=error.message,
        )


def _wait(tool: ToolContext, order: _Order, wait: timedelta) -> None:
    with tool.sessions.begin() as session:
        award = session.get_one(Award, order.award_id, with_for_update=True)
        award.pass_back_at, award.pass_back_attempts = clock.now() + wait, order.attempts - 1


def _record(session: Session, award: Award, outcome: str, error: str | None) -> None:
    record(
        session,
        "pass_back",
        course_id=award.course_id,
        member_id=award.member_id,
        award_id=award.id,
        outcome=outcome,
        error=error,
    )
