"""The commands that move a store elsewhere: export, import."""

from __future__ import annotations

import argparse
import sys

from vulcan_store.cli import display
from vulcan_store.cli.command import Command, ReadingCommand
from vulcan_store.operations.transfer import export_workloads, import_workloads
from vulcan_store.store import Store


class Export(ReadingCommand):
    """Prints everything."""

    name = "export"
    help = "print every workload with its log as a line of JSON, oldest first"
    example = "vulcan-store export | gzip > vulcan.jsonl.gz"
    more = "The first line says how many follow, so that an import notices if some are missing."

    def run(self, store: Store, options: argparse.Namespace) -> None:
        export_workloads(store, sys.stdout.write)


class Import(Command):
    """Stores an export."""

    name = "import"
    help = "store every workload of an export, or none of them"
    example = "vulcan-store --db old.db export | vulcan-store --db new.db import"
    more = "It is read from stdin, in one transaction: others that write wait until it is over."
    creates = True

    def run(self, store: Store, options: argparse.Namespace) -> None:
        if sys.stdin.isatty():
            print("waiting for an export, one workload a line; Ctrl-D ends it", file=sys.stderr)
        print(display.counted(import_workloads(store, sys.stdin.buffer).count, "workload"), "imported")
