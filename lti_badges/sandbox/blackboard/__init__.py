"""Blackboard Learn, played after its public documentation."""

from lti_badges.sandbox.blackboard.vendor import Blackboard

VENDOR = Blackboard
