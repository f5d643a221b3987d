"""The commands that look after a store: stats, purge, vacuum, backup, restore, export, import."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace

from vulcan_store.cli.arguments import TIMES, add_json, moment
from vulcan_store.cli.display import plain, span
from vulcan_store.lifecycle import Isolation, Status
from vulcan_store.operations.housekeeping import count_purgeable
from vulcan_store.operations.transfer import export_workloads, import_workloads
from vulcan_store.store import Store


def stats(parser: ArgumentParser) -> object:
    """Count workloads.

    Example: vulcan-store stats --json
    """
    add_json(parser)
    parser.set_defaults(reads=True)

    def run(store: Store, options: Namespace) -> None:
        total, by_status, by_isolation, average = store.workload_stats()
        if options.json:
            form = {"total": total, "by_status": by_status, "by_isolation": by_isolation}
            print(json.dumps({**form, "avg_duration_ms": average or 0}))
            return
        print(f"{'workloads':20}  {total:>9,}")
        for name, known, counts in (("status", Status, by_status), ("isolation", Isolation, by_isolation)):
            for word in dict.fromkeys([*map(str, known), *counts]):
                what = f"{name} {plain(word) or '(empty)'}"
                print(f"{what:20}  {counts[word]:>9,}")
        print(f"average of completed  {'-' if average is None else span(average):>9}")

    return run


def purge(parser: ArgumentParser) -> object:
    """Delete workloads that finished long ago, with their logs.

    Example: vulcan-store purge --finished-before 30d --dry-run
    """
    parser.add_argument("--finished-before", type=moment, required=True, metavar="TIME", help="which to delete")
    parser.add_argument("--dry-run", action="store_true", dest="reads", help="only say how many they are")
    parser.epilog = TIMES

    def run(store: Store, options: Namespace) -> None:
        if options.reads:
            print(f"{count_purgeable(store, options.finished_before):,} would be deleted")
        else:
            print(f"{store.purge_workloads(options.finished_before):,} deleted")

    return run


def vacuum(parser: ArgumentParser) -> object:
    """Make the file as small as what is in it, after a large purge.

    Others that write wait until it is over; it is refused while somebody writes.
    While somebody reads what was there before, the file stays large until then.

    Example: vulcan-store purge --finished-before 30d && vulcan-store vacuum
    """

    def run(store: Store, options: Namespace) -> None:
        print(f"{store.database.vacuum():,} bytes given back")

    return run


def backup(parser: ArgumentParser) -> object:
    """Copy the store to a new file, while others go on writing.

    Example: vulcan-store backup /backup/vulcan.db
    """
    parser.add_argument("file", metavar="FILE", help="a file that does not exist yet")
    parser.set_defaults(reads=True)

    def run(store: Store, options: Namespace) -> None:
        store.backup_store(options.file)
        print(f"{os.path.getsize(options.file):,} bytes copied")

    return run


def restore(parser: ArgumentParser) -> object:
    """Put the content of a backup in place of the store's.

    Others may have the store open meanwhile. What is in it now is lost, so make a
    backup of it first.

    Example: vulcan-store restore /backup/vulcan.db
    """
    parser.add_argument("file", metavar="FILE", help="what backup has written")
    parser.set_defaults(creates=True)

    def run(store: Store, options: Namespace) -> None:
        store.restore_store(options.file)
        print(f"{store.workload_stats().total:,} restored")

    return run


def export(parser: ArgumentParser) -> object:
    """Print every workload with its log as a line of JSON.

    The first line says how many follow, so that an import notices if some are
    missing.

    Example: vulcan-store export | gzip > vulcan.jsonl.gz
    """
    parser.set_defaults(reads=True)

    def run(store: Store, options: Namespace) -> None:
        export_workloads(store, sys.stdout.write)

    return run


def import_(parser: ArgumentParser) -> object:
    """Store every workload of an export, or none of them.

    It is read from stdin, in one transaction: others that write wait until it is
    over. What no enumeration knows, as of a newer server, is stored too, and named.

    Example: vulcan-store --db old.db export | vulcan-store --db new.db import
    """
    parser.set_defaults(creates=True)

    def run(store: Store, options: Namespace) -> None:
        count, unknown = import_workloads(store, sys.stdin.buffer)
        print(f"{count:,} imported")
        for name, values in unknown.items():
            print(f"unknown {name}:", plain(", ".join(map(str, values))))

    return run
