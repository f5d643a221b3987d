"""The commands about single workloads: create, get, list, update, delete."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from vulcan_store.cli.arguments import TIMES, add_fields, add_filters, add_json, given, moment, option
from vulcan_store.cli.display import plain, show, show_id, show_json, show_table, show_workloads
from vulcan_store.errors import StoreError
from vulcan_store.models.workload import COLUMNS, MUTABLE
from vulcan_store.queries.filters import CHOICES, FILTERS
from vulcan_store.queries.filters import TIMES as TIME_FILTERS
from vulcan_store.store import Store

LIMIT = 20
"""How many workloads a page has unless its length is given."""


def create(parser: ArgumentParser) -> object:
    """Store a new workload and print its id.

    Example: id=$(vulcan-store create --runtime python --mem-limit 512)
    """
    add_fields(parser, COLUMNS)
    add_json(parser)
    parser.set_defaults(creates=True)
    parser.epilog = TIMES

    def run(store: Store, options: Namespace) -> None:
        show_id(store.create_workload(**given(options, COLUMNS)), options.json)

    return run


def get(parser: ArgumentParser) -> object:
    """Show a workload, one field a line.

    Example: vulcan-store get 01K3ZQ8N0V6Y2R4T5W7X9ABCDE --output result.bin
    """
    parser.add_argument("id", metavar="ID")
    form = parser.add_mutually_exclusive_group()
    add_json(form)
    form.add_argument("--output", metavar="FILE", help="write the result bytes there instead; - is stdout")
    parser.set_defaults(reads=True)

    def run(store: Store, options: Namespace) -> None:
        workload = store.get_workload(options.id)
        if options.output is None:
            show_workloads([workload], options.json)
        elif workload.output is None:
            raise StoreError(f"workload {workload.id!r} has no output")
        elif options.output != "-":
            _refuse_own_file(store, options.output)
            Path(options.output).write_bytes(workload.output)
        elif sys.stdout.isatty():
            for line in workload.output.decode(errors="backslashreplace").split("\n"):
                show(line)
        else:
            sys.stdout.buffer.write(workload.output)

    return run


def _refuse_own_file(store: Store, name: str) -> None:
    path = os.path.realpath(store.database.database)
    files = [path + suffix for suffix in ("", "-wal", "-shm", "-journal")]
    if os.path.exists(path) and (
        os.path.realpath(name) in files or os.path.exists(name) and os.path.samefile(name, path)
    ):
        raise StoreError(f"{name} is a file of the store itself; name another one for the result")


def list_(parser: ArgumentParser) -> object:
    """Show workloads, newest first.

    Filters may be repeated; words may also stand together, with commas between. Of
    times, since takes in the time itself, before does not.

    Example: vulcan-store list --status failed,killed --since 12h --limit 50
    """
    add_filters(parser, CHOICES)
    for name in TIME_FILTERS:
        names = dict.fromkeys((option(name), option(name.removeprefix("created_"))))
        parser.add_argument(*names, type=moment, metavar="TIME")
    parser.add_argument("--limit", type=int, metavar="N", help=f"how many at most (default: {LIMIT})")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--page", type=int, metavar="N", help="which page of that many, from 1")
    place.add_argument("--offset", type=int, default=0, metavar="N", help="how many to pass over first")
    place.add_argument("--all", action="store_true", help="every workload that matches, without a limit")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quiet", action="store_true", help="print ids only")
    add_json(form)
    parser.set_defaults(reads=True)
    parser.epilog = TIMES

    def run(store: Store, options: Namespace) -> None:
        filters = given(options, FILTERS)
        start, total = options.offset, None
        if options.all:
            if options.limit is not None:
                parser.error("argument --limit: not allowed with argument --all")
            workloads = store.iter_workloads(with_output=options.json, **filters)
        else:
            limit = LIMIT if options.limit is None else options.limit
            page = store.list_workloads(limit, start, page=options.page, with_output=options.json, **filters)
            workloads, total = iter(page.items), page.total
            if options.page is not None:
                start = (options.page - 1) * limit
        if options.json:
            for workload in workloads:
                show_json(workload)
        elif options.quiet:
            for workload in workloads:
                print(plain(workload.id))  # in a pipe too, so that a line is an id
        else:
            shown = show_table(workloads)
            print(f"{start + 1:,}-{start + shown:,} of {total or shown:,}" if shown else f"0 of {total or shown:,}")

    return run


def update(parser: ArgumentParser) -> object:
    """Change workloads and show them.

    Everything that is named changes in one transaction, for all of the workloads or
    none. completed, failed and killed are final.

    Example: vulcan-store update "$id" --status failed --exit-code 1
    """
    parser.add_argument("ids", nargs="+", metavar="ID")
    add_fields(parser, MUTABLE)
    add_json(parser)
    parser.epilog = TIMES

    def run(store: Store, options: Namespace) -> None:
        fields = given(options, MUTABLE)
        if not fields:
            parser.error("nothing to change was named; --status completed, for one")
        changed = store.database.atomically(lambda: [store.update_workload(one, **fields) for one in options.ids])
        show_workloads(changed, options.json)

    return run


def delete(parser: ArgumentParser) -> object:
    """Delete workloads with their logs, whatever their status.

    All of them are deleted or none.

    Example: vulcan-store delete "$id"
    """
    parser.add_argument("ids", nargs="+", metavar="ID")

    def run(store: Store, options: Namespace) -> None:
        ids = dict.fromkeys(options.ids)
        store.database.atomically(lambda: [store.delete_workload(one) for one in ids])
        print(f"{len(ids):,} deleted")

    return run
