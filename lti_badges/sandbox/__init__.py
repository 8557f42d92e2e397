"""A small LMS of our own: a real LTI 1.3 platform over HTTP, for the demo and the tests.

It is the other side: it shares no code with the tool above floor 0, and trusts it no more than any
LMS trusts a tool.
"""

from lti_badges.sandbox.app import create_sandbox
from lti_badges.sandbox.demo_course import DEMO_LMS, demo_world
from lti_badges.sandbox.model import Course, Item, Person, Tool
from lti_badges.sandbox.vendors import vendor_of
from lti_badges.sandbox.world import Vendor, World

__all__ = [
    "DEMO_LMS",
    "Course",
    "Item",
    "Person",
    "Tool",
    "Vendor",
    "World",
    "create_sandbox",
    "demo_world",
    "vendor_of",
]
