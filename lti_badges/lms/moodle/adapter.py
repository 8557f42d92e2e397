"""Moodle: what its web services tell beyond LTI.

Sources: Moodle 4.5 mod/lti, gradereport_user, completion/classes/external.php, and a running 4.5.6.
Quirks: errors come as HTTP 200 with an `exception` key; a course without completion criteria never
completes; completion is written by cron, later; the launch's `sub` is the user id and the
context's id the course id; activities whose capabilities the token's user lacks are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    PlatformError,
    Unsupported,
)
from lti_badges.core.http import host_of
from lti_badges.lms.base import LMS, Capability, guarded, unread
from lti_badges.lms.moodle.errors import refusal
from lti_badges.lms.moodle.further_sources import COMPETENCY, GROUP, MoodleMore
from lti_badges.lms.rest import id_of, number, rows
from lti_badges.lti import nrps
from lti_badges.values.course import (
    COURSE_COMPLETION,
    COURSE_GRADE_KEY,
    Completion,
    Gradable,
    Kind,
    ReadInFull,
    Reading,
    Result,
    ResultState,
)
from lti_badges.values.settings import Setting

GRADES = "Moodle gradebook"
COMPLETION = "Moodle completion"
COMPLETE_STATES = frozenset({1, 2})  # 3 is "completed, but failed"
ITEM_PREFIX, ACTIVITY_PREFIX = "moodle-item:", "moodle-cm:"
LINK_PREFIX, ACCESS = "moodle-link:", "Moodle Restrict access"


class Moodle(LMS):
    """Moodle by LTI, and by its web services once an admin has connected them."""

    key = "moodle"
    label = "Moodle"
    docs = "docs/lms/moodle.md"
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

    def capabilities(self) -> tuple[Capability, ...]:
        """All of it with web services; own columns only without."""
        if self.is_connected:
            every = "Read from Moodle by its web services."
            kinds = (Kind.ITEM, Kind.COURSE_GRADE, Kind.COMPLETION, Kind.ACTIVITY)
            groups = "Groups and competencies, if the token's service has their functions."
            return (
                *(Capability(kind, True, every) for kind in kinds),
                Capability(Kind.GROUP, True, groups),
            )
        rest = "Moodle tells this by its web services only; ask the admin to connect them."
        own = "Without web services Moodle shows this tool its own activities' grades only."
        return (
            Capability(Kind.ITEM, True, own),
            Capability(Kind.COURSE_GRADE, False, rest),
            Capability(Kind.COMPLETION, False, rest),
            Capability(
                Kind.ACTIVITY,
                True,
                "Whether a learner may open one of this tool's links: in the activity's “Restrict "
                "access” a teacher can ask for any grade or completion.",
            ),
        )

    def check(self) -> str:
        """Which site and user the token belongs to."""
        site = self._call("core_webservice_get_site_info", None)
        return f"{site.get('sitename', 'Moodle')} let us in as {site.get('username', '?')}."

    def gradables(self) -> Iterator[Gradable]:
        """By web services all grade items, the course grade and completions; else by AGS."""
        if not self.is_connected:
            yield from super().gradables()
            for link, title in self.course.links.items():
                label = f"Access condition of “{title or link}”"
                yield Gradable(Kind.ACTIVITY, f"{LINK_PREFIX}{link}", label, None, ACCESS)
            return
        yield from self._grade_items()
        yield Gradable(Kind.COMPLETION, COURSE_COMPLETION, "Course completion", None, COMPLETION)
        yield from self._activities()

    def rare_gradables(self) -> Iterator[Gradable]:
        """Groups and competencies."""
        return MoodleMore(self._call).gradables() if self.is_connected else iter(())

    def readings(
        self,
        wanted: Sequence[Gradable],
        subs: Callable[[], Iterator[str]],
        *,
        unfinished: Callable[[], Iterator[str]] | None = None,
    ) -> Iterator[Reading]:
        """Grade items of all learners in one call; completion learner by learner."""
        graded = [gradable for gradable in wanted if _by_gradebook(gradable)]
        yield from self._graded(graded, sub=None)
        ask = unfinished or subs
        for gradable in wanted:
            if gradable.kind is Kind.COMPLETION:
                yield from guarded(gradable, self._completions(ask()))
        yield from self._done(wanted, ask)
        yield from self._by_lti(wanted, None)

    def readings_of(self, sub: str, wanted: Sequence[Gradable]) -> Iterator[Reading]:
        """One call for all grade items, one for each sort of completion."""
        yield from self._graded([g for g in wanted if _by_gradebook(g)], sub=sub)
        for gradable in wanted:
            if gradable.kind is Kind.COMPLETION:
                yield from guarded(gradable, self._completions(iter((sub,))))
        yield from self._done(wanted, lambda: iter((sub,)))
        yield from self._by_lti(wanted, sub)

    def _done(
        self, wanted: Sequence[Gradable], subs: Callable[[], Iterator[str]]
    ) -> Iterator[Reading]:
        """Activities, competencies and groups."""
        more = MoodleMore(self._call)
        for gradable in wanted:
            if gradable.key.startswith(GROUP):
                yield from guarded(gradable, more.members(gradable.key))
        rated = [each for each in wanted if each.key.startswith(COMPETENCY)]
        activities = [each for each in wanted if each.key.startswith(ACTIVITY_PREFIX)]
        for asked, read in ((activities, self._activities_of), (rated, more.proficient)):
            if asked:
                yield from _together(asked, read({each.key for each in asked}, subs()))

    def _by_lti(self, wanted: Sequence[Gradable], sub: str | None) -> Iterator[Reading]:
        for gradable in wanted:
            if gradable.key.startswith(LINK_PREFIX):
                yield from guarded(gradable, self._access(gradable.key, sub))
            elif gradable.kind is Kind.ITEM and not gradable.key.startswith(ITEM_PREFIX):
                yield from self.read_item(gradable, sub)

    def _access(self, key: str, sub: str | None) -> Iterator[Completion]:
        """Who may open one of the tool's links: Moodle's roster of a link leaves out whoever its
        “Restrict access” keeps away, so a grade or completion set there decides, without any token.
        A link that keeps nobody away proves nothing."""
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
        for each in everybody if sub is None else {sub} & everybody:
            yield Completion(each, key, each in listed, None, clock.now())

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
            elif item.get("itemtype") in {"mod", "manual"} and item.get("id") is not None:
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

    def _graded(self, graded: Sequence[Gradable], sub: str | None) -> Iterator[Reading]:
        if not graded:
            return
        try:
            answer = self._call("gradereport_user_get_grade_items", userid=sub or "0")
            read_at = clock.now()
            wanted = {gradable.key for gradable in graded}
            for report in rows(answer, "usergrades"):
                for item in rows(report, "gradeitems"):
                    key = _key(item)
                    if key in wanted:
                        yield _result(key, str(report.get("userid")), item, read_at)
        except PlatformError as error:
            yield from (unread(gradable, error) for gradable in graded)
            return
        yield from (ReadInFull(gradable.kind, gradable.key) for gradable in graded)

    def _completions(self, subs: Iterator[str]) -> Iterator[Reading]:
        for sub in subs:
            try:
                answer = self._call("core_completion_get_course_completion_status", userid=sub)
            except Gone:  # no longer enrolled, or a teacher: they complete nothing
                continue
            status = answer.get("completionstatus")
            if not isinstance(status, dict):
                raise PlatformDown("Moodle's completion status can't be read.", code="unreadable")
            done = bool(status.get("completed"))
            times = [_moment(part.get("timecompleted")) for part in rows(status, "completions")]
            at = max((time for time in times if time), default=None) if done else None
            yield Completion(sub, COURSE_COMPLETION, done, at, clock.now())

    def _activities(self) -> Iterator[Gradable]:
        for section in self._call("core_course_get_contents"):
            for module in rows(section, "modules"):
                if module.get("completion"):
                    name = unescape(str(module.get("name") or "Activity"))
                    key = f"{ACTIVITY_PREFIX}{id_of(module)}"
                    yield Gradable(Kind.ACTIVITY, key, name, None, COMPLETION)

    def _activities_of(self, keys: set[str], subs: Iterator[str]) -> Iterator[Completion]:
        for sub in subs:
            try:
                answer = self._call("core_completion_get_activities_completion_status", userid=sub)
            except Gone:
                continue
            for status in rows(answer, "statuses"):
                key = f"{ACTIVITY_PREFIX}{status.get('cmid')}"
                if key in keys:
                    done = status.get("state") in COMPLETE_STATES
                    at = _moment(status.get("timecompleted")) if done else None
                    yield Completion(sub, key, done, at, clock.now())

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


def _together(wanted: Sequence[Gradable], values: Iterator[Completion]) -> Iterator[Reading]:
    """Values that come learner by learner for all of these at once: one failure ends them all."""
    try:
        yield from values
    except PlatformError as error:
        yield from (unread(gradable, error) for gradable in wanted)
        return
    yield from (ReadInFull(gradable.kind, gradable.key) for gradable in wanted)


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
    return Result(key, sub, state, score, maximum, read_at)


def _maximum(item: dict[str, Any]) -> Fraction | None:
    top, floor = number(item.get("grademax")), number(item.get("grademin")) or Fraction(0)
    return None if top is None else top - floor


def _moment(epoch: object) -> datetime | None:
    return clock.from_epoch(epoch) if isinstance(epoch, int) and epoch > 0 else None
