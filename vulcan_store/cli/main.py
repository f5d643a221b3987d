"""One run of ``vulcan-store``: its streams, its store, its errors and its exit status."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from vulcan_store.cli import display
from vulcan_store.cli.registry import build_parser
from vulcan_store.current import default_target, open_store
from vulcan_store.engines.sqlite.paths import is_missing
from vulcan_store.errors import StoreError, StoreUnavailableError
from vulcan_store.store import Store

FAILED, WRONG_USAGE, INTERRUPTED, PIPE_BROKEN = 1, 2, 130, 141
"""Exit statuses; the last two are what a shell says of a program that SIGINT or SIGPIPE has ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments; None for those of the process.

    Returns:
        The exit status. An error is one line on stderr; wrong usage raises SystemExit with 2, as argparse does.
    """
    _prepare_streams()
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _end(INTERRUPTED)
    except BrokenPipeError:
        return _end(PIPE_BROKEN)
    except (StoreError, OSError) as error:
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        display.clear(sys.stderr)
        print("vulcan-store:", display.plain(text), file=sys.stderr)
        return _end(FAILED)


def _prepare_streams() -> None:
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the shell: >&-
            setattr(sys, name, open(os.devnull, mode))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for what the terminal's encoding lacks


def _end(status: int) -> int:
    # The interpreter flushes stdout once more when it ends, and would complain then.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        return WRONG_USAGE
    with _open(options) as store:
        return options.command.run(store, options) or 0


def _open(options: argparse.Namespace) -> Store:
    target = default_target() if options.db is None else options.db
    if not options.command.creates and is_missing(target):
        makers = "create, import and restore make one"
        raise StoreUnavailableError(target, f"there is no such file; {makers}, --db names another")
    return open_store(target, read_only=options.command.reads(options), current=False)
