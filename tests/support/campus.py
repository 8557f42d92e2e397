"""A sandbox LMS and the tool beside it, registered with each other, both over real HTTP."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import httpx
from sqlalchemy import select

from lti_badges.app import create_app
from lti_badges.awarding.rulebook import save_rule
from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.context import ToolContext
from lti_badges.delivery.deliver import deliver_due
from lti_badges.demo import register
from lti_badges.jobs import Queue, open_queue
from lti_badges.pipeline import SyncReport, sync_course
from lti_badges.rules import Criterion, Policy, ScoreAtLeast
from lti_badges.sandbox import World, create_sandbox, demo_world
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import Award, BackendRow, Course, CourseMember, LineItem
from tests.support.platform import rsa_key
from tests.support.serving import PATIENCE_S, free_port, served

TEACHER = "3"


@dataclass
class Campus:
    """The two sides, and short words for what tests do with them."""

    world: World
    context: ToolContext
    queue: Queue
    tool: str
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=PATIENCE_S))

    def enter(
        self, sub: str, link: str = "main", course: str = COURSE, **more: str
    ) -> httpx.Response:
        """Launch as a person, the way a browser does: redirects, then the platform's form."""
        page = self.client.get(
            f"{self.world.base_url}/launch",
            params={"course": course, "person": sub, "link": link, **more},
            follow_redirects=True,
        )
        if kept := re.search(r'data-next="([^"]+)"', page.text):
            page = self.client.get(html.unescape(kept.group(1)))
        return self.submit(page)

    def submit(self, page: httpx.Response) -> httpx.Response:
        """Post the page's form with its hidden fields."""
        action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
        assert action, page.text
        answer = self.client.post(html.unescape(action.group(1)), data=hidden(page.text))
        wait_for_launches()
        return answer

    def course_id(self) -> str:
        """Our id of the demo's course; an instructor has opened it if nobody has."""
        with self.context.sessions() as session:
            found = session.scalar(select(Course.id).where(Course.context_id == COURSE))
        if found is None:
            assert self.enter(TEACHER).status_code == 200
            return self.course_id()
        return found

    def badge(self, name: str = "Statistics") -> str:
        """A badge of the built-in issuer. Returns its id."""
        with self.context.sessions() as session:
            backend = session.scalar(select(BackendRow.id).where(BackendRow.is_default.is_(True)))
        assert backend is not None
        return create_achievement(
            self.context, backend, AchievementDraft(name, "Knows statistics.", "Pass the quiz.")
        )

    def quiz_at_least(self, percent: int) -> ScoreAtLeast:
        """The criterion of the demo."""
        return ScoreAtLeast(self.item_key("Final quiz"), "Final quiz", Fraction(percent, 100))

    def item_key(self, label: str) -> str:
        """The stored key of a grade item."""
        course_id = self.course_id()
        with self.context.sessions() as session:
            key = session.scalar(
                select(LineItem.key).where(
                    LineItem.course_id == course_id,
                    LineItem.label == label,
                    LineItem.kind == "item",
                )
            )
        assert key is not None, label
        return key

    def rule(
        self, criterion: Criterion | None = None, badge: str | None = None, **policy: Any
    ) -> str:
        """A rule in force. Returns its id."""
        return save_rule(
            self.context,
            self.course_id(),
            badge or self.badge(),
            criterion or self.quiz_at_least(80),
            Policy(**policy),
            by="a test",
            rehearsed=True,
        )

    def grade(self, sub: str, points: float | str | None, item: str = QUIZ) -> None:
        """Grade somebody in the sandbox."""
        value = None if points is None else Fraction(str(points))
        self.world.set_score(COURSE, item, sub, value)

    def sync(self) -> SyncReport:
        """Read and judge."""
        return sync_course(self.context, self.course_id())

    def deliver(self) -> int:
        """Forward what is due."""
        return deliver_due(self.context)

    def awards(self) -> list[Award]:
        """All awards, oldest first."""
        with self.context.sessions() as session:
            return list(session.scalars(select(Award).order_by(Award.created_at, Award.id)))

    def award_of(self, sub: str) -> Award:
        """The latest award of one person."""
        with self.context.sessions() as session:
            found = session.scalars(
                select(Award)
                .join(CourseMember, CourseMember.id == Award.member_id)
                .where(CourseMember.sub == self.world.user_id(sub))
                .order_by(Award.number.desc())
            ).first()
        assert found is not None, sub
        return found

    def winners(self) -> set[str]:
        """Who has an award that stands."""
        with self.context.sessions() as session:
            rows = session.execute(
                select(CourseMember.sub)
                .join(Award, Award.member_id == CourseMember.id)
                .where(Award.state != "revoked")
            )
            return {self.world.account(row.sub) or row.sub for row in rows}

    def expected(self, percent: int = 80) -> set[str]:
        """Who should have it, by the sandbox's own books."""
        quiz = self.world.courses[COURSE].items[QUIZ]
        learners = {p.sub for p in self.world.learners_of(COURSE) if p.active and not p.is_test}
        return {
            sub
            for sub, points in quiz.scores.items()
            if sub in learners and points * 100 >= quiz.maximum * percent
        }


def wait_for_launches() -> None:
    """A launch answers before its reading has ended where that takes long: on a busy machine too,
    nothing of it works behind a test's back."""
    for thread in threading.enumerate():
        if thread.name == "launch":
            thread.join(PATIENCE_S)


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


@contextmanager
def campus(
    settings: Settings, lms: str = "moodle", *, shows_all_columns: bool = False
) -> Iterator[Campus]:
    """Both sides, running. With `shows_all_columns` the LMS lists other tools' line items too: AGS
    leaves that to it."""
    port = free_port()
    world = demo_world(f"http://localhost:{port}", lms, rsa_key("sandbox"))
    if shows_all_columns:
        world.vendor.only_own_columns = False
    register(settings, world)
    context = ToolContext.build(settings)
    queue = open_queue(context)
    app = create_app(queue=queue)
    with (
        served(create_sandbox(world), port),
        served(app, int(settings.base_url.rpartition(":")[2])),
    ):
        # Nothing works behind a test's back: what is due is read and delivered when it says so.
        yield Campus(world, context, queue, settings.base_url)
    context.close()
