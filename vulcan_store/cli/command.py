"""What a command of the command line is."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from vulcan_store.cli.usage import UsageParser
from vulcan_store.store import Store


class Command:
    """One command: what may be typed after its name, and what it does then.

    Attributes:
        name: how it is called.
        help: what it does, in a few words that begin with a verb.
        example: a line that works.
        more: what else its help says.
        creates: whether it makes a store where there is none; for the others that is an error, most likely a mistyped
            name.
    """

    name: str
    help: str
    example: str
    more: str = ""
    creates: bool = False

    def add_arguments(self, parser: UsageParser) -> None:
        """Add what may be typed after the name."""

    def reads(self, options: argparse.Namespace) -> bool:
        """Whether the store is opened without changing anything about it."""
        return False

    def run(self, store: Store, options: argparse.Namespace) -> int | None:
        """Do it.

        Args:
            store: the open store.
            options: what was typed, under the names of arguments; ``options.refuse(message)`` answers wrong usage.

        Returns:
            The exit status; None is 0.
        """
        raise NotImplementedError

    def add_to(self, group: argparse._SubParsersAction[UsageParser]) -> None:
        """Add the command's parser to those of the program."""
        parser = group.add_parser(
            self.name,
            help=self.help,
            description=textwrap.fill(f"{self.help[0].upper()}{self.help[1:]}. {self.more}", 78),
            epilog=f"example:\n  {self.example}",
        )
        self.add_arguments(parser)
        add_target(parser, argparse.SUPPRESS)  # or it would take back what stood before the command
        parser.set_defaults(command=self, refuse=parser.error)


class ReadingCommand(Command):
    """A command that only reads."""

    def reads(self, options: argparse.Namespace) -> bool:
        return True


def add_target(parser: UsageParser, default: Any) -> None:
    """The option that names the store."""
    parser.add_argument(
        "--db", metavar="TARGET", default=default, help="a path or URL (default: $VULCAN_DB_PATH, else vulcan.db)"
    )
