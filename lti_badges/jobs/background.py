"""Workers and the tick, in threads of this process: embedded in `serve`, or all there is in
`worker`."""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog
from huey.consumer import Consumer
from sqlalchemy import select

from lti_badges.catalogue.connections import due_connections
from lti_badges.catalogue.notices import due_notice_orders
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.delivery.deliver import enqueue_due
from lti_badges.delivery.grade_passback import due_columns, due_for_pass_back
from lti_badges.delivery.reconcile import due_for_reconciliation
from lti_badges.jobs.queue import Queue
from lti_badges.ledger.holding import mark_due
from lti_badges.lti.login import forget_expired
from lti_badges.store import Course
from lti_badges.store.leases import is_free, is_gone
from lti_badges.store.shared_limits import StoredBuckets

TICK_S = 2.0
HOUSEKEEPING = timedelta(minutes=5)
WORKERS = 12
# A tick repeats nudges that nobody has taken; it must not bury the queue under them.
ENOUGH = 100
COURSES_A_TICK = 20

log = structlog.get_logger("lti_badges.jobs")


class _Consumer(Consumer):  # type: ignore[misc]
    """Huey's consumer without its signal handlers: the server that holds us has its own."""

    def _set_signal_handlers(self) -> None:
        """None."""


class Background:
    """Running workers; `stop` lets them finish what they are at."""

    def __init__(self, queue: Queue, workers: int = WORKERS) -> None:
        self.queue = queue
        self._stop = threading.Event()
        self._consumer = _Consumer(
            queue.huey,
            workers=workers,
            periodic=False,
            initial_delay=0.05,
            max_delay=0.5,
            scheduler_interval=5,
        )
        self._ticker = threading.Thread(target=self._tick, name="tick", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.queue.tool.heartbeat.start()
        self._consumer.start()
        self._ticker.start()

    def stop(self) -> None:
        """Finish what is under way, and end."""
        self._stop.set()
        self._consumer.stop(graceful=True)
        self._ticker.join(timeout=5)
        self.queue.tool.heartbeat.stop()

    def _tick(self) -> None:
        cleaned = clock.now()
        while not self._stop.wait(TICK_S):
            try:
                tick(self.queue)
                if clock.now() - cleaned > HOUSEKEEPING:
                    housekeeping(self.queue)
                    cleaned = clock.now()
            except Exception:
                log.exception("tick_failed")


def start_background(queue: Queue, workers: int = WORKERS) -> Background:
    """Workers and tick, started."""
    background = Background(queue, workers)
    background.start()
    return background


def tick(queue: Queue) -> None:
    """Recover what vanished workers left, then enqueue all that is due: awards, courses, scores."""
    tool = queue.tool
    mark_due(tool.sessions)
    if queue.waiting() > ENOUGH:
        return
    enqueue_due(tool)
    for course_id in due_courses(tool):
        tool.enqueue("due", course_id)
    for award_id in due_for_pass_back(tool, limit=50):
        tool.enqueue("pass_back", award_id)
    for deployment_id in due_notice_orders(tool):
        tool.enqueue("notices", deployment_id)


def housekeeping(queue: Queue) -> None:
    """What can wait some minutes: old logins, full buckets, the daily look at backends and
    connections."""
    forget_expired(queue.tool.sessions)
    StoredBuckets(queue.tool.database).forget_full()
    for backend_id in due_for_reconciliation(queue.tool):
        queue.tool.enqueue("reconcile", backend_id)
    for rule_id in due_columns(queue.tool):
        queue.tool.enqueue("column", rule_id)
    for platform_id in due_connections(queue.tool):
        queue.tool.enqueue("connection", platform_id)


def due_courses(tool: ToolContext, limit: int = COURSES_A_TICK) -> list[str]:
    """Courses whose time has come and that nobody reads now, longest waiting first. A lease whose
    worker is gone holds nobody up."""
    now, gone = clock.now(), tool.heartbeat.gone()
    with tool.sessions() as session:
        rows = session.execute(
            select(Course.id, Course.sync_lease_until, Course.sync_token)
            .where(Course.next_sync_at <= now)
            .order_by(Course.next_sync_at)
            .limit(limit * 10)
        )
        free = [
            row.id for row in rows if is_free(row.sync_lease_until) or is_gone(row.sync_token, gone)
        ]
    return free[:limit]
