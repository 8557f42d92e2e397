"""What runs in the background and when: thin tasks on the queue engine, and the tick that nudges.

The rows are the truth; a task is only a nudge. A queue that loses its tasks loses nothing.
"""

from lti_badges.jobs.background import Background, start_background
from lti_badges.jobs.queue import Queue, open_queue

__all__ = ["Background", "Queue", "open_queue", "start_background"]
