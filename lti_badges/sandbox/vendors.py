"""Which LMS the sandbox plays: each is a folder beside this file that names its `VENDOR`. One that
has none is played as plain LTI Advantage."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from lti_badges.sandbox.world import Vendor


def vendor_of(key: str) -> Vendor:
    """A new instance of the LMS that is known by this key."""
    name = f"{__package__}.{key}"
    if not key.isidentifier() or find_spec(name) is None:
        return Vendor()
    made: type[Vendor] = getattr(import_module(name), "VENDOR", Vendor)
    return made()
