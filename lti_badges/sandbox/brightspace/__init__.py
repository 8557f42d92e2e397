"""D2L Brightspace, played after its public documentation (Valence reference)."""

from lti_badges.sandbox.brightspace.vendor import Brightspace

VENDOR = Brightspace
