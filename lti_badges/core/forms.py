"""Form input through pydantic: one model a form, and one sentence with its field for a mistake.

A form sends texts, "on" for a ticked box and nothing for one that is not. A field's sentence stands
with the field (`Said`), because pydantic's own speak of types, not to a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from lti_badges.core.errors import InvalidInput

F = TypeVar("F", bound="Form")
LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True)
class Said:
    """What the person is told when their field can't be taken; `{given}` is what they wrote."""

    sentence: str


class Form(BaseModel):
    """A form's fields. What it does not name is another part's; an empty text is the default."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


def read_form(model: type[F], given: Mapping[str, Any]) -> F:
    """The form's values. Raises InvalidInput for the first field that can't be taken, in the order
    of the model."""
    filled = {
        name: value
        for name, value in given.items()
        if name in model.model_fields and not (isinstance(value, str) and not value.strip())
    }
    try:
        return model.model_validate(filled)
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
    name = str(mistake["loc"][0])
    said = next((m.sentence for m in model.model_fields[name].metadata if isinstance(m, Said)), "")
    shown = str(mistake["input"])[:40]
    raise InvalidInput(said.format(given=shown) or f"“{name}” can't be “{shown}”.", field=name)


def _ticked(value: Any) -> Any:
    return value == "on" if isinstance(value, str) else value


def _digits(value: Any) -> Any:
    """Only ASCII digits, not many: `int` also reads `1_0`, a sign and digits of all scripts."""
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
            raise ValueError("not a whole number")
        return int(text)
    return value


def _day(value: Any) -> Any:
    """`2026-05-03`; pydantic alone would also take seconds since 1970."""
    return date.fromisoformat(value.strip()) if isinstance(value, str) else value


Ticked = Annotated[bool, BeforeValidator(_ticked)]
Whole = Annotated[int, BeforeValidator(_digits)]
Day = Annotated[date, BeforeValidator(_day)]
