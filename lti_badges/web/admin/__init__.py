"""The admin console: what waits for a person, and everything that an institution is set up by. No
cookie: a one-time address opens it."""

from lti_badges.web.admin import (
    audit,
    awards,
    backends,
    courses,
    home,
    institution,
    jobs,
    opening,
    people,
    platforms,
    sso,
)
from lti_badges.web.admin.blueprint import admin

__all__ = [
    "admin",
    "audit",
    "awards",
    "backends",
    "courses",
    "home",
    "institution",
    "jobs",
    "opening",
    "people",
    "platforms",
    "sso",
]
