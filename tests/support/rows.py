"""One row of everything, for an institution: what another one tries to reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lti_badges.core import clock
from lti_badges.store import (
    Achievement,
    AuditEvent,
    Award,
    AwardRule,
    BackendRow,
    Consent,
    Course,
    CourseMember,
    Deployment,
    HoldingChange,
    Institution,
    IssuedCredential,
    LineItem,
    MemberResult,
    Person,
    ResourceLink,
    RuleVersion,
    Standing,
)

JUDGEMENT = {"outcome": "met", "text": "Quiz: 9 of 10", "parts": []}
CRITERIA = {"is": "course_completed"}


@dataclass
class Rows:
    """Primary keys by model."""

    keys: dict[Any, Any] = field(default_factory=dict)


def rows_of(session: Session, platform_id: str, institution_id: str) -> Rows:
    """Make them."""
    made = Rows({Institution: institution_id})

    def add(row: Any) -> Any:
        session.add(row)
        session.flush()
        key = type(row).__mapper__.primary_key_from_instance(row)
        made.keys[type(row)] = key[0] if len(key) == 1 else tuple(key)
        return row

    now = clock.now()
    deployment = add(
        Deployment(
            platform_id=platform_id,
            institution_id=institution_id,
            deployment_id=f"deployment of {institution_id}",
            state="approved",
        )
    )
    backend = session.scalars(
        select(BackendRow).where(BackendRow.institution_id == institution_id)
    ).first() or BackendRow(institution_id=institution_id, name="builtin", kind="builtin")
    add(backend)
    course = add(
        Course(
            deployment_id=deployment.id,
            context_id=f"course of {institution_id}",
            title="A course",
            custom={},
            scopes=[],
            settings={},
        )
    )
    person = add(
        Person(institution_id=institution_id, platform_id=platform_id, sub="ada", name="Ada")
    )
    member = add(
        CourseMember(course_id=course.id, person_id=person.id, sub="ada", email="ada@example.org")
    )
    achievement = add(
        Achievement(
            backend_id=backend.id,
            ref="ref",
            name="A badge",
            description="d",
            criteria="c",
            course_id=course.id,
        )
    )
    add(ResourceLink(course_id=course.id, resource_link_id="link", achievement_id=achievement.id))
    item = add(LineItem(course_id=course.id, key="quiz", label="Quiz", source="the gradebook"))
    add(MemberResult(line_item_id=item.id, member_id=member.id, state="graded", read_at=now))
    rule = add(AwardRule(course_id=course.id, achievement_id=achievement.id))
    add(RuleVersion(rule_id=rule.id, version=1, criteria=CRITERIA, description="Complete it"))
    add(
        Standing(
            rule_id=rule.id,
            member_id=member.id,
            version=1,
            outcome="met",
            judgement=JUDGEMENT,
            judged_at=now,
            flagged=True,
        )
    )
    award = add(
        Award(
            course_id=course.id,
            member_id=member.id,
            achievement_id=achievement.id,
            backend_id=backend.id,
            rule_id=rule.id,
            recipient_key="ada@example.org",
            recipient={"lti_user_id": "ada", "email": "ada@example.org", "name": "Ada"},
            explanation="Quiz: 9 of 10.",
            achieved_at=now,
        )
    )
    add(
        IssuedCredential(
            award_id=award.id,
            backend_id=backend.id,
            achievement_id=achievement.id,
            document={},
            jwt="x",
            ob2={},
            status_list="00000000-0000-4000-8000-00000000000a",
            status_index=len(session.scalars(select(IssuedCredential)).all()),
            issued_at=now,
        )
    )
    add(HoldingChange(award_id=award.id, due_at=now))
    add(
        Consent(
            person_id=person.id,
            backend_id=backend.id,
            state="agreed",
            recipient="Badges",
            wording="w",
        )
    )
    add(AuditEvent(kind="granted", course_id=course.id, award_id=award.id))
    return made
