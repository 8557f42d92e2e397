"""What the web-service user needs: functions of the service, and rights of the role.

Source: Moodle 4.5, the external functions' own `require_capability`; a running 4.5.6. Moodle says
“Access control exception” for a function that the service lacks, and does not name it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lti_badges.values.course import Kind

SITE, GRADES = "core_webservice_get_site_info", "gradereport_user_get_grade_items"
ITEMS = "core_grades_get_gradeitems"
COURSE_DONE = "core_completion_get_course_completion_status"
ACTIVITIES_DONE = "core_completion_get_activities_completion_status"
CONTENTS = "core_course_get_contents"
USERS = "core_user_get_users_by_field"
GROUPS, GROUP_MEMBERS = "core_group_get_course_groups", "core_group_get_group_members"
COHORTS, COHORT_MEMBERS = "core_cohort_get_cohorts", "core_cohort_get_cohort_members"
COMPETENCIES = "core_competency_list_course_competencies"
COMPETENCY_REPORT = "report_competency_data_for_report"


@dataclass(frozen=True, slots=True)
class Needed:
    """A function, the rights that it asks for, and what is lost without it."""

    function: str
    rights: str
    loss: str
    is_optional: bool = False


NEEDED = (
    Needed(SITE, "webservice/rest:use", "nothing can be read"),
    Needed(
        GRADES,
        "gradereport/user:view, moodle/grade:viewall and moodle/grade:viewhidden",
        "no grades are read",
    ),
    Needed(ITEMS, "moodle/course:view", "an item hidden from learners looks as if it were deleted"),
    Needed(COURSE_DONE, "report/completion:view", "course completion is not read"),
    Needed(ACTIVITIES_DONE, "report/progress:view", "completed activities are not read"),
    Needed(
        CONTENTS,
        "moodle/course:view, moodle/course:viewhiddenactivities and the “view” of each activity",
        "activities are not listed",
    ),
    Needed(USERS, "moodle/user:viewalldetails", "suspended accounts are not told apart", True),
    Needed(GROUPS, "moodle/course:managegroups", "groups can't be conditions", True),
    Needed(GROUP_MEMBERS, "moodle/course:managegroups", "groups can't be conditions", True),
    Needed(COHORTS, "moodle/cohort:view for the whole site", "cohorts can't be conditions", True),
    Needed(COHORT_MEMBERS, "moodle/cohort:view", "cohorts can't be conditions", True),
    Needed(
        COMPETENCIES,
        "moodle/competency:coursecompetencyview",
        "competencies can't be conditions",
        True,
    ),
    Needed(
        COMPETENCY_REPORT,
        "moodle/competency:usercompetencyview",
        "competencies can't be conditions",
        True,
    ),
)
_RIGHTS = {each.function: each.rights for each in NEEDED}

TELLS: tuple[tuple[Kind, str, tuple[str, ...]], ...] = (
    (Kind.ITEM, "Every grade item of the gradebook.", (GRADES,)),
    (Kind.COURSE_GRADE, "The course total.", (GRADES,)),
    (Kind.COMPLETION, "Course completion, with Moodle's own times.", (COURSE_DONE,)),
    (Kind.ACTIVITY, "Completed activities.", (CONTENTS, ACTIVITIES_DONE)),
    (Kind.GROUP, "Groups, listed once a day.", (GROUPS, GROUP_MEMBERS)),
    (Kind.GROUP, "Cohorts, listed once a day.", (COHORTS, COHORT_MEMBERS)),
    (Kind.ACTIVITY, "Competencies, listed once a day.", (COMPETENCIES, COMPETENCY_REPORT)),
)
"""What rules can use, and the functions that tell it."""


def rights_for(function: str) -> str:
    """The rights that a function asks for, in words; empty for one we don't use."""
    return _RIGHTS.get(function, "")


def remedy(functions: tuple[str, ...]) -> str:
    """What a site admin does about functions that are missing."""
    named = " and ".join(functions)
    rights = ", ".join(dict.fromkeys(rights_for(each) for each in functions))
    return (
        f"A Moodle admin adds {named} to the web service (Site administration, Server, External "
        f"services, Functions), and gives its user's role {rights}."
    )
