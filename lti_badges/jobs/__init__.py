"""What runs in the background and when: tasks on the queue engine, and the schedule.

The rows are the truth; a task only names what is due. A queue that loses its tasks loses nothing.
"""

from lti_badges.jobs.background import Background, start_background
from lti_badges.jobs.queue import Queue, open_queue

__all__ = ["Background", "Queue", "open_queue", "start_background"]
