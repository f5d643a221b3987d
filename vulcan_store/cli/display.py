"""How things look, and how they are printed."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from vulcan_store.models import clock
from vulcan_store.models.workload import COLUMNS, Workload

HEADINGS = ["ID", "STATUS", "ISOLATION", "RUNTIME", "AGE", "DURATION", "NODE"]
ROWS_PER_BATCH = 250
"""For how many rows of an endless table the widths of the columns are measured at once."""


def plain(text: object) -> str:
    """Text on one line, with control characters as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def show(text: str) -> None:
    """Print what is stored: as it is, but on a terminal without what that would obey."""
    print(plain(text) if sys.stdout.isatty() else text)


def show_json(row: Any) -> None:
    """Print a workload or a log line as a line of JSON, in which control characters are escapes."""
    print(json.dumps(row.to_dict()))


def complain(text: object) -> None:
    """Print a line on stderr."""
    print("vulcan-store:", plain(text), file=sys.stderr)


def show_id(workload: Workload, as_json: bool) -> None:
    """Print a workload's id, or all of it as JSON."""
    if as_json:
        show_json(workload)
    else:
        show(workload.id)


def show_workloads(workloads: list[Workload], as_json: bool) -> None:
    """Print one workload field by field, several as a table, and any number as JSON, a line each."""
    if as_json:
        for workload in workloads:
            show_json(workload)
    elif len(workloads) == 1:
        show_fields(workloads[0])
    else:
        show_table(workloads)


def show_fields(workload: Workload) -> None:
    """Print a workload, one field a line; ``-`` for what is empty, and an error of several lines on as many."""
    values = workload.to_dict()
    if workload.output is not None:
        values["output"] = f"{len(workload.output):,} bytes"
    for name in COLUMNS:
        for line in (str(values.get(name, "")) or "-").split("\n"):
            print(f"{name:11}  {plain(line)}")
            name = ""


def show_table(workloads: Iterable[Workload]) -> int:
    """Print a table of workloads, which a terminal's width cuts; returns how many they were.

    A column is as wide as what has come so far needs, so that an endless table can be printed as it comes.
    """
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    now, coming, count = clock.now(), iter(workloads), 0
    rows, widths = [HEADINGS], [0] * len(HEADINGS)
    while batch := list(itertools.islice(coming, ROWS_PER_BATCH)):
        count += len(batch)
        rows += [_cells(workload, now) for workload in batch]
        widths = [max(least, *map(len, cells)) for least, *cells in zip(widths, *rows, strict=True)]
        for row in rows:
            line = "  ".join(map(str.ljust, row, widths)).rstrip()
            print(line if columns is None or len(line) <= columns else line[:columns - 1] + "…")
        rows = []
    return count


def _cells(workload: Workload, now: datetime) -> list[str]:
    # Of other programs, a time and a duration may be anything.
    created, took = workload.created_at, workload.duration_ms
    age = span((now - created).total_seconds() * 1_000) if isinstance(created, datetime) else created
    duration = span(took) if isinstance(took, (int, float)) else took or ""
    words = (workload.id, workload.status, workload.isolation, workload.runtime, age, duration, workload.node_id)
    return [plain(word) or "-" for word in words]


def span(milliseconds: float) -> str:
    """A length of time in its largest unit, like ``350ms``, ``2.4s``, ``12.1m``."""
    for unit, seconds in (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        if milliseconds >= seconds * 1_000:
            return f"{milliseconds / seconds / 1_000:,.1f}{unit}"
    return f"{max(0, milliseconds):.0f}ms"
