"""The queue engine: Huey on a SQLite file beside the database by default, or on Redis."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from huey import RedisHuey, SqliteHuey
from huey.api import Huey
from huey.exceptions import HueyException
from redis import RedisError
from sqlalchemy import make_url

from lti_badges.catalogue.connections import check_connection
from lti_badges.catalogue.notices import order_for
from lti_badges.context import ToolContext, bound_to_course, bound_to_member
from lti_badges.core.errors import NotFound, PlatformError, SettingsError
from lti_badges.core.files import made_private
from lti_badges.delivery.deliver import deliver
from lti_badges.delivery.grade_passback import pass_back, settle_column
from lti_badges.delivery.reconcile import reconcile
from lti_badges.pipeline import sync_course, sync_pushed_member
from lti_badges.settings import Settings

NAME = "lti-badges"
_ROWS = {
    "deliver": "award",
    "pass_back": "award",
    "sync": "course",
    "due": "course",
    "column": "rule",
    "member": "member",
    "reconcile": "backend",
    "connection": "platform",
    "notices": "deployment",
}
"""What each task's id is the id of, as the log names it."""
ONCE = frozenset({"due"})
"""Tasks of the schedule, of which one for each row waits at most: every process queues them."""
FORGOTTEN_S = 60.0
"""A task that was queued so long ago may be lost: another one is let through."""


class Queue:
    """The tasks, each a call with one id. `tool` is the one that enqueues through this queue."""

    def __init__(self, tool: ToolContext) -> None:
        self.huey = _open(tool.settings)
        self.tool = tool.with_queue(self.enqueue)
        self._tasks: dict[str, Callable[[str], Any]] = {
            name: self.huey.task(name=name)(_logged(name, work))
            for name, work in (
                ("deliver", self._deliver),
                ("sync", self._sync),
                ("due", self._due),
                ("pass_back", self._pass_back),
                ("column", self._column),
                ("member", self._member),
                ("reconcile", self._reconcile),
                ("connection", self._connection),
                ("notices", self._notices),
            )
        }

    def enqueue(self, task: str, row_id: str) -> None:
        """Tell the workers that a row is due. A queue that can't be reached costs only time: the
        tick finds the row."""
        try:
            if task in ONCE and not self._mark(task, row_id):
                return
            self._tasks[task](row_id)
        except (RedisError, HueyException, OSError):
            return

    def waiting(self) -> int:
        """How many tasks nobody has taken yet. Raises SettingsError when it can't be reached."""
        try:
            return int(self.huey.pending_count())
        except (RedisError, HueyException, OSError) as error:
            raise SettingsError(f"The queue can't be reached: {error}.") from error

    def _mark(self, task: str, row_id: str) -> bool:
        """Whether no such task waits already, for any process."""
        key, now = f"waits:{task}:{row_id}", time.time()
        storage = self.huey.storage
        if storage.put_if_empty(key, str(now).encode()):
            return True
        since = storage.peek_data(key)
        if isinstance(since, bytes) and now - float(since) < FORGOTTEN_S:
            return False
        storage.put_data(key, str(now).encode())
        return True

    def _unmark(self, task: str, row_id: str) -> None:
        """Before the work: what happens during it may queue it again."""
        self.huey.storage.delete_data(f"waits:{task}:{row_id}")

    def _deliver(self, award_id: str) -> None:
        deliver(self.tool, award_id)

    def _sync(self, course_id: str) -> None:
        try:
            sync_course(bound_to_course(self.tool, course_id), course_id)
        except NotFound:
            return  # removed since

    def _due(self, course_id: str) -> None:
        self._unmark("due", course_id)
        with suppress(NotFound):  # removed since
            sync_course(bound_to_course(self.tool, course_id), course_id, only_due=True)

    def _reconcile(self, backend_id: str) -> None:
        reconcile(self.tool, backend_id)

    def _connection(self, platform_id: str) -> None:
        with suppress(PlatformError, NotFound):  # noted with the platform, for the console
            check_connection(self.tool, platform_id)

    def _notices(self, deployment_id: str) -> None:
        order_for(self.tool, deployment_id)

    def _member(self, member_id: str) -> None:
        with suppress(NotFound):  # removed since
            tool = bound_to_member(self.tool, member_id)
            for award_id in sync_pushed_member(tool, member_id):
                self.enqueue("deliver", award_id)

    def _pass_back(self, award_id: str) -> None:
        pass_back(self.tool, award_id)

    def _column(self, rule_id: str) -> None:
        with suppress(NotFound):
            settle_column(self.tool, rule_id)


def _logged(name: str, work: Callable[[str], Any]) -> Callable[[str], Any]:
    """The task, whose lines in the log name it and its row."""

    def run(row_id: str) -> Any:
        with structlog.contextvars.bound_contextvars(task=name, **{_ROWS[name]: row_id}):
            return work(row_id)

    return run


def open_queue(tool: ToolContext) -> Queue:
    """The queue that the settings name."""
    return Queue(tool)


def is_embedded(settings: Settings) -> bool:
    """Whether `serve` does the background work itself, in the same process."""
    return not settings.queue_url or settings.queue_url.startswith("sqlite:")


def _open(settings: Settings) -> Huey:
    options: dict[str, Any] = {"results": False, "utc": True}
    if is_embedded(settings):
        file = made_private(_file(settings))
        return SqliteHuey(NAME, filename=str(file), **options)
    return RedisHuey(NAME, url=settings.queue_url, **options)


def _file(settings: Settings) -> Path:
    if settings.queue_url:
        return Path(settings.queue_url.removeprefix("sqlite:///"))
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        database = Path(url.database)
        return database.with_name(f"{database.stem}-queue.db")
    # Two installations in one folder must not take each other's tasks.
    digest = hashlib.sha256(settings.database_url.encode()).hexdigest()[:8]
    return Path(f"var/queue-{digest}.db")
