"""What one may do in a course or an institution."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Each is checked where the thing is done, below the pages: `ToolContext.require`."""

    SEE_LEARNERS = "see_learners"
    SEE_GRADES = "see_grades"
    AWARD = "award"
    REVOKE = "revoke"
    EDIT_RULES = "edit_rules"
    EDIT_BADGES = "edit_badges"
    CHOOSE_BACKEND = "choose_backend"
    MANAGE_COURSE = "manage_course"
    MANAGE_INSTITUTION = "manage_institution"

    @property
    def sentence(self) -> str:
        """For a message: “You may not …”."""
        return _SENTENCES[self]


_SENTENCES = {
    Permission.SEE_LEARNERS: "see the learners of this course",
    Permission.SEE_GRADES: "see grades in this course",
    Permission.AWARD: "award badges by hand in this course",
    Permission.REVOKE: "revoke badges in this course",
    Permission.EDIT_RULES: "change the rules of this course",
    Permission.EDIT_BADGES: "create or change badges in this course",
    Permission.CHOOSE_BACKEND: "choose where the badges of this course go",
    Permission.MANAGE_COURSE: "manage this course here",
    Permission.MANAGE_INSTITUTION: "manage the institution",
}
OF_A_COURSE = frozenset(Permission) - {Permission.MANAGE_INSTITUTION}
EVERYTHING = frozenset(Permission)
