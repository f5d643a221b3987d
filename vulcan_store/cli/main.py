"""One run of ``vulcan-store``: its commands, streams, errors and exit status."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence

from vulcan_store import __version__
from vulcan_store.cli import claims, housekeeping, logs, workloads
from vulcan_store.cli.arguments import TARGET, open_target
from vulcan_store.cli.display import complain
from vulcan_store.errors import StoreError

FAILED, INTERRUPTED, PIPE_BROKEN = 1, 130, 141
"""Exit statuses; the last two are what a shell says of a program that SIGINT or SIGPIPE has ended."""

COMMANDS = {
    command.__name__.rstrip("_"): command
    for command in (
        workloads.create, workloads.get, workloads.list_, workloads.update, workloads.delete,
        claims.claim, claims.wait, claims.release, logs.log, logs.logs, housekeeping.stats,
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
    status = FAILED
    try:
        try:
            options, unknown = build_parser().parse_known_args(argv)
            if unknown:  # said by the command, whose usage helps
                options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
            with options.opening(options) as store:
                return options.run(store, options) or 0
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        status = PIPE_BROKEN
    except (StoreError, OSError) as error:
        complain(error)
    try:  # or the interpreter flushes it when it ends, and complains
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="vulcan-store",
        description="The workload store of Vulcan nodes: look into it, work with it, look after it.",
        epilog="Exit status: 0 done, 1 an error (one line on stderr), 2 wrong usage, 3 nothing to claim, 4 wait has "
        "timed out. vulcan-store COMMAND --help says more.",
        parents=[TARGET],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vulcan-store {__version__}")
    parser.set_defaults(creates=False, reads=False, opening=open_target)
    group = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        about = inspect.getdoc(command) or ""
        its_parser = group.add_parser(
            name, help=about.partition("\n")[0], description=about, parents=[TARGET], allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        its_parser.set_defaults(run=command(its_parser), parser=its_parser)
    return parser


def _prepare_streams() -> None:
    # Where the shell has closed one (>&-), a result cannot be printed, and complaints go nowhere.
    for name, mode in (("stdin", "r"), ("stdout", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # for what its encoding lacks
