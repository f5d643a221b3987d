"""Every command, in the order in which the help names them."""

from __future__ import annotations

import argparse
import platform
import sqlite3
from importlib.metadata import version

from vulcan_store.cli import claims, housekeeping, listing, logs, transfer, workloads
from vulcan_store.cli.command import Command, add_target
from vulcan_store.cli.usage import UsageParser

COMMANDS: tuple[Command, ...] = (
    workloads.Create(),
    workloads.Get(),
    listing.List(),
    workloads.Update(),
    workloads.Delete(),
    claims.Claim(),
    claims.Wait(),
    claims.Release(),
    logs.Log(),
    logs.Logs(),
    listing.Stats(),
    housekeeping.Purge(),
    housekeeping.Vacuum(),
    housekeeping.Backup(),
    housekeeping.Restore(),
    transfer.Export(),
    transfer.Import(),
)


def build_parser() -> UsageParser:
    """The parser of the whole command line."""
    parser = UsageParser(
        prog="vulcan-store",
        description="The workload store of Vulcan nodes: look into it, work with it, look after it.",
        epilog="exit status:\n  0 done, 1 an error (one line on stderr), 2 wrong usage, 3 nothing to claim,\n"
        "  4 wait has timed out\n\n"
        "examples:\n  vulcan-store create --runtime python\n  vulcan-store --db /var/lib/vulcan/vulcan.db list\n\n"
        "vulcan-store COMMAND --help says more.",
    )
    add_target(parser, None)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the versions that are in use, and exit")
    parser.set_defaults(command=None)
    group = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(group)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        python, sqlite = platform.python_version(), sqlite3.sqlite_version
        print(f"vulcan-store {version('vulcan-store')} (Python {python}, Peewee {version('peewee')}, SQLite {sqlite})")
        parser.exit()
