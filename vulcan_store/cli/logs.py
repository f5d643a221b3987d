"""The commands about the log of a workload: log, logs."""

from __future__ import annotations

import argparse
import codecs
import json
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

from vulcan_store.cli import display
from vulcan_store.cli.command import Command, ReadingCommand
from vulcan_store.cli.options import add_id, add_json
from vulcan_store.cli.usage import UsageParser
from vulcan_store.cli.values import whole
from vulcan_store.lifecycle import FINAL
from vulcan_store.operations.log_tail import LogTail
from vulcan_store.operations.lookup import find_id
from vulcan_store.store import Store

FOLLOW_INTERVAL = 0.2
"""Seconds between two looks at a log that is followed."""


class Log(Command):
    """Appends to a log."""

    name = "log"
    help = "append the lines of stdin to the log of a workload"
    example = './job 2>&1 | vulcan-store log "$id"'
    more = (
        "Lines are stored as they come, so that others can follow them; what is not UTF-8 is stored with the "
        "replacement character."
    )

    def add_arguments(self, parser: UsageParser) -> None:
        add_id(parser)

    def run(self, store: Store, options: argparse.Namespace) -> None:
        workload_id = store.get_workload(find_id(store, options.id)).id
        if sys.stdin.isatty():
            print("every line that you type is appended; Ctrl-D ends", file=sys.stderr)
        count = sum(store.append_log_lines(workload_id, lines) for lines in _as_they_come(sys.stdin.buffer))
        print(display.counted(count, "line"), "appended")


def _as_they_come(stream: BinaryIO) -> Iterator[list[str]]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    begun = ""
    while chunk := stream.read1():  # type: ignore[attr-defined]
        *lines, begun = (begun + decoder.decode(chunk)).split("\n")
        if lines:
            yield [line + "\n" for line in lines]
    if begun := begun + decoder.decode(b"", final=True):
        yield [begun]


class Logs(ReadingCommand):
    """Shows a log."""

    name = "logs"
    help = "print the log of a workload"
    example = "vulcan-store logs 01K3ZQ8N --tail 100 --follow"

    def add_arguments(self, parser: UsageParser) -> None:
        add_id(parser)
        parser.add_argument("--tail", type=whole, metavar="N", help="begin with the last N lines only")
        parser.add_argument(
            "--follow", action="store_true", help="go on printing what is new until the status is final"
        )
        add_json(parser)

    def run(self, store: Store, options: argparse.Namespace) -> None:
        workload_id = find_id(store, options.id)
        tail = LogTail(store, workload_id, options.tail)
        while True:
            # The status first: what is appended before it becomes final is printed then.
            final = not options.follow or store.get_workload(workload_id).status in FINAL
            for line in tail.new_lines():
                print(json.dumps(line.to_dict()) if options.json else line.line)
            if final:
                return
            sys.stdout.flush()
            time.sleep(FOLLOW_INTERVAL)
