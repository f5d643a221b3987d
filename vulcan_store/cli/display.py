"""How things look on a terminal: tables, fields, ages, durations, colour, progress."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Self, TextIO

from vulcan_store.lifecycle import Status
from vulcan_store.models.workload import COLUMNS, Workload

HEADINGS = ("ID", "STATUS", "ISOLATION", "RUNTIME", "NODE", "AGE", "DURATION")
COLOURS = {
    Status.PENDING: "33",
    Status.RUNNING: "36",
    Status.COMPLETED: "32",
    Status.FAILED: "31",
    Status.KILLED: "35",
}
_STATUS = HEADINGS.index("STATUS")
_RIGHT = (HEADINGS.index("AGE"), HEADINGS.index("DURATION"))
# What gives way first where there is no room, and how few columns of it still say something.
_ELASTIC = tuple(
    (HEADINGS.index(name), least)
    for name, least in (("NODE", 4), ("ID", 12), ("STATUS", 6), ("ISOLATION", 6), ("RUNTIME", 6))
)


def room(stream: TextIO) -> int | None:
    """How many columns a terminal has; None where the text goes elsewhere and nothing has to be cut."""
    return os.get_terminal_size(stream.fileno()).columns or 80 if stream.isatty() else None


def coloured(stream: TextIO) -> bool:
    """Whether colour is wanted: only on a terminal that knows it, and never with https://no-color.org."""
    return _obedient(stream) and not os.environ.get("NO_COLOR")


def _obedient(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def plain(text: str) -> str:
    """Text on one line, in which what a terminal would obey stands as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def width(text: str) -> int:
    """How many columns a text takes; those of East Asia take two, and what combines takes none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, columns: int) -> str:
    """A text that takes so many columns at most, with an ellipsis where some of it is left out."""
    if width(text) <= columns:
        return text
    while width(text) >= columns:
        text = text[:-1]
    return text + "…"


