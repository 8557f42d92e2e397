"""Judging dirty members and acting on it.

A member is dirty from the transaction that changed a fact until the one that judged it, so that a
crash in between forgets nobody; the awards' unique constraint keeps a second judge from doubling.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from lti_badges.awarding.active_rules import RuleInForce
from lti_badges.awarding.facts import BATCH, facts_of
from lti_badges.awarding.judge import BatchJudge
from lti_badges.context import ToolContext
from lti_badges.ledger.course_lock import locked_course
from lti_badges.ledger.holding import note_holding
from lti_badges.store import Award, Course, CourseMember, State, batches


def evaluate_dirty(tool: ToolContext, course_id: str, *, may_revoke: bool) -> list[str]:
    """Judge all dirty members of a course, a batch a transaction; `may_revoke` only after a whole
    reading without a failure. Returns the ids of awards that are due, and enqueues them."""
    granted: list[str] = []

    def judged(query: Select[CourseMember]) -> list[CourseMember]:
        with locked_course(tool, course_id) as (session, course):
            members = list(session.scalars(query))
            changed = judge_members(session, course, members, may_revoke=may_revoke)
        granted.extend(changed)
        for award_id in changed:
            tool.enqueue("deliver", award_id)
        return members

    dirty = select(CourseMember).where(
        CourseMember.course_id == course_id, CourseMember.dirty.is_(True)
    )
    for _ in batches(dirty, CourseMember.id, read=judged, key=lambda m: (m.id,), size=BATCH):
        pass  # each was judged when it was read
    return granted


def evaluate_member(tool: ToolContext, course_id: str, member_id: str) -> list[str]:
    """Judge one member now; they are waiting for their page. Returns new awards' ids. One launch
    takes no badge away."""
    with locked_course(tool, course_id) as (session, course):
        member = session.get(CourseMember, member_id)
        return judge_members(session, course, [member] if member else [], may_revoke=False)


def judge_members(
    session: Session, course: Course, members: Sequence[CourseMember], *, may_revoke: bool
) -> list[str]:
    """Judge members of one course within the caller's transaction. Returns the ids of awards that
    are due at a backend (granted or revoked).

    Rules may build on each other's badges: after a grant the member is judged again, at most once
    per rule.
    """
    rules = RuleInForce.all_of(session, course)
    due: list[Award] = []
    later: set[str] = set()
    waiting = list(members)
    for _ in range(len(rules) + 1):
        if not waiting:
            break
        facts = facts_of(session, course, waiting)
        granted_to = set()
        judge = BatchJudge.open(session, course, waiting, rules, may_revoke=may_revoke)
        for member in waiting:
            for rule in rules:
                award = judge.judge(rule, member, facts[member.id])
                if award is not None:
                    due.append(award)
                    granted_to.add(member.id)
        session.flush()
        later |= judge.later
        waiting = [member for member in waiting if member.id in granted_to]
    for member in members:
        member.dirty = member.id in later
    note_holding(session, [award for award in due if award.state == State.PENDING])
    return [award.id for award in due]
