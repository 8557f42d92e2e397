"""Backends that are paused, and going on with them."""

from __future__ import annotations

from lti_badges.store import BackendRow


def resume_backend(backend: BackendRow) -> None:
    """A person says that the backend is mended: its awards go on."""
    backend.paused_until, backend.failures = None, 0
    backend.error, backend.error_since = None, None