def age(moment: object, now: datetime) -> str:
    """How long ago a time was, in its largest unit, like ``3m``; ``?`` for what is no time."""
    if not isinstance(moment, datetime):
        return "?"
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, size in (("y", 365 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def duration(milliseconds: int | float | None) -> str:
    """Milliseconds in two units at most, like ``350ms``, ``2.4s``, ``12m03s``, ``3h05m``; ``-`` for None."""
    if milliseconds is None:
        return "-"
    whole = int(milliseconds)
    seconds = whole // 1_000
    if not seconds:
        return f"{whole}ms"
    if seconds < 60:
        return f"{seconds}.{whole % 1_000 // 100}s"
    if seconds < 3_600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    if seconds < 86_400:
        return f"{seconds // 3_600}h{seconds % 3_600 // 60:02}m"
    return f"{seconds // 86_400:,}d{seconds % 86_400 // 3_600:02}h"


def size(count: int) -> str:
    """A number of bytes, like ``12.3 MB``."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return counted(count, "byte")


def counted(count: int, noun: str) -> str:
    """A number with its noun, like ``1 workload`` and ``4,321 workloads``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def table(
    batches: Iterable[Sequence[Workload]], now: datetime, columns: int | None, colour: bool
) -> Iterator[str]:
    """The lines of a table, headings first.

    Args:
        batches: the workloads, one a row. A column is as wide as what has come so far needs, so that an endless
            table can be printed as it comes.
        now: what ages are counted to.
        columns: how wide it may be; None is as wide as it needs.
        colour: whether a status stands in its colour.
    """
    needed = [len(heading) for heading in HEADINGS]
    headings = [HEADINGS]
    for batch in batches:
        rows = [*headings, *(_cells(workload, now) for workload in batch)]
        headings = []
        columns_of_rows = zip(*rows, strict=True)
        needed = [max(least, *map(width, column)) for least, column in zip(needed, columns_of_rows, strict=True)]
        widths, gap = _fitting(needed, columns)
        for row in rows:
            cells = [_padded(text, widths[place], place in _RIGHT) for place, text in enumerate(row)]
            if colour and row[_STATUS] in COLOURS:
                cells[_STATUS] = f"\x1b[{COLOURS[Status(row[_STATUS])]}m{cells[_STATUS]}\x1b[0m"
            yield (" " * gap).join(cells)


def _fitting(needed: list[int], columns: int | None) -> tuple[list[int], int]:
    """The widths that fit, and how wide the gaps between them are."""
    widths, gap = list(needed), 2
    if columns is None:
        return widths, gap
    if sum(widths) + gap * (len(widths) - 1) > columns:
        gap = 1
    for place, least in _ELASTIC:
        excess = sum(widths) + gap * (len(widths) - 1) - columns
        if excess > 0:
            widths[place] = max(min(widths[place], least), widths[place] - excess)
    return widths, gap


def _cells(workload: Workload, now: datetime) -> tuple[str, ...]:
    words = (workload.id, workload.status, workload.isolation, workload.runtime, workload.node_id)
    return (*(plain(word) or "-" for word in words), age(workload.created_at, now), duration(workload.duration_ms))


def _padded(text: str, columns: int, right: bool) -> str:
    text = cut(text, columns)
    padding = " " * (columns - width(text))
    return padding + text if right else text + padding


def footer(offset: int, shown: int, total: int) -> str:
    """Which part of a listing was shown, like ``1-20 of 4,321``."""
    return f"{offset + 1:,}-{offset + shown:,} of {total:,}" if shown else f"0 of {total:,}"


def fields(workload: Workload) -> Iterator[str]:
    """A workload, one field a line; ``-`` for what is absent, and an error of several lines on as many."""
    values = workload.to_dict()
    if workload.output is not None:
        values["output"] = counted(len(workload.output), "byte")
    longest = max(map(len, COLUMNS))
    for name in COLUMNS:
        first, *others = str(values[name]).splitlines() or ['""'] if name in values else ["-"]
        yield f"{name:{longest}}  {plain(first)}"
        for line in others:
            yield f"{'':{longest}}  {plain(line)}"


def counts(
    total: int, by_status: Mapping[str, int], by_isolation: Mapping[str, int], average_ms: float | None
) -> Iterator[str]:
    """The counts of a store, one a line, the numbers below each other."""
    rows = [
        ("workloads", f"{total:,}"),
        *((f"status {plain(name)}", f"{count:,}") for name, count in by_status.items()),
        *((f"isolation {plain(name) or '(empty)'}", f"{count:,}") for name, count in by_isolation.items()),
        ("average of completed", duration(average_ms)),
    ]
    left, right = (max(map(width, column)) for column in zip(*rows, strict=True))
    for name, value in rows:
        yield _padded(name, left, False) + "  " + _padded(value, right, True)


def clear(stream: TextIO, text: str = "") -> None:
    """On a terminal put a text in the place of the line that stands there; elsewhere do nothing.

    The line is taken away to its end, because another program of a pipeline may have drawn more of it.
    """
    if _obedient(stream):
        stream.write(f"\r{text}\x1b[K")
        stream.flush()


def start_screen(stream: TextIO) -> None:
    """On a terminal begin again at its top, so that what follows takes the place of what stands there."""
    if _obedient(stream):
        stream.write("\x1b[H\x1b[2J")


class Progress:
    """A line that says how far something has come, on a terminal; elsewhere nothing.

    As a context manager it takes the line away at the end, so that only results stay.

    Args:
        stream: where the line is drawn.
        doing: what is going on, like ``importing``.
        noun: what is counted.
        quiet: draw nothing on a terminal either.
    """

    interval = 0.1

    def __init__(self, stream: TextIO, doing: str, noun: str = "workload", quiet: bool = False) -> None:
        self.stream, self.doing, self.noun = stream, doing, noun
        self.columns = None if quiet or not _obedient(stream) else room(stream)
        self.next = 0.0

    def __call__(self, done: int, total: int | None = None) -> None:
        """Draw the line anew, unless that was done a moment ago."""
        if self.columns is None or (moment := time.monotonic()) < self.next:
            return
        self.next = moment + self.interval
        if total:
            text = f"{self.doing} {done:,} of {counted(total, self.noun)} ({min(done, total) * 100 // total}%)"
        else:
            text = f"{self.doing} {counted(done, self.noun)}"
        clear(self.stream, cut(text, self.columns - 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.next:
            clear(self.stream)
