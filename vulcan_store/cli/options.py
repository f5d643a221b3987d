"""The options that several commands share; those for fields and filters have their names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from vulcan_store.cli.values import moment, one, words_of
from vulcan_store.models.fields import BytesField, EnumField, StrictIntegerField, TimeField
from vulcan_store.models.workload import Workload

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


def add_id(parser: argparse._ActionsContainer, nargs: Any = None) -> None:
    """An id or the beginning of one; with ``nargs="+"`` several, as ``ids``."""
    many = nargs is not None
    parser.add_argument(
        "ids" if many else "id",
        nargs=nargs,
        metavar="ID",
        help=f"the workload{'s' if many else ''}: a whole id, or from 8 characters on as many as are unique",
    )


def add_json(parser: argparse._ActionsContainer) -> None:
    """Whether to print JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON in the server's form instead")


def add_filters(parser: argparse._ActionsContainer, names: Iterable[str]) -> None:
    """Filters that take a value or several."""
    for name in names:
        field = Workload._meta.fields[name]
        parser.add_argument(
            option_of(name),
            action="extend",
            type=words_of(field) if isinstance(field, EnumField) else one,
            metavar=name.upper() if isinstance(field, EnumField) else "TEXT",
            help=field.expected if isinstance(field, EnumField) else HELP[name],
        )


def add_fields(parser: argparse._ActionsContainer, names: Iterable[str]) -> None:
    """Fields to be stored; what is not given is not among the options."""
    for name in names:
        field = Workload._meta.fields[name]
        options: dict[str, Any] = {"metavar": "TEXT"}
        if isinstance(field, EnumField):
            options = {"choices": list(field.members), "metavar": name.upper()}
        elif isinstance(field, StrictIntegerField):
            options = {"type": int, "metavar": "N"}
        elif isinstance(field, TimeField):
            options = {"type": moment, "metavar": "TIME"}
        elif isinstance(field, BytesField):
            options = {"metavar": "FILE"}
        parser.add_argument(
            option_of(name),
            default=argparse.SUPPRESS,
            required=name == "runtime",
            help=HELP.get(name) or "one of " + ", ".join(options["choices"]),
            **options,
        )


def fields_of(options: argparse.Namespace, names: Sequence[str]) -> Any:
    """The fields that were given, with the bytes of an output."""
    found = {name: value for name, value in vars(options).items() if name in names}
    if "output" in found:
        found["output"] = _bytes_of(found["output"])
    return found


def option_of(name: str) -> str:
    """The option for a field or a filter."""
    return "--" + name.replace("_", "-")


def _bytes_of(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:
        return file.read()
