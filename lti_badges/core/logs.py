"""Logs: one line an event on standard error, UTC times, as text or as JSON.

No line holds personal data. A traceback names files, lines and kinds of exceptions, and no message
that may quote a value: PostgreSQL's “Key (email)=(…) already exists” is one.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import structlog

MOST_FRAMES = 40
# Their messages name types, attributes and modules of the program, never a value from outside.
_HARMLESS = (AttributeError, ImportError, NameError, RecursionError, MemoryError)

log = structlog.get_logger("lti_badges")


def configure_logs(*, as_json: bool = False) -> None:
    """Set up structlog and what other libraries log; a host application that configured structlog
    itself is left alone. Asked again, only the form of the lines changes."""
    if structlog.is_configured() and not _is_ours():
        return
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _describe_exception,
            _renderer(as_json=as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_Lines,
    )
    root = logging.getLogger()
    if not any(isinstance(each, _Forwarded) for each in root.handlers):
        root.addHandler(_Forwarded(logging.WARNING))
    threading.excepthook = _of_thread


def described(error: BaseException) -> str:
    """An exception with its causes, oldest first: where each was raised and of what kind, without
    the messages that may quote values."""
    return "\n".join(_parts(error, set()))


def _parts(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _parts(before, seen)
        yield "which led to:"
    for frame in traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]:
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}: {frame.line}'
    yield _kind(error)


def _kind(error: BaseException) -> str:
    """Its class, with what is safe to say: a database's state and names, our own code."""
    said = []
    if isinstance(error, _HARMLESS):
        said.append(str(error))
    if isinstance(error, OSError) and error.strerror:
        said.append(error.strerror)
    if code := getattr(error, "code", None):
        said.append(f"code {code}")
    said += _attributes(error, "sqlstate", "sqlite_errorname")
    said += _attributes(
        getattr(error, "diag", None), "table_name", "column_name", "constraint_name"
    )
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{name}: {', '.join(said)}" if said else name


def _attributes(holder: object, *names: str) -> list[str]:
    return [f"{name} {value}" for name in names if (value := getattr(holder, name, None))]


class _Lines:
    """Writes to standard error. A log that can't be written stops no work: the line is lost."""

    def __init__(self, *_args: Any) -> None:
        pass

    def msg(self, message: str) -> None:
        """One line."""
        with suppress(OSError, ValueError):
            print(message, file=sys.stderr, flush=True)

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


def _describe_exception(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else None
    if isinstance(given, tuple):
        error = given[1]
    elif given and error is None:
        error = sys.exc_info()[1]
    if error is not None:
        event["exception"] = described(error)
    return event


def _renderer(*, as_json: bool) -> Any:
    if as_json:
        return structlog.processors.JSONRenderer(serializer=json.dumps, default=str)
    return structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])


def _is_ours() -> bool:
    return _describe_exception in structlog.get_config()["processors"]


class _Forwarded(logging.Handler):
    """What other libraries log, through the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """The template of the message without the values in it: they may be anybody's."""
        log.log(
            record.levelno, "library", logger=record.name, said=record.msg, exc_info=record.exc_info
        )


def _of_thread(given: Any) -> None:
    error: BaseException | None = given.exc_value
    trace: TracebackType | None = given.exc_traceback
    if error is not None and not isinstance(error, SystemExit):
        log.error("thread_ended", exc_info=error.with_traceback(trace))
