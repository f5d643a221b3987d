"""The command line: arguments in, text out."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from vulcan_store.cli import arguments, display
from vulcan_store.current import default_target, open_store
from vulcan_store.engines.sqlite.paths import is_missing
from vulcan_store.errors import StoreError, StoreUnavailableError
from vulcan_store.lifecycle import FINAL, Isolation, Status
from vulcan_store.models import clock
from vulcan_store.models.workload import COLUMNS, Workload
from vulcan_store.operations.housekeeping import count_purgeable
from vulcan_store.operations.log_tail import LogTail
from vulcan_store.operations.transfer import export_workloads, import_workloads
from vulcan_store.operations.updates import MUTABLE
from vulcan_store.queries.filters import FILTERS
from vulcan_store.store import Store

FAILED, NOTHING_TO_CLAIM, INTERRUPTED, PIPE_BROKEN = 1, 3, 130, 141
"""Exit statuses; the last two are what a shell says of a program that SIGINT or SIGPIPE has ended."""

CREATING = ("create", "import")
"""The commands that make a store where there is none; for the others that is an error, most likely a mistyped one."""
READING = ("get", "list", "logs", "stats", "backup", "export")
"""The commands that open a store without changing anything about it."""

FOLLOW_INTERVAL = 0.2
"""Seconds between two looks at a log that is followed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments; None for those of the process.

    Returns:
        The exit status. An error is one line on stderr; wrong usage raises SystemExit with 2, as argparse does.
    """
    _prepare_streams()
    try:
        try:
            return _run(arguments.parser().parse_args(argv))
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _end(INTERRUPTED)
    except BrokenPipeError:
        return _end(PIPE_BROKEN)
    except (StoreError, OSError) as error:
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        display.clear(sys.stderr)
        print("vulcan-store:", display.plain(text), file=sys.stderr)
        return _end(FAILED)


def _prepare_streams() -> None:
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the shell: >&-
            setattr(sys, name, open(os.devnull, mode))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for what the terminal's encoding lacks


def _end(status: int) -> int:
    # The interpreter flushes stdout once more when it ends, and would complain then.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _run(options: argparse.Namespace) -> int:
    with _open(options) as store:
        return COMMANDS[options.command](store, options) or 0


def _open(options: argparse.Namespace) -> Store:
    reads = options.command in READING or getattr(options, "dry_run", False)
    target = default_target() if options.db is None else options.db
    if options.command not in CREATING and is_missing(target):
        raise StoreUnavailableError(target, "there is no such file; create and import make one, --db names another")
    return open_store(target, read_only=reads)


def _create(store: Store, options: argparse.Namespace) -> None:
    workload = store.create_workload(**_fields(options, COLUMNS))
    print(_json(workload) if options.json else workload.id)


def _get(store: Store, options: argparse.Namespace) -> None:
    workload = store.get_workload(options.id)
    if options.output is None:
        _show(options, workload)
    elif workload.output is None:
        raise StoreError(f"workload {workload.id!r} has no output")
    elif options.output == "-":
        sys.stdout.buffer.write(workload.output)
    else:
        with open(options.output, "wb") as file:
            file.write(workload.output)


def _list(store: Store, options: argparse.Namespace) -> None:
    filters = {name: getattr(options, name) for name in FILTERS}
    page = store.list_workloads(options.limit, options.offset, with_output=options.json, **filters)
    if options.json:
        for workload in page.items:
            print(_json(workload))
        return
    if page.items:
        screen = sys.stdout
        for line in display.table(page.items, clock.now(), display.room(screen), display.coloured(screen)):
            print(line)
    print(display.footer(options.offset, len(page.items), page.total))


def _update(store: Store, options: argparse.Namespace) -> None:
    fields = _fields(options, MUTABLE)
    if not fields:
        options.refuse("nothing to change was named")
    _show(options, store.update_workload(options.id, **fields))


def _claim(store: Store, options: argparse.Namespace) -> int:
    workload = store.claim_workload(options.node_id, isolation=options.isolation, runtime=options.runtime)
    if workload is None:
        return NOTHING_TO_CLAIM
    print(_json(workload) if options.json else workload.id)
    return 0


def _logs(store: Store, options: argparse.Namespace) -> None:
    tail = LogTail(store, options.id)
    while True:
        # The status first: what is appended before it becomes final is printed then.
        final = not options.follow or store.get_workload(options.id).status in FINAL
        for line in tail.new_lines():
            print(json.dumps(line.to_dict()) if options.json else line.line)
        if final:
            return
        sys.stdout.flush()
        time.sleep(FOLLOW_INTERVAL)


def _stats(store: Store, options: argparse.Namespace) -> None:
    stats = store.workload_stats()
    by_status: dict[str, int] = {**dict.fromkeys(Status, 0), **stats.by_status}
    by_isolation: dict[str, int] = {**dict.fromkeys(Isolation, 0), **stats.by_isolation}
    if options.json:
        average = stats.average_duration_ms or 0
        counts = {"total": stats.total, "by_status": by_status, "by_isolation": by_isolation}
        print(json.dumps({**counts, "avg_duration_ms": average}))
        return
    for line in display.counts(stats.total, by_status, by_isolation, stats.average_duration_ms):
        print(line)


def _purge(store: Store, options: argparse.Namespace) -> None:
    before: datetime = options.finished_before
    if options.dry_run:
        print(display.counted(count_purgeable(store, before), "workload"), "would be deleted")
        return
    with display.Progress(sys.stderr, "deleting") as progress:
        total = count_purgeable(store, before) if progress.columns else None
        purged = store.purge_workloads(before, progress=lambda done: progress(done, total))
    print(display.counted(purged, "workload"), "deleted")


def _backup(store: Store, options: argparse.Namespace) -> None:
    with display.Progress(sys.stderr, "copying", "page") as progress:
        store.backup_store(options.file, progress=progress)
    print(options.file, f"({display.size(os.path.getsize(options.file))})")


def _export(store: Store, options: argparse.Namespace) -> None:
    with display.Progress(sys.stderr, "exporting", quiet=sys.stdout.isatty()) as progress:
        export_workloads(store, sys.stdout.write, progress)


def _import(store: Store, options: argparse.Namespace) -> None:
    with display.Progress(sys.stderr, "importing") as progress:
        count = import_workloads(store, sys.stdin.buffer, progress)
    print(display.counted(count, "workload"), "imported")


COMMANDS: dict[str, Callable[[Store, argparse.Namespace], int | None]] = {
    "create": _create,
    "get": _get,
    "list": _list,
    "update": _update,
    "claim": _claim,
    "logs": _logs,
    "stats": _stats,
    "purge": _purge,
    "backup": _backup,
    "export": _export,
    "import": _import,
}


def _fields(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    found = {name: value for name, value in vars(options).items() if name in names}
    if "output" in found:
        found["output"] = _bytes_of(found["output"])
    return found


def _bytes_of(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:
        return file.read()


def _show(options: argparse.Namespace, workload: Workload) -> None:
    if options.json:
        print(_json(workload))
        return
    for line in display.fields(workload):
        print(line)


def _json(workload: Workload) -> str:
    return json.dumps(workload.to_dict())
