"""Settings of a vendor declared as data: forms, commands and docs are loops over these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lti_badges.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that a connection needs. `secret` ones are sealed at rest and write-only."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    default: str = ""
    choices: tuple[str, ...] = ()
    counts: bool = False
    """Whether it must be a whole number from 1 on."""


def checked(
    settings: Sequence[Setting], given: Mapping[str, str], *, secret: bool
) -> dict[str, str]:
    """The given values for the secret (or the open) settings, defaults filled in.

    Raises InvalidInput naming the first that is unknown, missing or not one of its choices.
    """
    known = {setting.name: setting for setting in settings if setting.secret is secret}
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise InvalidInput(f"“{name}” is not a setting here; there are: {names}.", field=name)
    values = {}
    for name, setting in known.items():
        value = given.get(name, "").strip() or setting.default
        if not value and setting.required:
            raise InvalidInput(f"“{name}” is missing: {setting.label}.", field=name)
        if value and setting.choices and value not in setting.choices:
            raise InvalidInput(
                f"“{name}” must be one of: {', '.join(setting.choices)}.", field=name
            )
        if value and setting.counts and not (value.isascii() and value.isdigit() and int(value)):
            raise InvalidInput(f"“{name}” must be a whole number from 1 on.", field=name)
        if value:
            values[name] = value
    return values
