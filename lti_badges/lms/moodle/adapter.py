"""Moodle: what its web services tell beyond LTI.

Sources: Moodle 4.5 mod/lti, gradereport_user, completion/classes/external.php, and a running 4.5.6.
Quirks: errors come as HTTP 200 with an `exception` key; a course without completion criteria never
completes; completion is written by cron, later; the launch's `sub` is the user id and the
context's id the course id; activities whose capabilities the token's user lacks are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from html import unescape
from typing import Any, ClassVar

from lti_badges.core import clock
from lti_badges.core.errors import (
    Gone,
    HttpError,
    NoRight,
    NotConnected,
    PlatformDown,
    Unsupported,
)
from lti_badges.core.http import host_of
from lti_badges.core.text import as_text
from lti_badges.lms.base import LMS, Capability
from lti_badges.lms.moodle.errors import refusal
from lti_badges.lms.moodle.further_sources import COMPETENCY, GROUP, MoodleMore
from lti_badges.lms.reading import Learners, Reader, each, keyed, of_kind, together
from lti_badges.lms.rest import id_of, number, rows
from lti_badges.lti import nrps
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    Result,
    ResultState,
    Tracking,
)
from lti_badges.values.settings import Setting

GRADES = "Moodle gradebook"
COMPLETION = "Moodle completion"
COMPLETE_STATES = frozenset({"1", "2"})  # 3 is "completed, but failed"
ITEM_PREFIX, ACTIVITY_PREFIX = "moodle-item:", "moodle-cm:"
LINK_PREFIX, ACCESS = "moodle-link:", "Moodle Restrict access"


class Moodle(LMS):
    """Moodle by LTI, and by its web services once an admin has connected them."""

    key = "moodle"
    column_note = (
        "Moodle counts the column as 1 point of the course total: LTI can't keep it out. If you "
        "want it to count nothing, set its weight to 0 in Grades, Gradebook setup."
    )
    label = "Moodle"
    families = ("moodle",)
    # A registration belongs to one site, and gets one deployment.
    trusts_deployments = True
    # An activity made for LTI 1.1 sends its own consumer key as audience (seen on 4.5.6).
    audience_hint = (
        "If the activity still has a consumer key of its own from LTI 1.1, clear that field in the "
        "activity's settings; or an admin lets the key stand for this tool: lti-badges platforms "
        "add … --also-audience KEY"
    )
    after_registration = (
        (
            "Press “Activate” on the tool's card in Manage tools: until then Moodle keeps it "
            "pending."
        ),
        (
            "In its settings, let teachers add it in the activity chooser (“Show in activity "
            "chooser and as a preconfigured tool”) and leave “New window” or “Embed” as you like."
        ),
        (
            "For course grades, other activities and completion, connect the web services: "
            "lti-badges platforms connect."
        ),
        "Open the tool once from a course: that proves the connection.",
    )
    connection_settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Site address", "If it is not the registered issuer", required=False),
        Setting(
            "token",
            "Web-service token",
            "Of a service user whose role may view grades and completion; functions: "
            "core_webservice_get_site_info, gradereport_user_get_grade_items, "
            "core_completion_get_course_completion_status, "
            "core_completion_get_activities_completion_status, core_course_get_contents; as you "
            "like: core_group_get_course_groups and core_group_get_group_members, "
            "core_competency_list_course_competencies and report_competency_data_for_report",
            secret=True,
        ),
    )

    @classmethod
    def course_page(cls, issuer: str, context_id: str, custom: Mapping[str, str]) -> str | None:
        """The context's id is the course's."""
        return f"{issuer}/course/view.php?id={context_id}"

    api_tells = (
        *(
            (kind, "Read from Moodle by its web services.")
            for kind in (Kind.ITEM, Kind.COURSE_GRADE, Kind.COMPLETION, Kind.ACTIVITY)
        ),
        (Kind.GROUP, "Groups and competencies, if the token's service has their functions."),
    )
    lti_tells = "Without web services Moodle shows this tool its own activities' grades only."
    lti_misses = "Moodle tells this by its web services only; ask the admin to connect them."

    def capabilities(self) -> tuple[Capability, ...]:
        """Also what Moodle tells by keeping people away from the tool's own links."""
        if self.is_connected:
            return super().capabilities()
        access = (
            "Whether a learner may open one of this tool's links: in the activity's “Restrict "
            "access” a teacher can ask for any grade or completion."
        )
        return (*super().capabilities(), Capability(Kind.ACTIVITY, True, access))

    def check(self) -> str:
        """Which site and user the token belongs to."""
        answer = self._call("core_webservice_get_site_info", None)
        site = answer if isinstance(answer, dict) else {}
        return f"{site.get('sitename', 'Moodle')} let us in as {site.get('username', '?')}."

    def lti_gradables(self) -> Iterator[Gradable]:
        """Its own line items, and the access conditions of the tool's links."""
        yield from super().lti_gradables()
        if not self.is_connected:
            for link, title in self.course.links.items():
                label = f"Access condition of “{title or link}”"
                yield Gradable(Kind.ACTIVITY, f"{LINK_PREFIX}{link}", label, None, ACCESS)

    def api_gradables(self) -> Iterator[Gradable]:
        """All grade items, the course grade and completions."""
        yield from self._grade_items()
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, "Course completion", None, COMPLETION)
        yield from self._activities()

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Groups and competencies."""
        return self._more.gradables()

    @property
    def _more(self) -> MoodleMore:
        return MoodleMore(self._call)

    def readers(self) -> Sequence[Reader]:
        """Grade items of all learners in one call; completions learner by learner."""
        return (
            together(_by_gradebook, self._graded),
            each(of_kind(Kind.COMPLETION), self._completions),
            each(keyed(GROUP), lambda group, _: self._more.members(group.key)),
            together(keyed(ACTIVITY_PREFIX), self._activities_of),
            together(keyed(COMPETENCY), self._competencies_of),
            each(keyed(LINK_PREFIX), self._access),
        )

    def _access(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        """Who may open one of the tool's links: Moodle's roster of a link leaves out whoever its
        “Restrict access” keeps away, so a grade or completion set there decides, without any token.
        A link that keeps nobody away proves nothing."""
        key, sub = gradable.key, learners.one
        url = self.course.memberships_url
        if not url:
            raise Unsupported("Moodle does not share the list of members with this tool.")
        everybody = {m.sub for m in self.members() if m.can_earn}
        filtered = nrps.members(self.course.service, url, rlid=key.removeprefix(LINK_PREFIX))
        listed = {member.sub for member in filtered if member.can_earn}
        if listed >= everybody:
            raise Unsupported(
                "Every learner may open this link, so its access condition says nothing: set one "
                "in the activity's “Restrict access”, for example a grade or a completion."
            )
        for learner in everybody if sub is None else {sub} & everybody:
            yield Completion(learner, key, learner in listed, None, clock.now())

    def _grade_items(self) -> Iterator[Gradable]:
        """The items as one learner's report names them: Moodle has no call that just lists them."""
        learner = self._any_learner()
        if learner is None:
            return
        own = self.own_columns()
        for item in self._report(learner):
            name = unescape(str(item.get("itemname") or "Untitled grade item"))
            if item.get("itemtype") == "course":
                yield Gradable(
                    Kind.COURSE_GRADE, COURSE_GRADE_KEY, "Course grade", _maximum(item), GRADES
                )
            elif as_text(item.get("itemtype")) in {"mod", "manual"} and item.get("id") is not None:
                yield Gradable(
                    Kind.ITEM,
                    f"{ITEM_PREFIX}{item['id']}",
                    name,
                    _maximum(item),
                    GRADES,
                    is_own=name in own,
                )

    def _any_learner(self) -> str | None:
        return next((member.sub for member in self.members() if member.can_earn), None)

    def _report(self, sub: str) -> list[dict[str, Any]]:
        answer = self._call("gradereport_user_get_grade_items", userid=sub)
        return next((rows(report, "gradeitems") for report in rows(answer, "usergrades")), [])

    def _graded(self, graded: Sequence[Gradable], learners: Learners) -> Iterator[Result]:
        answer = self._call("gradereport_user_get_grade_items", userid=learners.one or "0")
        read_at = clock.now()
        wanted = {gradable.key for gradable in graded}
        for report in rows(answer, "usergrades"):
            for item in rows(report, "gradeitems"):
                key = _key(item)
                if key in wanted:
                    yield _result(key, str(report.get("userid")), item, read_at)

    def _completions(self, gradable: Gradable, learners: Learners) -> Iterator[Completion]:
        for sub in learners.unfinished():
            try:
                answer = self._call("core_completion_get_course_completion_status", userid=sub)
            except Gone:  # no longer enrolled, or a teacher: they complete nothing
                continue
            status = answer.get("completionstatus") if isinstance(answer, dict) else None
            if not isinstance(status, dict):
                raise PlatformDown("Moodle's completion status can't be read.", code="unreadable")
            done = bool(status.get("completed"))
            times = [clock.told(part.get("timecompleted")) for part in rows(status, "completions")]
            at = max((time for time in times if time), default=None) if done else None
            yield Completion(sub, COURSE_COMPLETION, done, at, clock.now())

    def _activities(self) -> Iterator[Gradable]:
        for section in self._call("core_course_get_contents"):
            for module in rows(section, "modules"):
                if module.get("completion"):
                    name = unescape(str(module.get("name") or "Activity"))
                    key = f"{ACTIVITY_PREFIX}{id_of(module)}"
                    yield Gradable(Kind.ACTIVITY, key, name, None, COMPLETION)

    def _activities_of(
        self, activities: Sequence[Gradable], learners: Learners
    ) -> Iterator[Completion | Tracking]:
        keys = {activity.key for activity in activities}
        for sub in learners.unfinished():
            try:
                answer = self._call("core_completion_get_activities_completion_status", userid=sub)
            except Gone:
                continue
            statuses = rows(answer, "statuses")
            # The roster calls teachers without editing rights learners; completion knows better.
            tracked = not any(status.get("istrackeduser") is False for status in statuses)
            yield Tracking(sub, tracked)
            for status in statuses if tracked else ():
                key = f"{ACTIVITY_PREFIX}{status.get('cmid')}"
                if key in keys:
                    done = as_text(status.get("state")) in COMPLETE_STATES
                    at = clock.told(status.get("timecompleted")) if done else None
                    yield Completion(sub, key, done, at, clock.now())

    def _competencies_of(
        self, rated: Sequence[Gradable], learners: Learners
    ) -> Iterator[Completion]:
        return self._more.proficient({each.key for each in rated}, learners.unfinished())

    def _call(self, function: str, course: str | None = "courseid", **arguments: str) -> Any:
        """One web-service call; the token travels in the body, where no log keeps it. `course` is
        what the function calls the course's id, if it takes one."""
        token = self.course.connection.get("token")
        if not token:
            raise NotConnected("Moodle's web services are not connected; an admin can do that.")
        base = (self.course.connection.get("url") or self.course.issuer).rstrip("/")
        url = f"{base}/webservice/rest/server.php"
        form = {"wsfunction": function, "moodlewsrestformat": "json", "wstoken": token, **arguments}
        if course is not None:
            form[course] = self.course.context_id
        try:
            reply = self.course.http.post(url, form=form)
            answer = reply.json() if reply.ok else None
        except HttpError as error:
            raise PlatformDown(error.message, code=error.code) from error
        if reply.status == 403:
            raise NoRight(f"{host_of(url)}: the REST protocol of the web services is switched off.")
        if not reply.ok:
            raise PlatformDown(
                f"{host_of(url)} answered with the error {reply.status}.",
                retry_after=reply.retry_after,
            )
        if isinstance(answer, dict) and "exception" in answer:
            raise refusal(answer)
        return answer


