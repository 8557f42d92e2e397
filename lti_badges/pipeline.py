"""Read → judge → deliver: the one place that names courses, awarding and delivery together.

Launches, pushes, the schedule, commands and pages all go through here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import select

from lti_badges.awarding.evaluate import evaluate_dirty, evaluate_member
from lti_badges.awarding.guard import count_before_acting
from lti_badges.awarding.manual import revoke
from lti_badges.awarding.rehearsal import AT_ONCE, Rehearsal, is_stale
from lti_badges.awarding.rehearsal import rehearse as rehearse_stored
from lti_badges.awarding.revoke_fallen import revoke_after_grace
from lti_badges.backends import KINDS
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, PlatformError
from lti_badges.courses.copy import copy_rules
from lti_badges.courses.launch_intake import LaunchedMember, note_launch
from lti_badges.courses.read import CourseReading, LeaseLost, Progress, Unforeseen, read_member
from lti_badges.delivery.deliver import deliver
from lti_badges.ledger.rules_in_force import needed_keys
from lti_badges.lti.claims import Launch
from lti_badges.people.held import Erasure, erasure_of, scrub
from lti_badges.rules import Criterion, Policy, dump
from lti_badges.store import Award, AwardRule, BackendRow, CourseMember, State
from lti_badges.values.course import Role
from lti_badges.values.permission import Permission

LAUNCH_BUDGET_S = 4.0
REHEARSAL_BUDGET_S = 6.0


log = structlog.get_logger("lti_badges.pipeline")


@dataclass(slots=True)
class SyncReport:
    """What a sync did. `skipped` when another worker is at it; `awards` are due at a backend."""

    course_id: str
    skipped: bool = False
    members: int = 0
    readings: int = 0
    changed: int = 0
    awards: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def sync_course(
    tool: ToolContext,
    course_id: str,
    progress: Progress | None = None,
    also: frozenset[tuple[str, str]] = frozenset(),
    *,
    only_due: bool = False,
) -> SyncReport:
    """Read a course and judge what changed; delivery is queued. `also` names gradables (kind, key)
    to be read though no rule uses them yet; `only_due` skips it unless its time has come. Raises
    NotFound."""
    reading = CourseReading.start(tool, course_id, progress, also, only_due=only_due)
    if reading is None:
        return SyncReport(course_id, skipped=True)
    awards: list[str] = []
    try:
        failure = reading.run()
        awards = _judge_course(tool, course_id, complete=failure is None)
    except LeaseLost:
        return SyncReport(course_id, skipped=True)
    except Exception as error:
        # Whatever it was: the course says so, its lease ends, the back-off counts.
        log.exception("reading_unforeseen", course=course_id)
        failure = Unforeseen(error)
        reading.errors.append(failure.message)
    reading.finish(failure)
    return SyncReport(
        course_id,
        members=reading.members,
        readings=reading.readings,
        changed=reading.changed,
        awards=awards,
        errors=reading.errors,
    )


def sync_member(tool: ToolContext, course_id: str, sub: str) -> list[str]:
    """Read and judge one learner. Returns awards that are due. Raises PlatformError, NotFound."""
    member_id = read_member(tool, course_id, sub)
    return [] if member_id is None else evaluate_member(tool, course_id, member_id)


def take_launch(tool: ToolContext, launch: Launch, deployment_row_id: str) -> LaunchedMember:
    """Note a launch, then read what its page shows: the learner at once, the whole course for its
    instructor. Reading takes a few seconds at most; what takes longer goes on behind the page."""
    launched = note_launch(tool, launch, deployment_row_id)
    course_id = launched.course_id
    if course_id is None or launched.member_id is None or launch.is_masked:
        return launched
    if launched.role is Role.LEARNER:
        if _has_rules(tool, course_id):
            _within(LAUNCH_BUDGET_S, lambda: _sync_launched_learner(tool, course_id, launch.sub))
        elif _is_unlisted(tool, course_id, launch.sub):
            tool.enqueue("sync", course_id)
    elif launched.role is Role.INSTRUCTOR:
        _within(LAUNCH_BUDGET_S, lambda: _sync_launched_course(tool, course_id))
    return launched


def sync_pushed_member(tool: ToolContext, member_id: str) -> list[str]:
    """Read and judge one member whom a push named. Returns awards that are due."""
    with tool.sessions() as session:
        member = session.get(CourseMember, member_id)
    if member is None or not member.can_earn:
        return []
    try:
        return sync_member(tool, member.course_id, member.sub)
    except PlatformError:
        return []  # the course's own reading follows, and says what is wrong


def rehearse(
    tool: ToolContext,
    course_id: str,
    criterion: Criterion,
    achievement_id: str | None,
    policy: Policy = AT_ONCE,
    rule_id: str | None = None,
) -> Rehearsal:
    """Who would be awarded if the rule went live now, in the place of `rule_id` if that is given,
    and who would lose the badge; reads first what nobody has read yet. Raises NotFound."""
    needed = frozenset(needed_keys(dump(criterion)))
    deadline = time.monotonic() + REHEARSAL_BUDGET_S
    while is_stale(tool, course_id, criterion) and time.monotonic() < deadline:
        if not sync_course(tool, course_id, also=needed).skipped:
            break
        time.sleep(0.3)  # another worker reads the course; what it leaves out is read after it
    found = rehearse_stored(tool, course_id, criterion, achievement_id, policy, rule_id)
    if not tool.may(Permission.SEE_LEARNERS):
        found.would_get, found.undecided, found.histograms = [], [], []
        found.losing = []
    return found


def _judge_course(tool: ToolContext, course_id: str, *, complete: bool) -> list[str]:
    if not complete:
        return evaluate_dirty(tool, course_id, may_revoke=False)
    count_before_acting(tool, course_id)
    due = evaluate_dirty(tool, course_id, may_revoke=True)
    return due + revoke_after_grace(tool, course_id)


def _sync_launched_learner(tool: ToolContext, course_id: str, sub: str) -> None:
    try:
        due = sync_member(tool, course_id, sub)
    except PlatformError:
        tool.enqueue("sync", course_id)  # the schedule will note what is wrong, and try again
        return
    except Exception:
        log.exception("launch_reading_unforeseen", course=course_id)
        tool.enqueue("sync", course_id)
        return
    if _is_unlisted(tool, course_id, sub):
        tool.enqueue("sync", course_id)  # the roster must name them before they earn anything
    local = _deliver_local(tool, due)
    for award_id in due:
        if award_id not in local:
            tool.enqueue("deliver", award_id)


def _has_rules(tool: ToolContext, course_id: str) -> bool:
    """Without a rule in force nothing of a learner is asked for, and nothing can follow."""
    with tool.sessions() as session:
        rule = select(AwardRule.id).where(
            AwardRule.course_id == course_id,
            AwardRule.removed_at.is_(None),
            AwardRule.active.is_(True),
        )
        return session.scalar(rule.limit(1)) is not None


def _is_unlisted(tool: ToolContext, course_id: str, sub: str) -> bool:
    with tool.sessions() as session:
        unlisted = session.scalar(
            select(CourseMember.id).where(
                CourseMember.course_id == course_id,
                CourseMember.sub == sub,
                CourseMember.can_earn.is_(True),
                CourseMember.roster_says.is_(None),
            )
        )
    return unlisted is not None


def _sync_launched_course(tool: ToolContext, course_id: str) -> None:
    report = sync_course(tool, course_id)
    copy_rules(tool, course_id)
    _deliver_local(tool, report.awards)


def _deliver_local(tool: ToolContext, award_ids: Iterable[str]) -> set[str]:
    """Issue those whose backend is this tool itself, while the person waits. Returns their ids."""
    local = {award_id for award_id in award_ids if _is_local(tool, award_id)}
    for award_id in local:
        deliver(tool, award_id)
    return local


def _is_local(tool: ToolContext, award_id: str) -> bool:
    with tool.sessions() as session:
        award = session.get(Award, award_id)
        row = session.get(BackendRow, award.backend_id) if award else None
    return row is not None and KINDS[row.kind].traits.is_local


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Wait a while for work that goes on by itself: its rows and leases make it safe to leave."""
    thread = threading.Thread(target=work, name="launch", daemon=True)
    thread.start()
    thread.join(seconds)


def erase_person(tool: ToolContext, name: str, *, by: str) -> Erasure:
    """Erase a person: their badges are revoked first, here and at backends that can, as that needs
    to know whose they are; then identity and results go. `left` says what a backend did not take
    back: run it again later. Raises NotFound."""
    found = erasure_of(tool, name)
    for award_id in found.standing:
        try:
            if revoke(tool, award_id, reason="Erased at the learner's request.", by=by) is (
                State.REVOKING
            ):
                deliver(tool, award_id)
        except InvalidInput:
            continue  # it is just being sent; `left` will tell
    return replace(found, left=scrub(tool, found.person_id, by=by))
