"""From an award's row to the order a backend is given, and to the backend that takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from lti_badges import lms
from lti_badges.backends import Backend, open_backend
from lti_badges.context import ToolContext
from lti_badges.rules import Judgement
from lti_badges.store import Achievement, Award, BackendRow, Course, Deployment
from lti_badges.values.badge import AchievementRef, Issuance, Measure, Recipient

WHOLE_ORDER = (
    joinedload(Award.backend),
    joinedload(Award.achievement),
    joinedload(Award.course).joinedload(Course.deployment).joinedload(Deployment.platform),
)
"""Loads with an award all that its order is made of, in one query."""
PRIVATE = "The criteria of this badge were met."
"""Said of every award whose learner does not show more."""


def issuance_of(tool: ToolContext, session: Session, award: Award) -> Issuance:
    """The order, from what was kept with the award: not from what the course says today."""
    achievement = session.get_one(Achievement, award.achievement_id)
    course = session.get_one(Course, award.course_id)
    return Issuance(
        award_id=award.id,
        url=tool.settings.url(f"/credentials/{award.id}"),
        achievement=replace(
            achievement_of(tool, achievement), ref=award.achievement_ref or achievement.ref
        ),
        recipient=_recipient(award.recipient),
        achieved_at=award.achieved_at,
        # Scores and reasons stay here unless the learner wants them shown.
        explanation=award.explanation if award.shows_result else PRIVATE,
        measures=_measures(award.judgement) if award.shows_result else (),
        shown_name=award.recipient.get("name") if award.shows_name else None,
        course_title=course.title or course.label or None,
        course_url=_course_page(course),
        expires_at=award.expires_at,
        number=award.number,
        supersedes=_superseded(tool, session, award),
    )


def _course_page(course: Course) -> str | None:
    platform = course.deployment.platform
    custom = dict(course.custom or {})
    return lms.of(platform.lms).course_page(platform.issuer, course.context_id, custom)


def _superseded(tool: ToolContext, session: Session, award: Award) -> str | None:
    """The address of the expired award that this one renews."""
    if award.number == 1:
        return None
    before = session.scalar(
        select(Award).where(
            Award.achievement_id == award.achievement_id,
            Award.member_id == award.member_id,
            Award.number == award.number - 1,
        )
    )
    if before is None or before.revoked_at is not None:
        return None
    return tool.settings.url(f"/credentials/{before.id}")


def achievement_of(tool: ToolContext, row: Achievement) -> AchievementRef:
    """The badge as backends and pages see it, without its picture's bytes."""
    return AchievementRef(
        id=row.id,
        ref=row.ref,
        name=row.name,
        description=row.description,
        criteria=row.criteria,
        image_type=row.image_type,
        url=row.url or tool.settings.url(f"/achievements/{row.id}"),
    )


def backend_of(tool: ToolContext, row: BackendRow) -> Backend:
    """The configured backend, opened with its secrets."""
    return open_backend(
        row,
        base_url=tool.settings.base_url,
        http=tool.http,
        sessions=tool.sessions,
        keys=tool.keys,
        cipher=tool.cipher,
    )


def _recipient(kept: Mapping[str, Any]) -> Recipient:
    return Recipient(
        email=kept.get("email"),
        name=kept.get("name"),
        lti_user_id=str(kept["lti_user_id"]),
        sourcedid=kept.get("sourcedid"),
        custom=dict(kept.get("custom") or {}),
    )


def _measures(judgement: Mapping[str, Any] | None) -> tuple[Measure, ...]:
    if judgement is None:
        return ()
    return tuple(
        Measure(leaf.label, leaf.value, leaf.needed, leaf.text, leaf.points)
        for leaf in Judgement.from_json(dict(judgement)).leaves()
    )


def format_moment(moment: datetime) -> str:
    """`3 May 2026 10:02 UTC`."""
    return f"{moment:%-d %B %Y %H:%M} UTC"
