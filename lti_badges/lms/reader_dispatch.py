"""Which reader reads which gradable.

An LMS names its readers. Asking them, saying of each gradable whether it was read in full, and
keeping one failure from stopping the others is done here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lti_badges.core.errors import PlatformDown, PlatformError, Unsupported
from lti_badges.values.course import (
    Completion,
    Gradable,
    Kind,
    ReadInFull,
    Reading,
    Result,
    Tracking,
    Unread,
    UpToDate,
)

Value = Result | Completion | Tracking
Takes = Callable[[Gradable], bool]


@dataclass(frozen=True, slots=True)
class Learners:
    """Whose values are wanted: of `one` learner who is waiting for a page, or of everybody."""

    one: str | None
    everybody: Callable[[], Iterator[str]]
    not_yet_completed: Callable[[], Iterator[str]]
    changed_since: datetime | None = None
    """Values that changed after this are enough, where an LMS can tell them; the others were read
    today. None asks for all."""

    @classmethod
    def only(cls, sub: str) -> Learners:
        """The one learner who is waiting, by their LTI id."""
        return cls(sub, lambda: iter((sub,)), lambda: iter((sub,)))

    def subs(self) -> Iterator[str]:
        """LTI ids, page by page, where an LMS answers learner by learner."""
        return self.everybody()

    def unfinished(self) -> Iterator[str]:
        """Those whose completions are not all known to be reached: enough for completions."""
        return self.not_yet_completed()


@dataclass(frozen=True, slots=True)
class Reader:
    """How the gradables that it `takes` are read. `read` yields values only, and raises
    PlatformError where it can't go on: one gradable a call, or all of them `together` where one
    answer of the LMS tells them all. `changes` is how it reads what changed since then, if it can.
    """

    takes: Takes
    read: Callable[[Sequence[Gradable], Learners], Iterator[Value]]
    together: bool = False
    changes: Callable[[Sequence[Gradable], Learners], Iterator[Value]] | None = None


def each(takes: Takes, read: Callable[[Gradable, Learners], Iterator[Value]]) -> Reader:
    """A reader of one gradable a call."""
    return Reader(takes, lambda gradables, learners: read(gradables[0], learners))


def only_changes(
    takes: Takes, read: Callable[[Sequence[Gradable], Learners], Iterator[Value]]
) -> Reader:
    """A reader of what changed in all its gradables since `Learners.changed_since`; it takes
    nothing where everything is asked for."""
    return Reader(takes, read, together=True, changes=read)


def together(
    takes: Takes, read: Callable[[Sequence[Gradable], Learners], Iterator[Value]]
) -> Reader:
    """A reader of all its gradables at once; a failure is a failure of all."""
    return Reader(takes, read, together=True)


def keyed(*prefixes: str) -> Takes:
    """Gradables whose key begins with one of these."""
    return lambda gradable: gradable.key.startswith(prefixes)


def of_kind(*kinds: Kind) -> Takes:
    """Gradables of these kinds."""
    return lambda gradable: gradable.kind in kinds


def read_by(
    readers: Sequence[Reader], wanted: Sequence[Gradable], learners: Learners
) -> Iterator[Reading]:
    """Values of the wanted gradables. The first reader that takes a gradable reads it; each
    gradable ends with `ReadInFull` or `Unread`."""
    left = list(wanted)
    for reader in readers:
        if reader.changes is not None and learners.changed_since is None:
            continue
        taken = [gradable for gradable in left if reader.takes(gradable)]
        left = [gradable for gradable in left if gradable not in taken]
        for group in [taken] if reader.together and taken else [[one] for one in taken]:
            yield from _guarded(reader, group, learners)
    for gradable in left:
        yield unread(gradable, Unsupported(f"{gradable.label} can't be read from this LMS."))


def in_parts(*parts: Callable[[], Iterator[Gradable]]) -> Iterator[Gradable]:
    """One list after the other. A list that can't be read never hides the next; what each such
    list lacks is raised at the end, as one failure of the first one's sort."""
    failures: list[PlatformError] = []
    for part in parts:
        try:
            yield from part()
        except PlatformError as error:
            failures.append(error)
    if failures:
        first = failures[0]
        first.message = " ".join(dict.fromkeys(failure.message for failure in failures))
        raise first


def unread(gradable: Gradable, error: PlatformError) -> Unread:
    """The failure as a value, so that it stands beside what could be read."""
    wait = error.retry_after if isinstance(error, PlatformDown) else None
    return Unread(gradable.kind, gradable.key, error.message, error.code, wait)


def _guarded(reader: Reader, group: Sequence[Gradable], learners: Learners) -> Iterator[Reading]:
    try:
        yield from reader.read(group, learners)
    except PlatformError as error:
        yield from (unread(gradable, error) for gradable in group)
    else:
        end = UpToDate if reader.changes is not None else ReadInFull
        yield from (end(gradable.kind, gradable.key) for gradable in group)
