"""Results on stdout."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence

from vulcan_store.cli import display
from vulcan_store.models import clock
from vulcan_store.models.workload import Workload


def print_id(options: argparse.Namespace, workload: Workload) -> None:
    """A workload's id, or with ``--json`` the whole of it."""
    print(json_of(workload) if options.json else workload.id)


def print_workloads(options: argparse.Namespace, workloads: Sequence[Workload]) -> None:
    """One workload field by field, several as a table, and any number with ``--json`` as a line each."""
    if options.json:
        for workload in workloads:
            print(json_of(workload))
    elif len(workloads) == 1:
        for line in display.fields(workloads[0]):
            print(line)
    else:
        print_table([workloads])


def print_table(batches: Iterable[Sequence[Workload]]) -> None:
    """A table of workloads, which may come in batches."""
    screen = sys.stdout
    for line in display.table(batches, clock.now(), display.room(screen), display.coloured(screen)):
        print(line)


def json_of(workload: Workload) -> str:
    """A workload in the server's JSON form, on one line."""
    return json.dumps(workload.to_dict())
