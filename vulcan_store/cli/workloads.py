"""The commands about single workloads: create, get, update, delete."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from peewee import SqliteDatabase

from vulcan_store.cli.arguments import TIMES, Parser, add_fields, add_id, add_ids, add_json, given_fields
from vulcan_store.cli.display import counted, plain, show_id, show_workloads
from vulcan_store.engines.sqlite.paths import path_of
from vulcan_store.errors import StoreError
from vulcan_store.models.workload import COLUMNS, MUTABLE
from vulcan_store.store import Store


def create(parser: Parser) -> object:
    """store a new workload and print its id"""
    add_fields(parser, COLUMNS)
    add_json(parser)
    parser.set_defaults(creates=True)
    parser.epilog = f'Example: id=$(vulcan-store create --runtime python --mem-limit 512) # {TIMES}'

    def run(store: Store, options: Namespace) -> None:
        show_id(store.create_workload(**given_fields(options, COLUMNS)), options.json)

    return run


def get(parser: Parser) -> object:
    """show a workload, one field a line"""
    add_id(parser)
    form = parser.add_mutually_exclusive_group()
    add_json(form)
    form.add_argument("--output", metavar="FILE", help="write the result bytes there instead; - is stdout")
    parser.set_defaults(reads=True)
    parser.epilog = "Example: vulcan-store get 01K3ZQ8N0V6Y2R4T5W7X9ABCDE --output result.bin"

    def run(store: Store, options: Namespace) -> None:
        workload = store.get_workload(options.id)
        if options.output is None:
            show_workloads([workload], options.json)
        elif workload.output is None:
            raise StoreError(f"workload {workload.id!r} has no output")
        elif options.output != "-":
            _refuse_own_file(store, options.output)
            with open(options.output, "wb") as file:
                file.write(workload.output)
        elif sys.stdout.isatty():
            for line in workload.output.decode(errors="backslashreplace").split("\n"):
                print(plain(line))
        else:
            sys.stdout.buffer.write(workload.output)

    return run


def _refuse_own_file(store: Store, name: str) -> None:
    if isinstance(store.database, SqliteDatabase):
        path = os.path.realpath(path_of(store.target))
        for own in (path + suffix for suffix in ("", "-wal", "-shm", "-journal")):
            linked = os.path.exists(own) and os.path.exists(name) and os.path.samefile(own, name)
            if linked or os.path.realpath(name) == own:
                raise StoreError(f"{name} is a file of the store itself; name another one for the result")


def update(parser: Parser) -> object:
    """change workloads and show them

    Everything that is named changes in one transaction, for all of the workloads or none. completed, failed and
    killed are final.
    """
    add_ids(parser)
    add_fields(parser, MUTABLE)
    add_json(parser)
    parser.epilog = f'Example: vulcan-store update "$id" --status failed --exit-code 1 # {TIMES}'

    def run(store: Store, options: Namespace) -> None:
        fields = given_fields(options, MUTABLE)
        if not fields:
            parser.error("nothing to change was named")
        changed = store.database.atomically(lambda: [store.update_workload(one, **fields) for one in options.ids])
        show_workloads(changed, options.json)

    return run


def delete(parser: Parser) -> object:
    """delete workloads with their logs, whatever their status

    All of them are deleted or none.
    """
    add_ids(parser)
    parser.epilog = 'Example: vulcan-store delete "$id"'

    def run(store: Store, options: Namespace) -> None:
        ids = dict.fromkeys(options.ids)
        store.database.atomically(lambda: [store.delete_workload(one) for one in ids])
        print(counted(len(ids)), "deleted")

    return run
