"""Moodle: what its web services tell beyond LTI.

Sources: Moodle 4.5 mod/lti, gradereport_user, completion/classes/external.php, and a running 4.5.6.
Quirks: errors come as HTTP 200 with an `exception` key; a course without completion criteria never
completes; completion is written by cron, later; the launch's `sub` is the user id and the
context's id the course id; activities whose capabilities the token's user lacks are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import ClassVar

from lti_badges.core import clock
from lti_badges.core.errors import Gone, NoRight, PlatformError, Unsupported
from lti_badges.lms.base import LMS, Capability
from lti_badges.lms.moodle.completions import ACTIVITY_PREFIX, Completions
from lti_badges.lms.moodle.further_sources import COHORT, COMPETENCY, GROUP, MoodleMore
from lti_badges.lms.moodle.gradebook import Gradebook
from lti_badges.lms.moodle.rights import (
    ACTIVITIES_DONE,
    CONTENTS,
    COURSE_DONE,
    NEEDED,
    TELLS,
    USERS,
    remedy,
)
from lti_badges.lms.moodle.values import ITEM_PREFIX
from lti_badges.lms.moodle.web_service import WebService, functions_of
from lti_badges.lms.reader_dispatch import (
    Learners,
    Reader,
    each,
    in_parts,
    keyed,
    of_kind,
    together,
)
from lti_badges.lms.rest import rows
from lti_badges.lti import nrps
from lti_badges.values.course import (
    Completion,
    Gradable,
    Kind,
    Member,
    Result,
)
from lti_badges.values.settings import Setting

LINK_PREFIX, ACCESS = "moodle-link:", "Moodle Restrict access"
USERS_A_CALL = 100


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
            "Of a service user; functions: "
            + ", ".join(each.function for each in NEEDED if not each.is_optional)
            + "; as you like: "
            + ", ".join(each.function for each in NEEDED if each.is_optional),
            secret=True,
        ),
    )

    @classmethod
    def course_page(cls, issuer: str, context_id: str, custom: Mapping[str, str]) -> str | None:
        """The context's id is the course's."""
        return f"{issuer}/course/view.php?id={context_id}"

    lti_tells = "Without web services Moodle shows this tool its own activities' grades only."
    lti_misses = "Moodle tells this by its web services only; ask the admin to connect them."

    def capabilities(self) -> tuple[Capability, ...]:
        """What the token's service holds, as the site tells; over LTI also what Moodle tells by
        keeping people away from the tool's own links."""
        if self.is_connected:
            return self._told_by_service()
        access = (
            "Whether a learner may open one of this tool's links: in the activity's “Restrict "
            "access” a teacher can ask for any grade or completion."
        )
        return (*super().capabilities(), Capability(Kind.ACTIVITY, True, access))

    def _told_by_service(self) -> tuple[Capability, ...]:
        try:
            held = self._service.functions()
        except PlatformError as error:
            return tuple(Capability(kind, False, error.message) for kind, _, _ in TELLS)
        found = []
        for kind, sentence, needed in TELLS:
            missing = tuple(each for each in needed if held and each not in held)
            said = f"{sentence} Not read now. {remedy(missing)}" if missing else sentence
            found.append(Capability(kind, not missing, said))
        return tuple(found)

    def check(self) -> str:
        """Whose token it is; and in a course, that each function answers. Raises NoRight naming
        every function and right that is missing."""
        site = self._service.site()
        held = functions_of(site)
        missing = [each for each in NEEDED if held and each.function not in held]
        lacks = [
            f"{each.function} is not in the web service: {each.loss}."
            for each in missing
            if not each.is_optional
        ]
        if self.course.context_id:
            lacks += self._refused({each.function for each in missing})
        if lacks:
            raise NoRight(
                f"{site.get('sitename', 'Moodle')} let us in as {site.get('username', '?')}, but: "
                + " ".join(dict.fromkeys(lacks))
            )
        optional = dict.fromkeys(each.loss for each in missing if each.is_optional)
        rest = f" As it is set up, {'; '.join(optional)}." if optional else ""
        return f"{site.get('sitename', 'Moodle')} let us in as {site.get('username', '?')}.{rest}"

    def _refused(self, missing: set[str]) -> list[str]:
        """What a course refuses of the functions that the service holds."""
        found = []
        learner = next((m.sub for m in super().members() if m.can_earn), None)
        asked: list[tuple[str, dict[str, str]]] = [(CONTENTS, {})]
        if learner is not None:
            asked += [(each, {"userid": learner}) for each in (COURSE_DONE, ACTIVITIES_DONE)]
            asked.append(("gradereport_user_get_grade_items", {"userid": learner}))
        for function, arguments in asked:
            if function in missing:
                continue
            try:
                self._service.call(function, **arguments)
            except NoRight as error:
                found.append(error.message)
            except (Gone, Unsupported):
                continue
        if not found and "core_grades_get_gradeitems" not in missing:
            hidden = [
                each.label for each in self._gradebook.gradables(frozenset()) if each.is_hidden
            ]
            if hidden:
                found.append(
                    f"“{hidden[0]}” is in the gradebook and in no report: hidden grades can't be "
                    "told from missing ones; the role needs moodle/grade:viewhidden."
                )
        return found

    def members(self) -> Iterator[Member]:
        """The roster; an account that the site suspended is in it as active, and counts as
        inactive here."""
        found = super().members()
        tells = self.is_connected and self._tells_suspended()
        return self._with_suspended(found) if tells else found

    def _with_suspended(self, found: Iterator[Member]) -> Iterator[Member]:
        while batch := list(islice(found, USERS_A_CALL)):
            suspended = self._suspended([member.sub for member in batch])
            for member in batch:
                gone = member.sub in suspended
                yield replace(member, status="Inactive") if gone else member

    def _tells_suspended(self) -> bool:
        with suppress(PlatformError):
            return USERS in self._service.functions()
        return False

    def _suspended(self, subs: Sequence[str]) -> set[str]:
        values = {f"values[{place}]": sub for place, sub in enumerate(subs) if sub.isdecimal()}
        try:
            answer = self._service.call(USERS, None, field="id", **values) if values else []
        except NoRight:
            return set()
        return {str(user.get("id")) for user in rows(answer) if user.get("suspended")}

    def lti_gradables(self) -> Iterator[Gradable]:
        """Its own line items, and the access conditions of the tool's links."""
        yield from super().lti_gradables()
        if not self.is_connected:
            for link, title in self.course.links.items():
                label = f"Access condition of “{title or link}”"
                yield Gradable(Kind.ACTIVITY, f"{LINK_PREFIX}{link}", label, None, ACCESS)

    def api_gradables(self) -> Iterator[Gradable]:
        """All grade items, the course grade and completions."""
        return in_parts(
            lambda: self._gradebook.gradables(self.own_columns()),
            self._completions.of_course,
            self._completions.activities,
        )

    def rare_api_gradables(self) -> Iterator[Gradable]:
        """Groups, cohorts and competencies."""
        return self._more.gradables()

    @property
    def _service(self) -> WebService:
        return WebService(self.course)

    @property
    def _gradebook(self) -> Gradebook:
        return Gradebook(self._service, self._earners)

    @property
    def _completions(self) -> Completions:
        return Completions(self._service)

    def _earners(self) -> Iterator[str]:
        return (member.sub for member in super().members() if member.can_earn)

    @property
    def _more(self) -> MoodleMore:
        return MoodleMore(self._service.call)

    def readers(self) -> Sequence[Reader]:
        """Grade items together; completions learner by learner."""
        return (
            together(_by_gradebook, self._gradebook.grades),
            each(of_kind(Kind.COMPLETION), self._completions.read_course),
            each(keyed(GROUP), lambda group, _: self._more.members(group.key)),
            each(keyed(COHORT), lambda cohort, _: self._more.in_cohort(cohort.key)),
            together(keyed(ACTIVITY_PREFIX), self._completions.read_activities),
            together(keyed(COMPETENCY), self._competencies_of),
            each(keyed(LINK_PREFIX), self._access),
        )

    def _results(self, gradable: Gradable, learners: Learners) -> Iterator[Result]:
        """A result's `resultMaximum` is the row's old maximum; its score is of the column's
        (mod/lti/service/gradebookservices: finalgrade, rawgrademax)."""
        for result in super()._results(gradable, learners):
            yield replace(result, maximum=gradable.maximum or result.maximum)

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

    def _competencies_of(
        self, rated: Sequence[Gradable], learners: Learners
    ) -> Iterator[Completion]:
        return self._more.proficient({each.key for each in rated}, learners.unfinished())


def _by_gradebook(gradable: Gradable) -> bool:
    return gradable.kind is Kind.COURSE_GRADE or (
        gradable.kind is Kind.ITEM and gradable.key.startswith(ITEM_PREFIX)
    )
