"""The commands of those who run workloads, and of those who wait for them: claim, wait, release."""

from __future__ import annotations

import math
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress

from vulcan_store.cli.arguments import TIMES, add_filters, add_json, given, moment, seconds
from vulcan_store.cli.display import complain, show_id, show_workloads
from vulcan_store.errors import ClaimLostError, WaitTimeoutError
from vulcan_store.lifecycle import Status
from vulcan_store.store import Store

NOT_COMPLETED, NOTHING_TO_CLAIM, TIMED_OUT = 1, 3, 4
"""Exit statuses."""


def claim(parser: ArgumentParser) -> object:
    """Take the oldest pending workload for a node and print its id.

    No two callers get the same one. The exit status is 3 if there is none. One
    whose id cannot be printed is put back.

    Example: while id=$(vulcan-store claim node-1 --wait 1h); do work "$id"; done
    """
    parser.add_argument("node_id", metavar="NODE", help="the node that is to run it")
    add_filters(parser, ("isolation", "runtime"))
    parser.add_argument("--wait", type=seconds, default=0, help="how long to wait for one, like 60s or 1h")
    add_json(parser)

    def run(store: Store, options: Namespace) -> int:
        filters = given(options, ("isolation", "runtime"))
        claimed = store.claim_workload(options.node_id, wait=options.wait, **filters)
        if claimed is None:
            return NOTHING_TO_CLAIM
        try:
            show_id(claimed, options.json)
            sys.stdout.flush()
        except BaseException:  # nobody was told of it, so nobody would run it
            with suppress(ClaimLostError):
                store.update_workload_status(claimed.id, Status.PENDING, claim=claimed)
            raise
        return 0

    return run


def wait(parser: ArgumentParser) -> object:
    """Wait until workloads are final and show them.

    The exit status is 0 if all of them completed, 1 if one failed or was killed,
    and 4 if one was not final in time; those that are final are shown then too.

    Example: vulcan-store wait "$id" --timeout 60s && echo completed
    """
    parser.add_argument("ids", nargs="+", metavar="ID")
    parser.add_argument(
        "--timeout", type=seconds, default=math.inf, help="how long to wait for all together (default: for ever)"
    )
    add_json(parser)
    parser.set_defaults(reads=True)

    def run(store: Store, options: Namespace) -> int:
        end, final = time.monotonic() + options.timeout, []
        for workload_id in options.ids:
            try:
                final.append(store.wait_workload(workload_id, timeout=max(0.0, end - time.monotonic())))
            except WaitTimeoutError as error:
                complain(f"workload {workload_id} is still {error.status}")
        show_workloads(final, options.json)
        if len(final) < len(options.ids):
            return TIMED_OUT
        return 0 if all(workload.status == Status.COMPLETED for workload in final) else NOT_COMPLETED

    return run


def release(parser: ArgumentParser) -> object:
    """Put running workloads back to pending, for others to claim.

    Name the node (it has restarted), the time (their workers are dead), or both.
    Whoever still runs one of them has lost its claim.

    Example: vulcan-store release --node-id node-1 --started-before 1h
    """
    parser.add_argument("--node-id", help="those that this node runs")
    parser.add_argument("--started-before", type=moment, metavar="TIME", help="those that started earlier")
    parser.epilog = TIMES

    def run(store: Store, options: Namespace) -> None:
        if options.node_id is None and options.started_before is None:
            parser.error("name --node-id, --started-before, or both")
        filters = given(options, ("node_id", "started_before"))
        print(f"{store.release_workloads(**filters):,} released")

    return run
