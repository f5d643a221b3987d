"""The commands that look at many workloads: list, stats."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from vulcan_store.cli import display
from vulcan_store.cli.command import ReadingCommand
from vulcan_store.cli.options import add_filters, add_json, option_of
from vulcan_store.cli.printing import json_of, print_table
from vulcan_store.cli.usage import UsageParser
from vulcan_store.cli.values import TIMES, counting, interval, moment, whole
from vulcan_store.lifecycle import Isolation, Status
from vulcan_store.models.workload import Workload
from vulcan_store.queries.filters import CHOICES, FILTERS
from vulcan_store.store import Store

LIMIT = 20
"""How many workloads a page has unless its length is given."""
WATCH_INTERVAL = 2.0
"""Seconds between two looks of ``--watch``."""
ROWS_PER_BATCH = 250
"""For how many rows of an endless table the widths of the columns are measured at once."""


class List(ReadingCommand):
    """Shows a page of workloads, or all of them."""

    name = "list"
    help = "show workloads, newest first"
    example = "vulcan-store list --status failed,killed --since 12h --limit 50"
    more = (
        "Filters may be repeated; words may also stand together, with commas between. Of times, since takes in the "
        f"time itself, before does not. {TIMES}"
    )

    def add_arguments(self, parser: UsageParser) -> None:
        add_filters(parser, CHOICES)
        for name, done in (("created", "created"), ("started", "last started"), ("finished", "finished")):
            for end, words in (("since", "then or later"), ("before", "earlier")):
                short = [f"--{end}"] if name == "created" else []
                parser.add_argument(
                    *short, option_of(f"{name}_{end}"), type=moment, metavar="TIME", dest=f"{name}_{end}",
                    help=f"{done} {words}",
                )
        parser.add_argument("--limit", type=whole, metavar="N", help=f"how many at most (default: {LIMIT})")
        place = parser.add_mutually_exclusive_group()
        place.add_argument("--page", type=counting, metavar="N", help="which page of that many, from 1")
        place.add_argument("--offset", type=whole, default=0, metavar="N", help="how many to pass over first")
        place.add_argument("--all", action="store_true", help="every workload that matches, without a limit")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--quiet", action="store_true", help="print ids only")
        add_json(form)
        form.add_argument(
            "--watch", nargs="?", type=interval, const=WATCH_INTERVAL, metavar="SECONDS",
            help=f"show the page again every so often until Ctrl-C (default: {WATCH_INTERVAL:g}s)",
        )

    def run(self, store: Store, options: argparse.Namespace) -> None:
        if options.all and (options.limit is not None or options.watch is not None):
            options.refuse("--all has no --limit, and is not watched")
        filters: Any = {name: getattr(options, name) for name in FILTERS}
        if options.all:
            self._show_all(options, store.iter_workloads(with_output=options.json, **filters))
        elif options.watch is None:
            self._show_page(store, options, filters, LIMIT)
        else:
            self._watch(store, options, filters)

    def _show_page(self, store: Store, options: argparse.Namespace, filters: Any, most: int) -> None:
        limit = most if options.limit is None else options.limit
        offset = (options.page - 1) * limit if options.page else options.offset
        page = store.list_workloads(limit, offset, with_output=options.json, **filters)
        if options.json or options.quiet:
            _print_plainly(options, page.items)
            return
        if page.items:
            print_table([page.items])
        print(display.footer(offset, len(page.items), page.total))

    def _show_all(self, options: argparse.Namespace, workloads: Iterator[Workload]) -> None:
        if options.json or options.quiet:
            _print_plainly(options, workloads)
            return
        shown = itertools.count()
        counted = (workload for workload, _ in zip(workloads, shown, strict=False))
        print_table(iter(lambda: list(itertools.islice(counted, ROWS_PER_BATCH)), []))
        total = next(shown)
        print(display.footer(0, total, total))

    def _watch(self, store: Store, options: argparse.Namespace, filters: Any) -> None:
        while True:
            most = LIMIT
            if sys.stdout.isatty():  # headings, the last line and the cursor have to stand on the screen as well
                most = max(1, min(LIMIT, os.get_terminal_size(sys.stdout.fileno()).lines - 3))
            display.start_screen(sys.stdout)
            self._show_page(store, options, filters, most)
            sys.stdout.flush()
            time.sleep(options.watch)


def _print_plainly(options: argparse.Namespace, workloads: Iterable[Workload]) -> None:
    for workload in workloads:
        print(json_of(workload) if options.json else workload.id)


class Stats(ReadingCommand):
    """Counts workloads."""

    name = "stats"
    help = "count workloads"
    example = "vulcan-store stats --json"

    def add_arguments(self, parser: UsageParser) -> None:
        add_json(parser)

    def run(self, store: Store, options: argparse.Namespace) -> None:
        stats = store.workload_stats()
        by_status = _with_zeros(Status, stats.by_status)
        by_isolation = _with_zeros(Isolation, stats.by_isolation)
        if options.json:
            average = stats.average_duration_ms or 0
            counts = {"total": stats.total, "by_status": by_status, "by_isolation": by_isolation}
            print(json.dumps({**counts, "avg_duration_ms": average}))
            return
        for line in display.counts(stats.total, by_status, by_isolation, stats.average_duration_ms):
            print(line)


def _with_zeros(words: Iterable[str], counts: Any) -> dict[str, int]:
    return {**dict.fromkeys(words, 0), **counts}
