"""Canvas: what its LTI services do differently, and its own REST API.

Source: Canvas LMS source (app/controllers/lti/ims) and its API documentation.
Quirks: AGS lists only assignments of this tool, and a result exists only after a score of ours;
a score makes a new submission unless told not to; concluded courses answer 404.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from fractions import Fraction
from itertools import chain
from typing import Any, ClassVar
from urllib.parse import quote

from lti_badges.core import clock
from lti_badges.core.errors import Gone, PlatformDown
from lti_badges.lms.base import LMS, CourseHandle, Push
from lti_badges.lms.canvas.connection import CONNECTION, SIGN_IN, grant
from lti_badges.lms.canvas.developer_key import developer_key
from lti_badges.lms.canvas.events import KEY_SET, read_event
from lti_badges.lms.canvas.further_sources import PERIOD, RARE, CanvasMore
from lti_badges.lms.canvas.values import (
    completion_of,
    mark_of,
    refuse_without_modules,
    state_of,
    words,
)
from lti_badges.lms.reading import Learners, Reader, each, keyed, of_kind
from lti_badges.lms.rest import Rest, id_of, number, rows
from lti_badges.lti import nrps
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    Member,
    Result,
    ResultState,
)
from lti_badges.values.settings import Setting

EXTENSION = "https://canvas.instructure.com/lti"
GRADES, PROGRESS = "Canvas gradebook", "Canvas module progress"
ITEM_PREFIX = "canvas-assignment:"
PICKERS = (
    "link_selection",
    "assignment_selection",
    "editor_button",
    "module_index_menu_modal",
)
IN_WORDS = frozenset({"letter_grade", "gpa_scale", "pass_fail"})
NO_LINK = frozenset({Gone.code, "http_400", "http_422"})
MOST_IDS = 200_000
SUBMISSION = "https://canvas.instructure.com/lti/submission"


_IDS: dict[tuple[str, str, date], str] = {}
"""Canvas ids by institution, LTI id and day, of this process."""


class Canvas(LMS):
    """Canvas by LTI."""

    key = "canvas"
    label = "Canvas"
    families = ("canvas",)
    # One per environment, for all institutions: production, beta, test.
    shared_issuers = (
        "https://canvas.instructure.com",
        "https://canvas.beta.instructure.com",
        "https://canvas.test.instructure.com",
    )
    # A developer key belongs to one root account; each place it is installed is a deployment.
    trusts_deployments = True
    push_key_set = KEY_SET
    own_course_parameter, own_user_parameter = "canvas_course_id", "canvas_user_id"
    custom_parameters: ClassVar[dict[str, str]] = {
        "canvas_user_id": "$Canvas.user.id",
        "canvas_course_id": "$Canvas.course.id",
        "canvas_api_domain": "$Canvas.api.domain",
        "canvas_enrollment_state": "$Canvas.enrollment.enrollmentState",
        "context_history": "$Context.id.history",
        "previous_context_ids": "$Canvas.course.previousContextIds",
        "masquerading_user": "$Canvas.masqueradingUser.id",
    }
    after_registration = (
        (
            "Approve the placements that Canvas shows next, and keep the privacy level at “All "
            "user data”: names and e-mail addresses stand on badges."
        ),
        ("Switch the tool on in the account, and in a course's navigation (Settings, Navigation)."),
        "Open “Badges” once from a course: that proves the connection.",
    )

    @classmethod
    def registration_messages(cls, launch_url: str) -> list[dict[str, Any]]:
        """Course navigation, and the pickers of assignments, modules and the editor."""
        return [
            {
                "type": "LtiResourceLinkRequest",
                "target_link_uri": launch_url,
                "label": "Badges",
                "placements": ["course_navigation"],
                "roles": [],
                f"{EXTENSION}/course_navigation/default_enabled": False,
                f"{EXTENSION}/visibility": "members",
            },
            {
                "type": "LtiDeepLinkingRequest",
                "target_link_uri": launch_url,
                "label": "Badge",
                "placements": list(PICKERS),
            },
        ]

    @classmethod
    def registration_extras(cls, base_url: str) -> dict[str, Any]:
        """Canvas sends no names and addresses unless it is asked to."""
        return {f"{EXTENSION}/privacy_level": "public", f"{EXTENSION}/tool_id": "lti-badges"}

    @classmethod
    def key_configuration(cls, base_url: str) -> dict[str, Any]:
        """The developer key's configuration by address."""
        return developer_key(base_url, PICKERS, cls.custom_parameters)

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
        """Live Events."""
        return read_event(event)

    def __init__(self, course: CourseHandle) -> None:
        super().__init__(course)
        self._subs: dict[str, str] | None = None
        self._unmapped: list[str] = []
        self._more: CanvasMore | None = None

    @property
    def rest(self) -> Rest:
        """The institution's API."""
        return Rest(self.course, self.course.connection.get("url", ""), grant)

    def check(self) -> str:
        """Who the token belongs to."""
        me = self.rest.json("/api/v1/users/self")
        name = me.get("name", "?") if isinstance(me, dict) else "?"
        return f"{self.course.connection['url']} let us in as {name}."

    def members(self) -> Iterator[Member]:
        """By NRPS with the course's own link id: each member then carries the Canvas user id that
        tells whose a submission is."""
        url = self.course.memberships_url
        if not url or not self.is_connected:
            yield from super().members()
            return
        self._subs, self._unmapped = {}, []
        listed = nrps.members(self.course.service, url, rlid=self.course.context_id)
        try:
            first = next(listed, None)
        except (Gone, PlatformDown) as error:
            # A key that was installed without course navigation has no such link.
            if error.code not in NO_LINK:
                raise
            first = None
        for member in chain([first], listed) if first else super().members():
            if user_id := member.custom.get("canvas_user_id"):
                self._subs[user_id] = member.sub
            elif member.can_earn:
                self._unmapped.append(member.sub)
            yield member

    def api_gradables(self) -> Iterator[Gradable]:
        """Published assignments, course grade and completion."""
        own = self.own_columns()
        for page in self.rest.linked(f"{self._path}/assignments", {"per_page": "100"}):
            for item in rows(page):
                if item.get("published") is False or item.get("grading_type") == "not_graded":
                    continue
                yield Gradable(
                    Kind.ITEM,
                    f"{ITEM_PREFIX}{id_of(item)}",
                    str(item.get("name") or "Untitled assignment"),
                    number(item.get("points_possible")),
                    GRADES,
                    is_own=str(item.get("name")) in own,
                    in_words=item.get("grading_type") in IN_WORDS,
                )
        yield Gradable(Kind.COURSE_GRADE, COURSE_GRADE_KEY, "Course grade", Fraction(100), GRADES)
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
        """Submissions item by item; final scores and progress of all in a few pages each."""
        return (
            each(of_kind(Kind.COURSE_GRADE), self._grades),
            each(of_kind(Kind.COMPLETION), self._progress),
            each(keyed(ITEM_PREFIX), self._submissions),
            each(keyed(PERIOD), self._grades),
            each(keyed(*RARE), self._further),
        )

    def _further(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        return self.more.read(gradable, learners.one, self._who(learners.one))

    @property
    def _path(self) -> str:
        return f"/api/v1/courses/lti_context_id:{quote(self.course.context_id, safe='')}"

    def _who(self, sub: str | None) -> dict[str, str]:
        """LTI ids by Canvas user ids: of everybody, or of the one learner who is waiting."""
        if sub is None:
            if self._subs is None:
                for _ in self.members():
                    pass
            while self._unmapped:  # whom the roster named without the Canvas id
                learner = self._unmapped.pop()
                with suppress(Gone):
                    self._subs = {**(self._subs or {}), self._id_of(learner): learner}
            return self._subs or {}
        return {self._id_of(sub): sub}

    def _id_of(self, sub: str) -> str:
        """The Canvas id of an LTI id; it changes only when users are merged: asked once a day."""
        key = (self.course.connection.get("url", ""), sub, clock.now().date())
        if key not in _IDS:
            found = self.rest.json(f"{self._path}/users/lti_1_3_id:{quote(sub, safe='')}")
            if not isinstance(found, dict) or found.get("id") is None:
                raise PlatformDown("Canvas's answer names no user.", code="unreadable")
            if len(_IDS) >= MOST_IDS:
                _IDS.clear()
            _IDS[key] = str(found["id"])
        return _IDS[key]

    def _submissions(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        sub = learners.one
        who = self._who(sub)
        params = {
            "student_ids[]": next(iter(who), "0") if sub else "all",
            "assignment_ids[]": gradable.key.removeprefix(ITEM_PREFIX),
            "per_page": "100",
        }
        for page in self.rest.linked(f"{self._path}/students/submissions", params):
            for row in rows(page):
                if owner := who.get(str(row.get("user_id"))):
                    found = state_of(row)
                    score = number(row.get("score"))
                    yield Result(
                        gradable.key,
                        owner,
                        found,
                        score,
                        gradable.maximum,
                        clock.now(),
                        mark_of(row) if gradable.in_words else None,
                    )

    def _grades(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        """The final score counts what is not handed in as zero; an override wins. Two enrolments in
        two sections show the same grade twice."""
        key, sub = gradable.key, learners.one
        who = self._who(sub)
        params = {"type[]": "StudentEnrollment", "per_page": "100"}
        if sub:
            params["user_id"] = next(iter(who), "0")
        if key.startswith(PERIOD):
            params["grading_period_id"] = key.removeprefix(PERIOD)
        seen: set[str] = set()
        for page in self.rest.linked(f"{self._path}/enrollments", params):
            for row in rows(page):
                owner = who.get(str(row.get("user_id")))
                grades = row.get("grades")
                if owner is None or owner in seen or not isinstance(grades, dict):
                    continue
                seen.add(owner)
                override = number(grades.get("override_score"))
                score = number(grades.get("final_score")) if override is None else override
                state = ResultState.MISSING if score is None else ResultState.GRADED
                if score is None and "final_score" not in grades:
                    state = ResultState.HIDDEN
                letter = grades.get("override_grade") or grades.get("final_grade")
                yield Result(key, owner, state, score, Fraction(100), clock.now(), words(letter))

    def _progress(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        """Module requirements: the only completion that Canvas knows."""
        sub = learners.one
        who = self._who(sub)
        path = f"{self._path}/bulk_user_progress"
        if sub:
            user = next(iter(who), "0")
            found = self.rest.json(f"{self._path}/users/{user}/progress")
            yield from completion_of(sub, found)
            return
        for page in self.rest.linked(path, {"per_page": "100"}):
            refuse_without_modules(page)
            for row in rows(page):
                if owner := who.get(str(row.get("id"))):
                    yield from completion_of(owner, row.get("progress"))

    api_tells = (
        (Kind.ITEM, "Every published assignment, once its grade is posted."),
        (
            Kind.COURSE_GRADE,
            "The final score: what is not handed in counts as zero; an override wins.",
        ),
        (Kind.COMPLETION, "Module requirements; a course without them can't be completed."),
        (
            Kind.GROUP,
            (
                "Sections, groups, outcomes and grading periods, as far as the connection's scopes "
                "allow; they are listed once a day."
            ),
        ),
    )
    lti_tells = "Over LTI, Canvas shows this tool its own assignments only."
    lti_misses = "Canvas does not tell this over LTI; an admin can connect its own interface."

    def score_extensions(self) -> dict[str, Any]:
        """No new submission (it would re-date the learner's), and a teacher's grade stays."""
        return {
            SUBMISSION: {
                "new_submission": False,
                "preserve_score": True,
                "prioritize_non_tool_grade": True,
            }
        }
