"""What a Moodle site keeps besides its courses: the service's functions, the user's rights."""

from __future__ import annotations

from dataclasses import dataclass, field

FUNCTIONS = frozenset(
    {
        "core_webservice_get_site_info",
        "gradereport_user_get_grade_items",
        "core_grades_get_gradeitems",
        "core_completion_get_course_completion_status",
        "core_completion_get_activities_completion_status",
        "core_course_get_contents",
        "core_user_get_users_by_field",
        "core_group_get_course_groups",
        "core_group_get_group_members",
        "core_cohort_get_cohorts",
        "core_cohort_get_cohort_members",
        "core_competency_list_course_competencies",
    }
)
RIGHTS = frozenset(
    {
        "gradereport/user:view",
        "moodle/grade:viewall",
        "moodle/grade:viewhidden",
        "report/completion:view",
        "report/progress:view",
        "moodle/course:view",
        "moodle/course:managegroups",
        "moodle/site:accessallgroups",
        "moodle/cohort:view",
        "moodle/user:update",
    }
)


@dataclass
class MoodleState:
    """`functions` are in the web service, `rights` are those of its user's role. `suspended` are
    accounts that the site closed; NRPS lists them all the same. `limit` is for how many learners a
    report of the whole course ends in time; `late` are learners whose own report fails, so many
    times. `cohorts` name people."""

    functions: set[str] = field(default_factory=lambda: set(FUNCTIONS))
    rights: set[str] = field(default_factory=lambda: set(RIGHTS))
    suspended: set[str] = field(default_factory=set)
    scales: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cohorts: dict[str, set[str]] = field(default_factory=dict)
    rest_is_on: bool = True
    separate_groups: bool = False
    limit: int = 300
    late: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
