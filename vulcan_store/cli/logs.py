"""The commands about the log of a workload: log, logs."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeVar

from vulcan_store.cli.arguments import Parser, add_id, add_json, number_from
from vulcan_store.cli.display import counted, plain, show, show_json
from vulcan_store.errors import StoreError, StoreUnavailableError
from vulcan_store.lifecycle import FINAL
from vulcan_store.operations.log_tail import LogTail
from vulcan_store.store import Store

T = TypeVar("T")

FOLLOW_INTERVAL = 0.2
"""Seconds between two looks at a log that is followed."""
PAUSE = 0.1
"""Seconds between two tries of what a lock holds up, each of which waits for it as long as the store does."""
BYTES_PER_READ = 65_536
"""As many as a pipe of Linux holds."""
BYTES_PER_LINE = 1_000_000
"""How long a line of a log may be; a longer one is stored as several."""
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
LOCK_NOT_AVAILABLE = "55P03"
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def log(parser: Parser) -> object:
    """append the lines of stdin to the log of a workload

    Lines are stored as they come, so that others can follow them; what is not UTF-8 is stored with the replacement
    character. It reads as long as its input lasts, so that the job that writes it is never stopped: it waits as long as
    a lock lasts, and in a pipeline it leaves Ctrl-C to the job.
    """
    add_id(parser)
    parser.set_defaults(opening=_open_undisturbed)
    parser.epilog = 'Example: ./job 2>&1 | vulcan-store log "$id"'

    def run(store: Store, options: Namespace) -> None:
        _patiently(lambda: store.list_log_lines(options.id, limit=0))  # is it there?
        if sys.stdin.isatty():
            print("every line that you type is appended; Ctrl-D ends", file=sys.stderr)
        count, failure = 0, None
        for lines in _as_they_come(sys.stdin.buffer):
            try:
                count += _patiently(lambda lines=lines: store.append_log_lines(options.id, lines))  # type: ignore[misc]
            except StoreError as error:
                failure = failure or error
        print(counted(count, "line"), "appended")
        if failure is not None:
            raise failure

    return run


@contextmanager
def _open_undisturbed(open_it: Callable[[], Store]) -> Iterator[Store]:
    # Ctrl-C reaches every process of a pipeline at once, and the job may have some last words.
    handler = signal.getsignal(signal.SIGINT)
    try:
        if not sys.stdin.isatty():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        with _patiently(open_it) as store:
            yield store
    finally:
        signal.signal(signal.SIGINT, handler)


def _patiently(work: Callable[[], T]) -> T:
    """Do it as soon as no lock is in the way, and say so if one is for longer than the store waits (5 s)."""
    told = False
    while True:
        try:
            return work()
        except StoreUnavailableError as error:
            code, state = getattr(error.__cause__, "sqlite_errorcode", 0), getattr(error.__cause__, "sqlstate", None)
            if code & 0xFF not in LOCKED and state != LOCK_NOT_AVAILABLE:
                raise
            if not told:
                print("vulcan-store:", plain(error), "- still waiting", file=sys.stderr)
            told = True
        time.sleep(PAUSE)


def _as_they_come(stream: BinaryIO) -> Iterator[list[str]]:
    """The lines of a stream as soon as they are there, in time that grows with their length alone."""
    begun = bytearray()
    while chunk := stream.read1(BYTES_PER_READ):  # type: ignore[attr-defined]
        first, *others = chunk.split(b"\n")
        begun += first
        lines: list[str] = []
        for other in others:
            lines += _parts(begun)
            lines[-1] += "\n"
            begun = bytearray(other)
        if len(begun) > BYTES_PER_LINE:
            *whole, rest = _cut(begun)
            lines += map(_text, whole)
            begun = bytearray(rest)
        if lines:
            yield lines
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if begun:
        yield _parts(begun)


def _parts(line: bytes | bytearray) -> list[str]:
    return list(map(_text, _cut(line)))


def _text(line: bytes | bytearray) -> str:
    return line.decode(errors="replace")


def _cut(line: bytes | bytearray) -> Iterator[bytes | bytearray]:
    """A line in parts that are not too long, parted between characters."""
    start = 0
    while len(line) - start > BYTES_PER_LINE:
        end = start + BYTES_PER_LINE
        for _ in range(3):  # a character of UTF-8 has three bytes after its first at most, which begin with 10
            end -= line[end] & 0xC0 == 0x80
        yield line[start:end]
        start = end
    yield line[start:]


def logs(parser: Parser) -> object:
    """print the log of a workload"""
    add_id(parser)
    parser.add_argument("--tail", type=number_from(0), metavar="N", help="begin with the last N lines only")
    parser.add_argument("--follow", action="store_true", help="go on printing what is new until the status is final")
    add_json(parser)
    parser.set_defaults(reads=True)
    parser.epilog = 'Example: vulcan-store logs "$id" --tail 100 --follow'

    def run(store: Store, options: Namespace) -> None:
        tail = LogTail(store, options.id, options.tail)
        while True:
            # The status first: what is appended before it becomes final is printed then.
            final = not options.follow or store.get_workload(options.id).status in FINAL
            for line in tail.new_lines():
                if options.json:
                    show_json(line.to_dict())
                else:
                    show(line.line)
            if final:
                return
            sys.stdout.flush()
            time.sleep(FOLLOW_INTERVAL)

    return run
