"""The database: typed models, one file per aggregate, sessions and migrations."""

from lti_badges.store.awarding import (
    STANDING_STATES,
    AuditEvent,
    Award,
    AwardRule,
    Delivery,
    RuleVersion,
    Standing,
    State,
)
from lti_badges.store.badges import Achievement, BackendRow, IssuedCredential
from lti_badges.store.base import Base, new_id
from lti_badges.store.courses import (
    COMPLETED,
    NOT_COMPLETED,
    Course,
    CourseMember,
    LineItem,
    MemberResult,
    ResourceLink,
)
from lti_badges.store.leases import Process
from lti_badges.store.migrate import is_current, upgrade
from lti_badges.store.platforms import Deployment, Invitation, Login, Platform
from lti_badges.store.session import Sessions, is_busy, open_engine, open_sessions
from lti_badges.store.signing_keys import KeyRow, SigningKeys

__all__ = [
    "COMPLETED",
    "NOT_COMPLETED",
    "STANDING_STATES",
    "Achievement",
    "AuditEvent",
    "Award",
    "AwardRule",
    "BackendRow",
    "Base",
    "Course",
    "CourseMember",
    "Delivery",
    "Deployment",
    "Invitation",
    "IssuedCredential",
    "KeyRow",
    "LineItem",
    "Login",
    "MemberResult",
    "Platform",
    "Process",
    "ResourceLink",
    "RuleVersion",
    "Sessions",
    "SigningKeys",
    "Standing",
    "State",
    "is_busy",
    "is_current",
    "new_id",
    "open_engine",
    "open_sessions",
    "upgrade",
]
