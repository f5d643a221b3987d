"""The commands about single workloads: create, get, update, delete."""

from __future__ import annotations

import argparse
import sys

from vulcan_store.cli import display
from vulcan_store.cli.command import Command, ReadingCommand
from vulcan_store.cli.options import add_fields, add_id, add_json, fields_of
from vulcan_store.cli.printing import print_id, print_workloads
from vulcan_store.cli.usage import UsageParser
from vulcan_store.cli.values import TIMES
from vulcan_store.errors import StoreError
from vulcan_store.models.workload import COLUMNS
from vulcan_store.operations.lookup import find_id
from vulcan_store.operations.updates import MUTABLE
from vulcan_store.store import Store


class Create(Command):
    """Stores a workload."""

    name = "create"
    help = "store a new workload and print its id"
    example = "id=$(vulcan-store create --runtime python --mem-limit 512)"
    more = TIMES
    creates = True

    def add_arguments(self, parser: UsageParser) -> None:
        add_fields(parser, COLUMNS)
        add_json(parser)

    def run(self, store: Store, options: argparse.Namespace) -> None:
        print_id(options, store.create_workload(**fields_of(options, COLUMNS)))


class Get(ReadingCommand):
    """Shows a workload."""

    name = "get"
    help = "show a workload, one field a line"
    example = "vulcan-store get 01K3ZQ8N --output result.bin"

    def add_arguments(self, parser: UsageParser) -> None:
        add_id(parser)
        form = parser.add_mutually_exclusive_group()
        add_json(form)
        form.add_argument("--output", metavar="FILE", help="write the result bytes there instead; - is stdout")

    def run(self, store: Store, options: argparse.Namespace) -> None:
        workload = store.get_workload(find_id(store, options.id))
        if options.output is None:
            print_workloads(options, [workload])
        elif workload.output is None:
            raise StoreError(f"workload {workload.id!r} has no output")
        elif options.output == "-":
            sys.stdout.buffer.write(workload.output)
        else:
            with open(options.output, "wb") as file:
                file.write(workload.output)


class Update(Command):
    """Changes workloads."""

    name = "update"
    help = "change workloads and show them"
    example = "vulcan-store update 01K3ZQ8N --status failed --exit-code 1"
    more = (
        "Everything that is named changes in one transaction, for all of the workloads or none. completed, failed and "
        f"killed are final. {TIMES}"
    )

    def add_arguments(self, parser: UsageParser) -> None:
        add_id(parser, "+")
        add_fields(parser, MUTABLE)
        add_json(parser)

    def run(self, store: Store, options: argparse.Namespace) -> None:
        fields = fields_of(options, MUTABLE)
        if not fields:
            options.refuse("nothing to change was named")
        ids = [find_id(store, text) for text in options.ids]
        changed = store.database.atomically(lambda: [store.update_workload(one, **fields) for one in ids])
        print_workloads(options, changed)


class Delete(Command):
    """Deletes workloads."""

    name = "delete"
    help = "delete workloads with their logs, whatever their status"
    example = "vulcan-store delete 01K3ZQ8N0V6Y2R4T5W7X9ABCDE"
    more = "All of them are deleted or none."

    def add_arguments(self, parser: UsageParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="ID", help="the workloads, each by its whole id")

    def run(self, store: Store, options: argparse.Namespace) -> None:
        ids = dict.fromkeys(options.ids)
        store.database.atomically(lambda: [store.delete_workload(one) for one in ids])
        print(display.counted(len(ids), "workload"), "deleted")
