"""What the arguments of commands have in common: the parser, types, and the options that come from the model."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from vulcan_store.models import clock
from vulcan_store.models.fields import BytesField, EnumField, StrictIntegerField, TimeField
from vulcan_store.models.workload import Workload

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
TIMES = (
    "Times are like 2026-02-18, 2026-02-18T11:12:42Z (in UTC, where no zone is given), or say how long ago: 30s, 15m, "
    "12h, 30d, 4w."
)
HELP = {
    "id": "an id of your own instead of a new ULID",
    "node_id": "the node that runs it",
    "input_hash": "hash of its input",
    "output": "a file with the result; - is stdin",
    "exit_code": "its exit code",
    "error": "what went wrong",
    "cpu_limit": "virtual CPUs",
    "mem_limit": "memory in MB",
    "timeout_s": "seconds that it may run",
    "duration_ms": "milliseconds that it ran",
    "created_at": "when it was submitted; now unless given",
    "started_at": "when it last became running",
    "finished_at": "when it reached a final status",
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that names the word nearest to a wrong one, in the name of the command that it stands in."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # argparse would leave them to the parser of the whole program
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)|unrecognized arguments: (-[^\s=]+)", message)
        if wrong is not None:
            words = self._option_string_actions if wrong[3] else re.findall(r"[\w-]+", wrong[2])
            for near in difflib.get_close_matches(wrong[3] or wrong[1], words, 1):
                message += f", maybe you meant {near!r}?"
        super().error(message)


def moment(text: str) -> datetime:
    """A time, or how long ago one was, as an aware datetime."""
    try:
        ago = text[-1:] in UNITS
        found = clock.now() - timedelta(seconds=seconds(text)) if ago else clock.from_text(text)
    except OverflowError:
        found = None
    if not isinstance(found, datetime):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, like 2026-02-18T11:12:42Z, 2026-02-18 or 30d")
    return found


def seconds(text: str) -> float:
    """A length of time in seconds: ``90s``, ``0.5s``, ``15m``, ``12h``, or a bare number of seconds."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time, like 60s, 15m or 12h")
    return float(found[1]) * UNITS[found[2] or "s"]


def number_from(least: int) -> Callable[[str], int]:
    """The type of a whole number that is not below the least."""

    def number(text: str) -> int:
        if not re.fullmatch("[0-9]+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return number


def add_id(parser: Parser) -> None:
    """A workload."""
    parser.add_argument("id", metavar="ID", help="the workload")


def add_ids(parser: Parser) -> None:
    """One workload or several."""
    parser.add_argument("ids", nargs="+", metavar="ID", help="the workloads")


def add_json(parser: argparse._ActionsContainer) -> None:
    """Whether to print JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON in the server's form instead")


def add_filters(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Filters that take a value or several."""
    for name in names:
        field = Workload._meta.fields[name]
        kind: dict[str, Any] = {"action": "append", "metavar": "TEXT", "help": HELP.get(name)}
        if isinstance(field, EnumField):
            kind = {"action": "extend", "type": _words_of(field), "metavar": name.upper(), "help": field.expected}
        parser.add_argument(option(name), **kind)


def _words_of(field: EnumField[Any]) -> Callable[[str], list[str]]:
    def words(text: str) -> list[str]:
        found = text.split(",")
        for word in found:
            if word not in field.stored:
                choices = ", ".join(map(repr, field.members))
                raise argparse.ArgumentTypeError(f"invalid choice: {word!r} (choose from {choices})")
        return found

    return words


def add_fields(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Fields to be stored; what is not given is not among the options."""
    for name in names:
        field = Workload._meta.fields[name]
        about: dict[str, Any] = {"metavar": "TEXT"}
        if isinstance(field, EnumField):
            about = {"choices": list(field.members), "metavar": name.upper(), "help": field.expected}
        elif isinstance(field, StrictIntegerField):
            about = {"type": int, "metavar": "N"}
        elif isinstance(field, TimeField):
            about = {"type": moment, "metavar": "TIME"}
        elif isinstance(field, BytesField):
            about = {"metavar": "FILE"}
        about = {"help": HELP.get(name), **about}
        parser.add_argument(option(name), default=argparse.SUPPRESS, required=name == "runtime", **about)


def given_fields(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The fields that were given, with the bytes of an output."""
    fields = {name: value for name, value in vars(options).items() if name in names}
    if fields.get("output") == "-":
        fields["output"] = sys.stdin.buffer.read()
    elif "output" in fields:
        with open(fields["output"], "rb") as file:
            fields["output"] = file.read()
    return fields


def option(name: str) -> str:
    """The option for a field or a filter."""
    return "--" + name.replace("_", "-")
