"""Moodle, played after its public source (mod/lti) and a running 4.5.6."""

from lti_badges.sandbox.moodle.vendor import Moodle

VENDOR = Moodle
