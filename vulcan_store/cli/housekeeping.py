"""The commands that look after a store: purge, vacuum, backup, restore, export, import."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from vulcan_store.cli.arguments import TIMES, Parser, moment
from vulcan_store.cli.display import counted, plain, show
from vulcan_store.operations.housekeeping import count_purgeable, vacuum_store
from vulcan_store.operations.transfer import export_workloads, import_workloads
from vulcan_store.store import Store


def purge(parser: Parser) -> object:
    """delete workloads that finished long ago, with their logs"""
    parser.add_argument("--finished-before", type=moment, required=True, metavar="TIME", help="which to delete")
    parser.add_argument("--dry-run", action="store_true", dest="reads", help="only say how many they are")
    parser.epilog = f"Example: vulcan-store purge --finished-before 30d --dry-run # {TIMES}"

    def run(store: Store, options: Namespace) -> None:
        if options.reads:
            print(counted(count_purgeable(store, options.finished_before)), "would be deleted")
        else:
            print(counted(store.purge_workloads(options.finished_before)), "deleted")

    return run


def vacuum(parser: Parser) -> object:
    """make the file as small as what is in it, after a large purge

    Others that write wait until it is over; it is refused while somebody is in the middle of reading or writing.
    """
    parser.epilog = "Example: vulcan-store purge --finished-before 30d && vulcan-store vacuum"

    def run(store: Store, options: Namespace) -> None:
        print(counted(vacuum_store(store), "byte"), "given back")

    return run


def backup(parser: Parser) -> object:
    """copy the store to a new file, while others go on writing"""
    parser.add_argument("file", metavar="FILE", help="a file that does not exist yet")
    parser.set_defaults(reads=True)
    parser.epilog = "Example: vulcan-store backup /backup/vulcan.db"

    def run(store: Store, options: Namespace) -> None:
        store.backup_store(options.file)
        show(f"{options.file} ({counted(os.path.getsize(options.file), 'byte')})")

    return run


def restore(parser: Parser) -> object:
    """put the content of a backup in place of the store's

    Others may have the store open meanwhile. What is in it now is lost, so make a backup of it first.
    """
    parser.add_argument("file", metavar="FILE", help="what backup has written")
    parser.set_defaults(creates=True)
    parser.epilog = "Example: vulcan-store restore /backup/vulcan.db"

    def run(store: Store, options: Namespace) -> None:
        store.restore_store(options.file)
        print(counted(store.workload_stats().total), "restored")

    return run


def export(parser: Parser) -> object:
    """print every workload with its log as a line of JSON

    The first line says how many follow, so that an import notices if some are missing.
    """
    parser.set_defaults(reads=True)
    parser.epilog = "Example: vulcan-store export | gzip > vulcan.jsonl.gz"

    def run(store: Store, options: Namespace) -> None:
        export_workloads(store, sys.stdout.write)

    return run


def import_(parser: Parser) -> object:
    """store every workload of an export, or none of them

    It is read from stdin, in one transaction: others that write wait until it is over. What no enumeration knows, as of
    a newer server, is stored too, and named.
    """
    parser.set_defaults(creates=True)
    parser.epilog = "Example: vulcan-store --db old.db export | vulcan-store --db new.db import"

    def run(store: Store, options: Namespace) -> None:
        if sys.stdin.isatty():
            print("waiting for an export, one workload a line; Ctrl-D ends it", file=sys.stderr)
        imported = import_workloads(store, sys.stdin.buffer)
        print(counted(imported.count), "imported")
        for name, values in imported.unknown.items():
            print(f"unknown {name}:", plain(", ".join(map(str, values))))

    return run
