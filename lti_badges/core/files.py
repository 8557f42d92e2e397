"""Files that the tool makes: nobody but its own account (and its group, if an admin allowed it)."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

ALLOWED = 0o640


def made_private(path: Path) -> Path:
    """The file, made with mode 0600 if it is not there; one that others may read or write is closed
    to them. A file of another account stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        path.touch(mode=0o600, exist_ok=True)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~ALLOWED:
            path.chmod(mode & ALLOWED)
    return path