def _by_gradebook(gradable: Gradable) -> bool:
    return gradable.kind is Kind.COURSE_GRADE or (
        gradable.kind is Kind.ITEM and gradable.key.startswith(ITEM_PREFIX)
    )


def _key(item: dict[str, Any]) -> str:
    return (
        COURSE_GRADE_KEY if item.get("itemtype") == "course" else f"{ITEM_PREFIX}{item.get('id')}"
    )


def _result(key: str, sub: str, item: dict[str, Any], read_at: datetime) -> Result:
    """Raw points above the minimum: the formatted texts are localised and rounded."""
    maximum = _maximum(item)
    raw, floor = number(item.get("graderaw")), number(item.get("grademin")) or Fraction(0)
    score = None if raw is None else raw - floor
    if item.get("gradeishidden"):
        state = ResultState.HIDDEN
    elif item.get("gradeneedsupdate"):
        state = ResultState.PENDING
    elif score is None:
        state = ResultState.MISSING
    else:
        state = ResultState.GRADED
    return Result(
        key,
        sub,
        state,
        score,
        maximum,
        read_at,
        graded_at=clock.told(item.get("gradedategraded")),
        submitted_at=clock.told(item.get("gradedatesubmitted")),
    )


def _maximum(item: dict[str, Any]) -> Fraction | None:
    top, floor = number(item.get("grademax")), number(item.get("grademin")) or Fraction(0)
    return None if top is None else top - floor
