"""The commands that look at many workloads: list, stats."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from vulcan_store.cli.arguments import TIMES, Parser, add_filters, add_json, moment, number_from, option
from vulcan_store.cli.display import duration, plain, show_json, show_table
from vulcan_store.lifecycle import Isolation, Status
from vulcan_store.models.workload import Workload
from vulcan_store.queries.filters import CHOICES, FILTERS
from vulcan_store.store import Store

LIMIT = 20
"""How many workloads a page has unless its length is given."""
ROWS_PER_BATCH = 250
"""For how many rows of an endless table the widths of the columns are measured at once."""


def list_(parser: Parser) -> object:
    """show workloads, newest first

    Filters may be repeated; words may also stand together, with commas between. Of times, since takes in the time
    itself, before does not.
    """
    add_filters(parser, CHOICES)
    for name, done in (("created", "created"), ("started", "last started"), ("finished", "finished")):
        for end, words in (("since", "then or later"), ("before", "earlier")):
            short = [f"--{end}"] if name == "created" else []
            parser.add_argument(
                *short, option(f"{name}_{end}"), type=moment, metavar="TIME", dest=f"{name}_{end}",
                help=f"{done} {words}",
            )
    parser.add_argument("--limit", type=number_from(0), metavar="N", help=f"how many at most (default: {LIMIT})")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--page", type=number_from(1), metavar="N", help="which page of that many, from 1")
    place.add_argument("--offset", type=number_from(0), default=0, metavar="N", help="how many to pass over first")
    place.add_argument("--all", action="store_true", help="every workload that matches, without a limit")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quiet", action="store_true", help="print ids only")
    add_json(form)
    parser.set_defaults(reads=True)
    parser.epilog = f"Example: vulcan-store list --status failed,killed --since 12h --limit 50 # {TIMES}"

    def run(store: Store, options: Namespace) -> None:
        filters: Any = {name: getattr(options, name) for name in FILTERS}
        if options.all:
            if options.limit is not None:
                parser.error("argument --limit: not allowed with argument --all")
            shown = _show(store.iter_workloads(with_output=options.json, **filters), options)
            start, total = 0, shown
        else:
            limit = LIMIT if options.limit is None else options.limit
            start = (options.page - 1) * limit if options.page else options.offset
            page = store.list_workloads(limit, start, with_output=options.json, **filters)
            shown, total = _show(page.items, options), page.total
        if not (options.json or options.quiet):
            print(f"{start + 1:,}-{start + shown:,} of {total:,}" if shown else f"0 of {total:,}")

    return run


def _show(workloads: Iterable[Workload], options: Namespace) -> int:
    """Print workloads as they come; how many there were."""
    count = itertools.count()
    coming = (workload for workload, _ in zip(workloads, count, strict=False))
    if options.json or options.quiet:
        for workload in coming:
            if options.json:
                show_json(workload.to_dict())
            else:
                print(plain(workload.id))  # in a pipe too, so that a line is an id
    else:
        show_table(iter(lambda: list(itertools.islice(coming, ROWS_PER_BATCH)), []))
    return next(count)


def stats(parser: Parser) -> object:
    """count workloads"""
    add_json(parser)
    parser.set_defaults(reads=True)
    parser.epilog = "Example: vulcan-store stats --json"

    def run(store: Store, options: Namespace) -> None:
        found = store.workload_stats()
        average = found.average_duration_ms
        by: dict[str, Mapping[str, int]] = {"status": found.by_status, "isolation": found.by_isolation}
        if options.json:
            occurring = {f"by_{name}": {word: n for word, n in counts.items() if n} for name, counts in by.items()}
            show_json({"total": found.total, **occurring, "avg_duration_ms": average or 0})
            return
        rows = [("workloads", f"{found.total:,}")]
        for name, words in (("status", Status), ("isolation", Isolation)):
            for word, count in (dict.fromkeys(map(str, words), 0) | dict(by[name])).items():
                rows.append((f"{name} {plain(word) or '(empty)'}", f"{count:,}"))
        rows.append(("average of completed", duration(average)))
        left, right = (max(map(len, column)) for column in zip(*rows, strict=True))
        for name, value in rows:
            print(f"{name:{left}}  {value:>{right}}")

    return run
