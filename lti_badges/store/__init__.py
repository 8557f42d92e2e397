"""The database: typed models, one file per aggregate, sessions and migrations."""

from lti_badges.store.awarding import (
    STANDING_STATES,
    AuditEvent,
    Award,
    AwardRule,
    Delivery,
    Origin,
    RuleVersion,
    Standing,
    State,
)
from lti_badges.store.badges import Achievement, BackendRow, IssuedCredential
from lti_badges.store.base import Base, new_id
from lti_badges.store.batches import batches
from lti_badges.store.courses import (
    COMPLETED,
    NOT_COMPLETED,
    Course,
    CourseMember,
    LineItem,
    MemberResult,
    ResourceLink,
)
from lti_badges.store.holding import HoldingChange
from lti_badges.store.institutions import (
    DEFAULT_INSTITUTION,
    Admin,
    AdminLink,
    AdminSession,
    Institution,
    RolePermissions,
    Share,
    ensure_institution,
)
from lti_badges.store.issuing import DrawnPicture, StatusList
from lti_badges.store.leases import Process
from lti_badges.store.migrate import is_current, upgrade
from lti_badges.store.people import Consent, Person
from lti_badges.store.platforms import Deployment, Invitation, Login, Platform, PlatformChange
from lti_badges.store.scope import EVERY_INSTITUTION, WrongInstitution, institution_of
from lti_badges.store.session import (
    Sessions,
    after_commit,
    is_busy,
    is_unwritable,
    one_at_a_time,
    open_engine,
    open_sessions,
)
from lti_badges.store.shared_limits import LimitBucket
from lti_badges.store.signing_key_rows import KeyRow
from lti_badges.store.signing_keys import SigningKeys
from lti_badges.store.upsert import insert_missing

__all__ = [
    "COMPLETED",
    "DEFAULT_INSTITUTION",
    "EVERY_INSTITUTION",
    "NOT_COMPLETED",
    "STANDING_STATES",
    "Achievement",
    "Admin",
    "AdminLink",
    "AdminSession",
    "AuditEvent",
    "Award",
    "AwardRule",
    "BackendRow",
    "Base",
    "Consent",
    "Course",
    "CourseMember",
    "Delivery",
    "Deployment",
    "DrawnPicture",
    "HoldingChange",
    "Institution",
    "Invitation",
    "IssuedCredential",
    "KeyRow",
    "LimitBucket",
    "LineItem",
    "Login",
    "MemberResult",
    "Origin",
    "Person",
    "Platform",
    "PlatformChange",
    "Process",
    "ResourceLink",
    "RolePermissions",
    "RuleVersion",
    "Sessions",
    "Share",
    "SigningKeys",
    "Standing",
    "State",
    "StatusList",
    "WrongInstitution",
    "after_commit",
    "batches",
    "ensure_institution",
    "insert_missing",
    "institution_of",
    "is_busy",
    "is_current",
    "is_unwritable",
    "new_id",
    "one_at_a_time",
    "open_engine",
    "open_sessions",
    "upgrade",
]
