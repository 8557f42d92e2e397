"""Hashing documents of strangers in a process that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from lti_badges.openbadges.canonical import unknown_context
from lti_badges.openbadges.errors import CredentialError, NotChecked

TIME_LIMIT_S = 20
"""Of the clock; the process itself ends after some seconds of computing."""
_ROOT = Path(__file__).parents[2]
_PASSED_ON = ("PATH", "SYSTEMROOT")
# However many are asked for at once, two are computed at a time.
_at_once = BoundedSemaphore(2)


def hash_apart(unsigned: dict[str, Any], options: dict[str, Any]) -> bytes:
    """`proofs.hash_data` with limits. Raises CredentialError, NotChecked for what takes longer."""
    if unknown := unknown_context(unsigned):
        raise NotChecked(f"It speaks in terms that are not known here ({unknown[:200]}).")
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with _at_once:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "lti_badges.openbadges.hash_process"],
                input=json.dumps([unsigned, options]).encode(),
                env=environment | {"PYTHONPATH": str(_ROOT)},
                capture_output=True,
                timeout=TIME_LIMIT_S,
                check=False,
            )
        except (subprocess.TimeoutExpired, RecursionError):
            raise NotChecked(_TOO_MUCH) from None
    if done.returncode != 0:
        raise NotChecked(_TOO_MUCH)
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise CredentialError(answer["error"])
    return bytes.fromhex(answer["hash"])


_TOO_MUCH = "The document is built in a way that takes too long to check here."
