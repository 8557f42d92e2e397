"""Canvas: what its LTI services do differently, and its own REST API.

Source: Canvas LMS source (app/controllers/lti/ims) and its API documentation.
Quirks: AGS lists only assignments of this tool, and a result exists only after a score of ours;
a score makes a new submission unless told not to; concluded courses answer 404.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.core.text import as_text
from lti_badges.lms.base import HISTORY, LMS, Push
from lti_badges.lms.canvas.connection import CONNECTION, SIGN_IN, TELLS, grant
from lti_badges.lms.canvas.developer_key import EXTENSION, developer_key, messages
from lti_badges.lms.canvas.events import KEY_SET, read_event
from lti_badges.lms.canvas.further_sources import MODULE, RARE, CanvasMore
from lti_badges.lms.canvas.gradebook import (
    ASSIGNMENT_GROUP,
    GRADE,
    GRADES,
    ITEM_PREFIX,
    MOST,
    PERIOD,
    course_grades,
    grades,
    group_scores,
    result_of,
    submissions,
)
from lti_badges.lms.canvas.progress import progress
from lti_badges.lms.canvas.roster import MEMBERS_A_PAGE, Roster
from lti_badges.lms.canvas.scopes import proved, refusal
from lti_badges.lms.course_handle import CourseHandle
from lti_badges.lms.reader_dispatch import (
    Learners,
    Reader,
    each,
    keyed,
    of_kind,
    only_changes,
    together,
)
from lti_badges.lms.rest import Rest, key_of, number, rows
from lti_badges.values.course import (
    COURSE_COMPLETION,
    Completion,
    Gradable,
    Kind,
    Member,
    Result,
)
from lti_badges.values.settings import Setting

PROGRESS, PREVIOUS = "Canvas module progress", "previous_context_ids"
IN_WORDS = frozenset({"letter_grade", "gpa_scale", "pass_fail"})
SUBMISSION_TYPE = "https://canvas.instructure.com/lti/submission_type"
SUBMISSION = "https://canvas.instructure.com/lti/submission"


class Canvas(LMS):
    """Canvas by LTI, and by its REST API once an admin or an instructor has connected it."""

    key = "canvas"
    column_note = (
        "Canvas makes an assignment of 1 point, which counts in the final grade: LTI can't keep "
        "it out. If you want it to count nothing, tick “Do not count this assignment towards the "
        "final grade” in it."
    )
    label = "Canvas"
    families = ("canvas",)
    # One per environment, for all institutions: production, beta, test.
    hosted_origins = ("https://*.instructure.com", "https://*.canvaslms.com")
    shared_issuers = (
        "https://canvas.instructure.com",
        "https://canvas.beta.instructure.com",
        "https://canvas.test.instructure.com",
    )
    takes_authorization_server = False  # it publishes a bare host, and takes its token address only
    rows_a_page = 100  # lib/api.rb
    members_a_page = MEMBERS_A_PAGE
    endpoint_hosts = (".canvaslms.com", ".instructure.com")
    # A developer key belongs to one root account; each place it is installed is a deployment.
    trusts_deployments = True
    push_key_set = KEY_SET
    own_course_parameter, own_user_parameter = "canvas_course_id", "canvas_user_id"
    custom_parameters: ClassVar[dict[str, str]] = {
        "canvas_user_id": "$Canvas.user.id",
        "canvas_course_id": "$Canvas.course.id",
        "canvas_api_domain": "$Canvas.api.domain",
        "canvas_enrollment_state": "$Canvas.enrollment.enrollmentState",
        HISTORY: "$Context.id.history",
        PREVIOUS: "$Canvas.course.previousContextIds",
        "masquerading_user": "$Canvas.masqueradingUser.id",
    }
    history_parameters = (HISTORY, PREVIOUS)
    after_registration = (
        (
            "Approve the placements that Canvas shows next, and keep the privacy level at “All "
            "user data”: names and e-mail addresses stand on badges."
        ),
        ("Switch the tool on in the account, and in a course's navigation (Settings, Navigation)."),
        "Open “Badges” once from a course: that proves the connection.",
    )

    @classmethod
    def registration_messages(
        cls, launch_url: str, options: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Course navigation, hidden until a teacher shows it unless `navigation=enabled`, and the
        pickers of assignments, modules and the editor."""
        return messages(launch_url, options)

    @classmethod
    def registration_extras(cls, base_url: str) -> dict[str, Any]:
        """Canvas sends no names and addresses unless it is asked to."""
        return {f"{EXTENSION}/privacy_level": "public", f"{EXTENSION}/tool_id": "lti-badges"}

    @classmethod
    def key_configuration(cls, base_url: str, options: Mapping[str, str]) -> dict[str, Any]:
        """The app's configuration by address; `navigation=enabled` as for dynamic registration."""
        return developer_key(base_url, cls.custom_parameters, options)

    @classmethod
    def course_page(cls, issuer: str, context_id: str, custom: Mapping[str, str]) -> str | None:
        """By the institution's own host; the issuer is all institutions'."""
        host, course = custom.get("canvas_api_domain"), custom.get("canvas_course_id")
        return f"https://{host}/courses/{course}" if host and course else None

    connection_settings: ClassVar[tuple[Setting, ...]] = CONNECTION
    sign_in = SIGN_IN

    @property
    def is_connected(self) -> bool:
        """Neither a key set for events nor a key without an account connects anything."""
        held = self.course.connection
        return bool(held.get("url") and any(held.get(name) for name in SIGN_IN.account))

    @classmethod
    def read_push(cls, event: Mapping[str, Any]) -> Push | None:
        """Canvas pushes Live Events."""
        return read_event(event)

    def __init__(self, course: CourseHandle) -> None:
        super().__init__(course)
        self._roster: Roster | None = None
        self._posted_at_once: set[str] = set()
        self._more: CanvasMore | None = None

    @property
    def rest(self) -> Rest:
        """The institution's API."""
        return Rest(self.course, self.course.connection.get("url", ""), grant, refusal)

    def check(self) -> str:
        """Which of the lists may be read, asked of each: a scope that is missing is not a dead
        token. Raises NoRight naming the required scopes that are missing."""
        return proved(self.rest, self.course.connection["url"])

    def members(self) -> Iterator[Member]:
        """With Canvas ids, and with those whose enrolment is completed, once it is connected."""
        yield from self.roster.members() if self.is_connected else super().members()

    @property
    def roster(self) -> Roster:
        """The course's members, whose Canvas ids tell whose a submission is."""
        if self._roster is None:
            self._roster = Roster(self.course, self.rest, self._path, super().members)
        return self._roster

    def api_gradables(self) -> Iterator[Gradable]:
        """Published assignments, course grade and completion."""
        own = self.own_columns()
        for page in self.rest.linked(f"{self._path}/assignments", dict([MOST])):
            for item in rows(page):
                if item.get("published") is False or item.get("grading_type") == "not_graded":
                    continue
                key = key_of(ITEM_PREFIX, item)
                if item.get("post_manually") is False:
                    self._posted_at_once.add(key)
                yield Gradable(
                    Kind.ITEM,
                    key,
                    str(item.get("name") or "Untitled assignment"),
                    number(item.get("points_possible")),
                    GRADES,
                    is_own=str(item.get("name")) in own,
                    in_words=as_text(item.get("grading_type")) in IN_WORDS,
                )
        yield from course_grades()
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, "Course completion", None, PROGRESS)

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Sections, groups, outcomes, grading periods."""
        return self.more.gradables()

    @property
    def more(self) -> CanvasMore:
        """The course's further sources."""
        if self._more is None:
            self._more = CanvasMore(self.rest, self._path)
        return self._more

    def readers(self) -> Sequence[Reader]:
        """Submissions item by item; grades and progress of all in a few pages each; modules
        learner by learner."""
        return (
            each(of_kind(Kind.COURSE_GRADE), self._grades),
            each(keyed(GRADE, PERIOD), self._grades),
            each(of_kind(Kind.COMPLETION), self._progress),
            only_changes(self._tells_changes, self._changed),
            each(keyed(ITEM_PREFIX), self._submissions),
            each(keyed(ASSIGNMENT_GROUP), self._group_scores),
            together(keyed(MODULE), self._modules),
            each(keyed(*RARE), self._further),
        )

    def _further(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        return self.more.read(gradable, learners.one, self.roster.who(learners.one))

    def _modules(self, modules: Sequence[Gradable], learners: Learners) -> Iterator[Completion]:
        users = {sub: user for user, sub in self.roster.who(learners.one).items()}
        known = ((sub, users[sub]) for sub in learners.unfinished() if sub in users)
        return self.more.modules({module.key for module in modules}, known)

    def _group_scores(self, group: Gradable, learners: Learners) -> Iterator[Result]:
        return group_scores(
            self.rest, self._path, group, learners.one, self.roster.who(learners.one)
        )

    @property
    def _path(self) -> str:
        return f"/api/v1/courses/lti_context_id:{quote(self.course.context_id, safe='')}"

    def _tells_changes(self, gradable: Gradable) -> bool:
        """`graded_since` names what was graded, and not what was only posted: assignments whose
        grades a teacher posts by hand are read in full each time."""
        return gradable.key in self._posted_at_once

    def _changed(self, items: Sequence[Gradable], learners: Learners) -> Iterator[Result]:
        """What was graded since, of all assignments in one list."""
        who, since = self.roster.who(learners.one), learners.changed_since
        wanted = {item.key.removeprefix(ITEM_PREFIX): item for item in items}
        found = submissions(self.rest, self._path, list(wanted), learners.one, who, since)
        for row in found:
            item, owner = (
                wanted.get(str(row.get("assignment_id"))),
                who.get(str(row.get("user_id"))),
            )
            if item is not None and owner is not None:
                yield result_of(item, owner, row)

    def _submissions(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        who = self.roster.who(learners.one)
        items = [gradable.key.removeprefix(ITEM_PREFIX)]
        for row in submissions(self.rest, self._path, items, learners.one, who):
            if owner := who.get(str(row.get("user_id"))):
                yield result_of(gradable, owner, row)

    def _progress(self, _: Gradable, learners: Learners) -> Iterator[Completion]:
        return progress(self.rest, self._path, learners.one, self.roster.who(learners.one))

    def _grades(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        return grades(
            self.rest, self._path, gradable.key, learners.one, self.roster.who(learners.one)
        )

    api_tells = TELLS
    lti_tells = "Over LTI, Canvas shows this tool its own assignments only."
    lti_misses = "Canvas does not tell this over LTI; an admin can connect its own interface."

    def column_extensions(self) -> dict[str, Any]:
        """An assignment that asks for nothing to be handed in."""
        return {SUBMISSION_TYPE: {"type": "none"}}

    def score_extensions(self, *, clears: bool = False) -> dict[str, Any]:
        """No new submission (it would re-date the learner's), and a teacher's grade stays."""
        return {
            SUBMISSION: {
                "new_submission": False,
                "preserve_score": not clears,
                "prioritize_non_tool_grade": True,
            }
        }
