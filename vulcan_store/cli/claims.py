"""The commands of those who run workloads, and of those who wait for them: claim, wait, release."""

from __future__ import annotations

import argparse
import sys
import time

from vulcan_store.cli import display
from vulcan_store.cli.command import Command, ReadingCommand
from vulcan_store.cli.options import add_filters, add_id, add_json
from vulcan_store.cli.printing import print_id, print_workloads
from vulcan_store.cli.usage import UsageParser
from vulcan_store.cli.values import TIMES, moment, seconds
from vulcan_store.errors import WaitTimeoutError
from vulcan_store.lifecycle import Status
from vulcan_store.operations.lookup import find_id
from vulcan_store.store import Store

NOT_COMPLETED, NOTHING_TO_CLAIM, TIMED_OUT = 1, 3, 4
"""Exit statuses."""


class Claim(Command):
    """Takes a workload."""

    name = "claim"
    help = "take the oldest pending workload for a node and print its id"
    example = 'while id=$(vulcan-store claim node-1 --wait 1h); do work "$id"; done'
    more = "No two callers get the same one. The exit status is 3 if there is none."

    def add_arguments(self, parser: UsageParser) -> None:
        parser.add_argument("node_id", metavar="NODE", help="the node that is to run it")
        add_filters(parser, ("isolation", "runtime"))
        parser.add_argument(
            "--wait", type=seconds, default=0, metavar="TIME", help="how long to wait for one, like 60s or 1h"
        )
        add_json(parser)

    def run(self, store: Store, options: argparse.Namespace) -> int:
        found = store.claim_workload(
            options.node_id, wait=options.wait, isolation=options.isolation, runtime=options.runtime
        )
        if found is None:
            return NOTHING_TO_CLAIM
        print_id(options, found)
        return 0


class Wait(ReadingCommand):
    """Waits for results."""

    name = "wait"
    help = "wait until workloads are final and show them"
    example = 'vulcan-store wait "$id" --timeout 60s && echo completed'
    more = (
        "The exit status is 0 if all of them completed, 1 if one failed or was killed, and 4 if one was not final in "
        "time; those that are final are shown then too."
    )

    def add_arguments(self, parser: UsageParser) -> None:
        add_id(parser, "+")
        parser.add_argument(
            "--timeout", type=seconds, metavar="TIME", help="how long to wait for all together (default: for ever)"
        )
        add_json(parser)

    def run(self, store: Store, options: argparse.Namespace) -> int:
        ids = [find_id(store, text) for text in options.ids]
        deadline = None if options.timeout is None else time.monotonic() + options.timeout
        final = []
        for workload_id in ids:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                final.append(store.wait_workload(workload_id, timeout=left))
            except WaitTimeoutError as error:
                print(f"vulcan-store: workload {display.plain(workload_id)} is still {error.status}", file=sys.stderr)
        if final:
            print_workloads(options, final)
        if len(final) < len(ids):
            return TIMED_OUT
        return 0 if all(workload.status == Status.COMPLETED for workload in final) else NOT_COMPLETED


class Release(Command):
    """Puts running workloads back."""

    name = "release"
    help = "put running workloads back to pending, for others to claim"
    example = "vulcan-store release --node-id node-1 --started-before 1h"
    more = (
        "Name the node (it has restarted), the time (their workers are dead), or both. Whoever still runs one of them "
        f"has lost its claim. {TIMES}"
    )

    def add_arguments(self, parser: UsageParser) -> None:
        parser.add_argument("--node-id", metavar="TEXT", help="those that this node runs")
        parser.add_argument("--started-before", type=moment, metavar="TIME", help="those that started earlier")

    def run(self, store: Store, options: argparse.Namespace) -> None:
        if options.node_id is None and options.started_before is None:
            options.refuse("name --node-id, --started-before, or both")
        released = store.release_workloads(node_id=options.node_id, started_before=options.started_before)
        print(display.counted(released, "workload"), "released")
