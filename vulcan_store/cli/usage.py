"""The parser of a command line that answers a slip with the usage of that command and the nearest right word."""

from __future__ import annotations

import argparse
import difflib
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn


def nearest(word: str, words: Iterable[str]) -> str:
    """The end of a complaint about a mistyped word: ``; did you mean 'list'?``, or nothing where none is near."""
    found = difflib.get_close_matches(word, list(words), 1)
    return f"; did you mean {found[0]!r}?" if found else ""


class UsageParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` without abbreviations, whose subcommands complain about their own arguments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As in argparse, but an option that this parser does not know is an error at once.

        Otherwise argparse complains first that what was mistyped is missing, and about the rest in the name of the
        whole program.
        """
        given = list(sys.argv[1:] if args is None else args)
        for text in self._own_options(given):
            name = text.partition("=")[0]
            if name not in self._option_string_actions:
                self.error(f"there is no option {name!r}{nearest(name, self._option_string_actions)}")
        found, left = super().parse_known_args(given, namespace)
        if left:
            self.error(f"there is no place for {left[0]!r}")
        return found, left

    def _own_options(self, given: list[str]) -> Iterator[str]:
        mine: Iterable[str] = itertools.takewhile(lambda text: text != "--", given)
        if self._subparsers is not None:  # what follows the command is the command's
            mine = itertools.takewhile(lambda text: text.startswith("-"), mine)
        # argparse takes a text with a space for a value, whatever it starts with.
        return (text for text in mine if text.startswith("--") and " " not in text)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            raise argparse.ArgumentError(None, f"there is no command {value!r}{nearest(value, action.choices)}")
        if action.choices is not None and value not in action.choices:
            words = ", ".join(action.choices)
            raise argparse.ArgumentError(action, f"{value!r} is not one of {words}{nearest(value, action.choices)}")

    def error(self, message: str) -> NoReturn:
        """Print the usage and a line about what is wrong, and exit with status 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n")
