"""The commands about the log of a workload: log, logs."""

from __future__ import annotations

import codecs
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from vulcan_store.cli.arguments import add_json, open_target
from vulcan_store.cli.display import complain, show, show_json
from vulcan_store.engines.sqlite.driver import has_code
from vulcan_store.errors import StoreError, StoreUnavailableError
from vulcan_store.lifecycle import FINAL
from vulcan_store.operations.logs import follow_log
from vulcan_store.store import Store

PAUSE = 0.2
"""Seconds between two looks at a log that is followed, and between two tries of what a lock holds up."""
BYTES_PER_READ = 65_536
"""As many as a pipe of Linux holds."""
MAX_BEGUN = 1_000_000
"""How many characters of a line that has not ended are waited with; a longer one is stored in parts."""
LOCK_NOT_AVAILABLE = "55P03"
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def log(parser: ArgumentParser) -> object:
    """Append the lines of stdin to the log of a workload.

    Lines are stored as they come, so that others can follow them; what is not UTF-8
    is stored with the replacement character. It reads as long as its input lasts,
    so that the job that writes it is never stopped: it waits as long as a lock
    lasts, and in a pipeline it leaves Ctrl-C to the job.

    Example: ./job 2>&1 | vulcan-store log "$id"
    """
    parser.add_argument("id", metavar="ID")
    parser.set_defaults(opening=_open_undisturbed)

    def run(store: Store, options: Namespace) -> None:
        _patiently(lambda: store.get_workload(options.id))  # or there is nothing to read for
        count, failure = 0, None
        for lines in _as_they_come():
            try:
                count += _patiently(partial(store.append_log_lines, options.id, lines))
            except StoreError as error:
                failure = failure or error
        print(f"{count:,} appended")
        if failure is not None:
            raise failure

    return run


def _open_undisturbed(options: Namespace) -> Any:
    # Ctrl-C reaches every process of a pipeline at once, and the job may have some last words.
    if not sys.stdin.isatty():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _patiently(partial(open_target, options))


def _patiently(work: Callable[[], Any]) -> Any:
    """Do it as soon as no lock is in the way, and say so if one is for longer than the store waits (5 s)."""
    told = False
    while True:
        try:
            return work()
        except StoreUnavailableError as error:
            cause = error.__cause__ or error
            locked = has_code(cause, "SQLITE_BUSY", "SQLITE_LOCKED")
            if not locked and getattr(cause, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if not told:
                complain(f"{error} - still waiting")
            told = True
        time.sleep(PAUSE)


def _as_they_come() -> Iterator[list[str]]:
    """The lines of stdin as soon as they are there, in time that grows with their length alone."""
    decode, begun = codecs.getincrementaldecoder("utf-8")("replace").decode, ""
    while chunk := sys.stdin.buffer.read1(BYTES_PER_READ):  # type: ignore[union-attr]
        *ended, begun = (begun + decode(chunk)).split("\n")
        lines = [line + "\n" for line in ended]
        if len(begun) > MAX_BEGUN:
            lines.append(begun[:MAX_BEGUN])
            begun = begun[MAX_BEGUN:]
        if lines:
            yield lines
    signal.signal(signal.SIGINT, signal.default_int_handler)
    begun += decode(b"", final=True)
    if begun:
        yield [begun]


def logs(parser: ArgumentParser) -> object:
    """Print the log of a workload.

    Example: vulcan-store logs "$id" --tail 100 --follow
    """
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--tail", type=int, metavar="N", help="begin with the last N lines only")
    parser.add_argument("--follow", action="store_true", help="go on printing what is new until the status is final")
    add_json(parser)
    parser.set_defaults(reads=True)

    def run(store: Store, options: Namespace) -> None:
        def is_final() -> bool:
            return not options.follow or store.get_workload(options.id).status in FINAL

        # Before each look: what is appended before it becomes final is printed then.
        final = is_final()
        for line in follow_log(store, options.id, options.tail):
            if line is None:
                if final:
                    return
                sys.stdout.flush()
                time.sleep(PAUSE)
                final = is_final()
            elif options.json:
                show_json(line)
            else:
                show(line.line)

    return run
