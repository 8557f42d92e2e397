"""The one border for strings, dates and JSON from outside, and the limits that columns set.

Text for people is cleaned and cut; what identifies somebody or something is refused when it is odd,
because a changed id may be another one's. PostgreSQL takes neither NUL nor lone surrogates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

MAX_ID = 255
MAX_KEY = 1000
MAX_NAME = 500
MAX_EMAIL = 320
MAX_MARK = 100
MAX_STATUS = 20
MAX_CUSTOM = 1000
MAX_LIST = 200
MAX_DEPTH = 40
NO_ID = "\0no id"
"""Stands in a key for the id that an LMS left out; `identifier` refuses it."""
MAX_DIGITS = 400
"""Digits of a number in JSON; longer ones are read as infinite, which no number parser takes."""

# C0 and C1 controls except tab and line feed, lone surrogates, and what XML does not allow.
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")


class OddText(ValueError):
    """An id from outside that can't be stored; the message is half a sentence for a person."""


def as_text(value: object) -> str:
    """A text as it came, or a whole number written out; “” for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MAX_DIGITS:
        return str(value)
    return ""


def as_list(value: object) -> list[Any]:
    """A list as it came; an empty one for anything else."""
    return value if isinstance(value, list) else []


def is_clean(text: str) -> bool:
    """Whether the text holds no control character, lone surrogate or line break."""
    return not (_ODD.search(text) or _BREAKS.search(text) or "\n" in text or "\t" in text)


def clean(text: str) -> str:
    """The text without control characters and lone surrogates; line breaks become line feeds."""
    return _ODD.sub("", _BREAKS.sub("\n", text)) if _ODD.search(text) else text


def line(value: object, limit: int = MAX_NAME) -> str | None:
    """One line for people of at most `limit` characters, cut with “…”; None for nothing usable.

    Takes text and whole numbers; spaces and line breaks become single spaces.
    """
    found = _SPACES.sub(" ", clean(_BREAKS.sub(" ", as_text(value)))).strip()
    return cut(found, limit) or None


def paragraph(value: object, limit: int) -> str | None:
    """The same for several lines."""
    return cut(clean(_BREAKS.sub("\n", as_text(value))).strip(), limit) or None


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; “…” stands for what is left out."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def identifier(value: object, limit: int = MAX_ID) -> str:
    """An id exactly as it came. Raises OddText when it is empty, longer than `limit`, or holds a
    character that no database keeps."""
    text = as_text(value)
    if not text.strip():
        raise OddText("it has no id")
    if text.endswith(NO_ID):
        raise OddText("it has no id")
    if len(text) > limit:
        raise OddText(f"its id has more than {limit} characters")
    if not is_clean(text):
        raise OddText("its id holds control characters")
    return text


def optional_identifier(value: object, limit: int = MAX_ID) -> str | None:
    """An id that may be missing: None also for one that can't be stored."""
    try:
        return identifier(value, limit)
    except OddText:
        return None


def email(value: object) -> str | None:
    """An e-mail address as it came; None for one that is odd or longer than the standard allows."""
    text = as_text(value).strip()
    return text if 0 < len(text) <= MAX_EMAIL and is_clean(text) else None


def clean_tree(value: Any, limit: int = MAX_CUSTOM) -> Any:
    """A JSON value that any database stores: texts cleaned and cut, nested at most `MAX_DEPTH`
    deep, numbers finite. What can't be kept becomes None."""
    return _tree(value, limit, MAX_DEPTH)


def custom_parameters(given: object) -> dict[str, str]:
    """Custom parameters that say something, cleaned and cut: no empty ones, no variable that the
    platform left as it was written (`$User.id`, Blackboard's `@X@…`)."""
    if not isinstance(given, Mapping):
        return {}
    found: dict[str, str] = {}
    for name, value in given.items():
        key, text = line(name, MAX_ID), paragraph(_scalar(value), MAX_CUSTOM)
        if key and text and not text.startswith(("$", "@X@")) and len(found) < MAX_LIST:
            found[key] = text
    return found


def read_json(body: bytes | str) -> Any:
    """Parsed JSON. Numbers without measure become infinite ones, so that they spoil their own row
    only. Raises ValueError, also for what is nested too deep."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # an integer of more digits than Python reads
        return json.loads(body, parse_int=_bounded_integer)


def _bounded_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float("inf")


def _scalar(value: object) -> object:
    if isinstance(value, bool | float):
        return str(value)
    return value


def _tree(value: Any, limit: int, depth: int) -> Any:
    if isinstance(value, str):
        return cut(clean(value), limit)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**MAX_DIGITS else None
    if depth <= 0:
        return None
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MAX_LIST]
        return {cut(clean(str(k)), MAX_ID): _tree(v, limit, depth - 1) for k, v in pairs}
    if isinstance(value, list | tuple):
        return [_tree(each, limit, depth - 1) for each in value[:MAX_LIST]]
    return None
