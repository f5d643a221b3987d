"""How things look: tables, fields, ages and durations; and how they are printed."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from vulcan_store.lifecycle import Status
from vulcan_store.models import clock
from vulcan_store.models.workload import COLUMNS, Workload

HEADINGS = ("ID", "STATUS", "ISOLATION", "RUNTIME", "NODE", "AGE", "DURATION")
NODE = HEADINGS.index("NODE")
COLOURS = {
    Status.PENDING: "33",
    Status.RUNNING: "36",
    Status.COMPLETED: "32",
    Status.FAILED: "31",
    Status.KILLED: "35",
}


def plain(text: object) -> str:
    """Text on one line, with control characters as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def show(text: str) -> None:
    """Print what is stored: as it is, but on a terminal without what that would obey."""
    print(plain(text) if sys.stdout.isatty() else text)


def show_json(value: Mapping[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(value).replace("\x7f", "\\u007f"))  # the only control character that json.dumps leaves


def show_id(workload: Workload, as_json: bool) -> None:
    """Print a workload's id, or all of it as JSON."""
    if as_json:
        show_json(workload.to_dict())
    else:
        show(workload.id)


def show_workloads(workloads: Sequence[Workload], as_json: bool) -> None:
    """Print one workload field by field, several as a table, and any number as JSON, a line each."""
    if as_json:
        for workload in workloads:
            show_json(workload.to_dict())
    elif len(workloads) == 1:
        for line in fields(workloads[0]):
            print(line)
    else:
        show_table([workloads])


def show_table(batches: Iterable[Sequence[Workload]]) -> None:
    """Print a table of workloads, which may come in batches; on a terminal as wide as that."""
    columns, colour = None, False
    if sys.stdout.isatty():
        columns = os.get_terminal_size(sys.stdout.fileno()).columns or 80
        # https://no-color.org
        colour = os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    for line in table(batches, clock.now(), columns, colour):
        print(line)


def table(
    batches: Iterable[Sequence[Workload]], now: datetime, columns: int | None, colour: bool
) -> Iterator[str]:
    """The lines of a table, headings first.

    Args:
        batches: the workloads, one a row. A column is as wide as what has come so far needs, so that an endless
            table can be printed as it comes.
        now: what ages are counted to.
        columns: how wide it may be, for which the nodes give way, and then what stands on the right; None is as wide
            as it needs.
        colour: whether a status stands in its colour.
    """
    widths = [0] * len(HEADINGS)
    headings = [HEADINGS]
    for batch in batches:
        rows = [*headings, *(_cells(workload, now) for workload in batch)]
        headings = []
        widths = [max(least, *map(width, cells)) for least, *cells in zip(widths, *rows, strict=True)]
        if columns is not None:
            others = sum(widths) - widths[NODE] + 2 * (len(widths) - 1)
            widths[NODE] = max(len("NODE"), min(widths[NODE], columns - others))
        for row in rows:
            cells = list(map(_padded, row, widths, HEADINGS))
            line = "  ".join(cells)
            if columns is not None:
                line = cut(line, columns)
            if colour and row[1] in COLOURS:
                start = len(cells[0]) + 2
                end = start + len(cells[1])
                line = f"{line[:start]}\x1b[{COLOURS[Status(row[1])]}m{line[start:end]}\x1b[0m{line[end:]}"
            yield line


def _cells(workload: Workload, now: datetime) -> tuple[str, ...]:
    words = (workload.id, workload.status, workload.isolation, workload.runtime, workload.node_id)
    return (*(plain(word) or "-" for word in words), age(workload.created_at, now), duration(workload.duration_ms))


def _padded(text: str, columns: int, heading: str) -> str:
    text = cut(text, columns)
    padding = " " * (columns - width(text))
    return padding + text if heading in ("AGE", "DURATION") else text + padding


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
    kept = ""
    for char in text:
        columns -= width(char)
        if columns < 1:
            break
        kept += char
    return kept + "…"


def age(moment: object, now: datetime) -> str:
    """How long ago a time was, in its largest unit, like ``3m``; ``?`` for what is no time."""
    if not isinstance(moment, datetime):
        return "?"
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, size in (("y", 365 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def duration(milliseconds: object) -> str:
    """Milliseconds in two units at most, like ``350ms``, ``2.4s``, ``12m03s``, ``3h05m``; ``-`` for None."""
    if not isinstance(milliseconds, (int, float)):
        return "-" if milliseconds is None else "?"
    whole = int(milliseconds)
    seconds = whole // 1_000
    if seconds < 1:
        return f"{whole}ms"
    if seconds < 60:
        return f"{seconds}.{whole % 1_000 // 100}s"
    if seconds < 3_600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    if seconds < 86_400:
        return f"{seconds // 3_600}h{seconds % 3_600 // 60:02}m"
    return f"{seconds // 86_400:,}d{seconds % 86_400 // 3_600:02}h"


def counted(count: int, noun: str = "workload") -> str:
    """A number with its noun, like ``1 workload`` and ``4,321 workloads``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def fields(workload: Workload) -> Iterator[str]:
    """A workload, one field a line; ``-`` for what is absent, and an error of several lines on as many."""
    values = workload.to_dict()
    if workload.output is not None:
        values["output"] = counted(len(workload.output), "byte")
    longest = max(map(len, COLUMNS))
    for name in COLUMNS:
        first, *others = (str(values[name]) or '""').split("\n") if name in values else ["-"]
        yield f"{name:{longest}}  {plain(first)}"
        for line in others:
            yield f"{'':{longest}}  {plain(line)}"
