"""The commands that look after a store: purge, vacuum, backup, restore."""

from __future__ import annotations

import argparse
import os
from datetime import datetime

from vulcan_store.cli import display
from vulcan_store.cli.command import Command, ReadingCommand
from vulcan_store.cli.usage import UsageParser
from vulcan_store.cli.values import TIMES, moment
from vulcan_store.operations.housekeeping import count_purgeable, vacuum_store
from vulcan_store.store import Store


class Purge(Command):
    """Deletes what is old."""

    name = "purge"
    help = "delete workloads that finished long ago, with their logs"
    example = "vulcan-store purge --finished-before 30d --dry-run"
    more = TIMES

    def add_arguments(self, parser: UsageParser) -> None:
        parser.add_argument("--finished-before", type=moment, required=True, metavar="TIME", help="which to delete")
        parser.add_argument("--dry-run", action="store_true", help="only say how many they are")

    def reads(self, options: argparse.Namespace) -> bool:
        return bool(options.dry_run)

    def run(self, store: Store, options: argparse.Namespace) -> None:
        before: datetime = options.finished_before
        if options.dry_run:
            print(display.counted(count_purgeable(store, before), "workload"), "would be deleted")
            return
        print(display.counted(store.purge_workloads(before), "workload"), "deleted")


class Vacuum(Command):
    """Makes the file smaller."""

    name = "vacuum"
    help = "make the file as small as what is in it, after a large purge"
    example = "vulcan-store purge --finished-before 30d && vulcan-store vacuum"
    more = (
        "Others that write wait until it is over; it is refused while somebody is in the middle of reading or writing."
    )

    def run(self, store: Store, options: argparse.Namespace) -> None:
        print(display.size(vacuum_store(store)), "given back")


class Backup(ReadingCommand):
    """Copies the store."""

    name = "backup"
    help = "copy the store to a new file, while others go on writing"
    example = "vulcan-store backup /backup/vulcan.db"

    def add_arguments(self, parser: UsageParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a file that does not exist yet")

    def run(self, store: Store, options: argparse.Namespace) -> None:
        store.backup_store(options.file)
        print(options.file, f"({display.size(os.path.getsize(options.file))})")


class Restore(Command):
    """Puts a backup in the store's place."""

    name = "restore"
    help = "put the content of a backup in place of the store's"
    example = "vulcan-store restore /backup/vulcan.db"
    more = "Others may have the store open meanwhile. What is in it now is lost, so make a backup of it first."
    creates = True

    def add_arguments(self, parser: UsageParser) -> None:
        parser.add_argument("file", metavar="FILE", help="what backup has written")

    def run(self, store: Store, options: argparse.Namespace) -> None:
        store.restore_store(options.file)
        print(display.counted(store.workload_stats().total, "workload"), "restored")
