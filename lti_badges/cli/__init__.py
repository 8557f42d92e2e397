"""The commands: 0 on success, 2 on bad usage, 1 otherwise with one clear line on standard error."""

from lti_badges.cli.main import main

__all__ = ["main"]
