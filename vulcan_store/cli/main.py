"""One run of ``vulcan-store``: its commands, streams, errors and exit status."""

from __future__ import annotations

import argparse
import io
import operator
import os
import platform
import sqlite3
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import peewee

from vulcan_store import __version__
from vulcan_store.cli import claims, housekeeping, listing, logs, workloads
from vulcan_store.cli.arguments import Parser
from vulcan_store.cli.display import plain
from vulcan_store.current import default_target, open_store
from vulcan_store.engines.sqlite.paths import is_missing
from vulcan_store.errors import StoreError, StoreUnavailableError
from vulcan_store.store import Store

FAILED, WRONG_USAGE, INTERRUPTED, PIPE_BROKEN = 1, 2, 130, 141
"""Exit statuses; the last two are what a shell says of a program that SIGINT or SIGPIPE has ended."""

COMMANDS = {
    command.__name__.rstrip("_"): command
    for command in (
        workloads.create, workloads.get, listing.list_, workloads.update, workloads.delete,
        claims.claim, claims.wait, claims.release, logs.log, logs.logs, listing.stats,
        housekeeping.purge, housekeeping.vacuum, housekeeping.backup, housekeeping.restore,
        housekeeping.export, housekeeping.import_,
    )
}  # fmt: skip
"""Every command by its name, in the order in which the help has them."""


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
        print("vulcan-store:", plain(text), file=sys.stderr)
        return _end(FAILED)


def build_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="vulcan-store",
        description="The workload store of Vulcan nodes: look into it, work with it, look after it.",
        epilog="Exit status: 0 done, 1 an error (one line on stderr), 2 wrong usage, 3 nothing to claim, 4 wait has "
        "timed out. vulcan-store COMMAND --help says more.",
        allow_abbrev=False,
    )
    theirs = getattr(peewee, "__version__")
    versions = f"Python {platform.python_version()}, Peewee {theirs}, SQLite {sqlite3.sqlite_version}"
    parser.add_argument(
        "--version", action="version", version=f"vulcan-store {__version__} ({versions})",
        help="print the versions that are in use, and exit",
    )  # fmt: skip
    parser.set_defaults(run=None, creates=False, reads=False, opening=operator.call)
    _add_target(parser, None)
    group = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        summary, _, more = (command.__doc__ or "").partition("\n")
        about = f"{summary.capitalize()}. {more}"
        parser_of_it = group.add_parser(name, help=summary, description=about, allow_abbrev=False)
        _add_target(parser_of_it, argparse.SUPPRESS)  # or it would take back what stood before the command
        parser_of_it.set_defaults(run=command(parser_of_it))
    return parser


def _add_target(parser: Parser, default: Any) -> None:
    parser.add_argument(
        "--db", metavar="TARGET", default=default, help="a path or URL (default: $VULCAN_DB_PATH, else vulcan.db)"
    )


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.run is None:
        parser.print_help(sys.stderr)
        return WRONG_USAGE
    with options.opening(partial(_open, options)) as store:
        return options.run(store, options) or 0


def _open(options: argparse.Namespace) -> Store:
    target = default_target() if options.db is None else options.db
    if not options.creates and is_missing(target):
        makers = "create, import and restore make one"
        raise StoreUnavailableError(target, f"there is no such file; {makers}, --db names another")
    return open_store(target, read_only=options.reads, current=False)


def _prepare_streams() -> None:
    # Where the shell has closed one (>&-), a result cannot be printed, and complaints go nowhere.
    for name, mode in (("stdin", "r"), ("stdout", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
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
